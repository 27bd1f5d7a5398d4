"""Pictures from outside, friendly, odd and hostile: a table of weights or a sentence, never anything else."""

import io
import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from aio import pictures
from aio.pictures import MOST_CELLS, read_picture
from aio.targets import picture as target_module
from aio.targets.picture import PictureTarget
from tests.hostile.pictures import SIGNATURE, chunk, exif, noise, odd, refused, saved, segment, spliced


def test_a_picture_fits_its_target():
    assert target_module.MOST_CELLS == MOST_CELLS


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_dark_is_dense_and_can_be_inverted(kind):
    levels = np.repeat([[0, 100, 200, 255]], 16, axis=1).repeat(16, axis=0).astype(np.uint8)  # blocks, as JPEG has
    data = saved(Image.fromarray(levels), kind, **({"quality": 100} if kind == "JPEG" else {}))
    np.testing.assert_allclose(255 * read_picture(data), 255 - levels.astype(float), atol=1)
    np.testing.assert_allclose(255 * read_picture(data, invert=True), levels, atol=1)


def test_colours_become_grey_by_luminance():
    picture = Image.new("RGB", (4, 1))
    for i, colour in enumerate(["red", "lime", "blue", "black"]):
        picture.putpixel((i, 0), Image.new("RGB", (1, 1), colour).getpixel((0, 0)))
    np.testing.assert_allclose(read_picture(saved(picture)), [[1 - 0.299, 1 - 0.587, 1 - 0.114, 1]], atol=1 / 255)


def test_what_is_faint_is_paper():
    weights = read_picture(saved(Image.frombytes("L", (4, 1), bytes([255, 250, 249, 0]))))
    assert weights.tolist() == [[0, 0, 6 / 255, 1]]


@pytest.mark.parametrize(
    "size", [(300, 2), (3, 300), (300, 200), (257, 1), (1, 1000), (511, 513), (256, 256), (900, 37)], ids=str
)
def test_a_large_picture_is_averaged_over_areas(size):
    width, height = size
    picture = noise(width, height).point(lambda level: level // 2)  # no cell is faint
    weights = read_picture(saved(picture))
    rows, cols = weights.shape
    scale = min(1, MOST_CELLS / max(size))
    assert abs(rows - max(1, height * scale)) <= 0.5
    assert abs(cols - max(1, width * scale)) <= 0.5
    ink = (255 - np.asarray(picture)).astype(float) / 255
    assert weights.mean() == pytest.approx(ink.mean(), abs=0.5 / 255)
    if width * height * rows * cols <= 1e7:  # each pixel in rows x cols parts, each cell the mean of its own
        parts = np.repeat(np.repeat(ink, rows, axis=0), cols, axis=1).reshape(rows, height, cols, width)
        np.testing.assert_allclose(weights, parts.mean(axis=(1, 3)), atol=0.501 / 255)


@pytest.mark.parametrize(("orientation", "order"), list(itertools.product(range(10), "<>")))
def test_orientation_is_applied_as_pillow_does(orientation, order):
    picture = noise(48, 32).resize((48, 32))
    tag = exif(orientation, order)
    jpeg = spliced(saved(picture, "JPEG"), segment(0xE1, b"Exif\0\0" + tag))
    plain = saved(picture)
    png = plain[:33] + chunk(b"eXIf", tag) + plain[33:]
    for data in (jpeg, png):
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        expected = (255 - np.asarray(upright).astype(float)) / 255
        np.testing.assert_array_equal(read_picture(data), np.where(expected < 0.02, 0, expected))


def test_what_is_transparent_is_empty_inverted_or_not():
    picture = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    picture.putpixel((1, 0), (100, 100, 100, 255))
    assert (255 * read_picture(saved(picture))).tolist() == [[0, 155]]
    assert (255 * read_picture(saved(picture), invert=True)).tolist() == [[0, 100]]


@pytest.mark.parametrize("level", [0, 128, 249])
def test_a_uniform_picture_is_the_uniform_density(level):
    target = PictureTarget(read_picture(saved(Image.new("L", (640, 320), level))))
    assert target.entropy == pytest.approx(math.log(8 * 4), abs=1e-12)


def test_black_throughout_cannot_be_inverted():
    with pytest.raises(ValueError, match=r"got black throughout\. Do not invert it\."):
        read_picture(saved(Image.new("L", (4, 4))), invert=True)


@pytest.mark.parametrize("wrong", ["path.png", None, 3], ids=str)
def test_what_is_not_bytes_is_refused(wrong):
    with pytest.raises(TypeError, match=r"Expected the bytes of a file, got .*\. Read it"):
        read_picture(wrong)


def test_a_file_too_large_is_refused_unread():
    with pytest.raises(ValueError, match=r"at most 20 MB, got 20\.0 MB\. Save it smaller"):
        read_picture(bytes(pictures.MOST_BYTES + 1))


@pytest.mark.parametrize("name", refused())
def test_hostile_bytes_end_in_a_sentence(name):
    data, sentence = refused()[name]
    with pytest.raises(ValueError, match=r"^Expected .*, got .*\. .*\.$") as caught:
        read_picture(data)
    assert type(caught.value) is ValueError
    assert sentence in str(caught.value)
    assert len(str(caught.value)) < 160


@pytest.mark.parametrize("name", odd())
def test_odd_pictures_are_read(name):
    data, weights = odd()[name]
    assert (255 * read_picture(data)).tolist() == weights


def check_any(data: bytes, invert: bool = False) -> None:
    """A picture, or a sentence; never anything else, nor a warning."""
    try:
        weights = read_picture(data, invert=invert)
    except ValueError as error:
        kind, sentence = type(error), str(error)
    else:
        assert weights.dtype == np.float64
        assert weights.min() >= 0
        assert 0 < weights.max() <= 1
        PictureTarget(weights)
        return
    assert kind is ValueError
    assert re.fullmatch(r"Expected .*, got .*\. .*\.", sentence)


SEEDS = [
    *(saved(noise(9, 7, mode)) for mode in ("L", "LA", "RGB", "RGBA")),
    saved(noise(9, 7, "RGB").convert("P")),
    saved(noise(9, 7).convert("1")),
    *(
        saved(noise(17, 9, mode), "JPEG", progressive=progressive)
        for mode in ("L", "RGB", "CMYK")
        for progressive in (0, 1)
    ),
]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from([b"", SIGNATURE, b"\xff\xd8\xff"]), st.binary(max_size=300))
def test_arbitrary_bytes_never_break_it(beginning, rest):
    check_any(beginning + rest)


@settings(max_examples=800, deadline=None, derandomize=True)
@given(
    st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6), st.booleans()
)
def test_mutated_pictures_never_break_it(seed, changes, invert):
    data = bytearray(seed)
    for at, value in changes:
        data[at % len(data)] = value
    check_any(bytes(data), invert)


@settings(max_examples=800, deadline=None, derandomize=True)
@given(st.sampled_from(SEEDS[:6]), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4))
def test_mutated_chunks_with_right_checksums_never_break_it(seed, changes):
    """Past the checksums, to the decoder itself."""
    parts, at = [], 8
    while at < len(seed):
        length = int.from_bytes(seed[at : at + 4], "big")
        parts.append((seed[at + 4 : at + 8], bytearray(seed[at + 8 : at + 8 + length])))
        at += length + 12
    contents = [content for _, content in parts if content]
    for where, value in changes:
        content = contents[where % len(contents)]
        content[where // 7 % len(content)] = value
    check_any(seed[:8] + b"".join(chunk(name, bytes(content)) for name, content in parts))


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_every_truncation_ends_in_a_sentence(seed):
    for length in range(0, len(SEEDS[seed]), 3):
        with pytest.raises(ValueError, match="Expected "):
            read_picture(SEEDS[seed][:length])
