"""Pictures that mean harm, are broken or are merely odd, each built by a few lines."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache

import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6  # PNG's colour types


def chunk(name: bytes, content: bytes = b"") -> bytes:
    """A chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def header(width: int, height: int, bits: int = 8, colour: int = GREY, interlaced: int = 0, rest: bytes = b"\0\0"):
    return chunk(b"IHDR", struct.pack(">IIBB", width, height, bits, colour) + rest + bytes([interlaced]))


def png(width: int, height: int, rows: bytes, bits: int = 8, colour: int = GREY, before: bytes = b"") -> bytes:
    """A PNG of unfiltered rows, each with its leading 0; `before` are chunks before the picture's data."""
    data = chunk(b"IDAT", zlib.compress(rows))
    return SIGNATURE + header(width, height, bits, colour) + before + data + chunk(b"IEND")


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(width: int, height: int, mode: str = "L", seed: int = 0) -> Image.Image:
    """A picture of random levels."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    levels = np.random.default_rng(seed).integers(256, size=(height, width, channels), dtype=np.uint8)
    return Image.frombytes(mode, (width, height), levels.tobytes())


def exif(orientation: int, order: str = "<", kind: int = 3) -> bytes:
    """EXIF data, without the prefix that JPEG gives them, that hold an orientation alone."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHIHH", 0x0112, kind, 1, orientation, 0)
    return mark + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def spliced(jpeg: bytes, *segments: bytes) -> bytes:
    """A JPEG with segments put at its start."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    """A baseline JPEG whose header states another size."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


@cache
def refused() -> dict[str, tuple[bytes, str]]:
    """Bytes that are refused, and what the sentence says of them."""
    good = saved(noise(20, 10))
    jpeg = saved(noise(64, 48, "RGB"), "JPEG")
    progressive = saved(noise(16, 16), "JPEG", progressive=True)
    last_scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    idat = good.index(b"IDAT")
    one_row = zlib.compress(b"\0" * 21)
    apng = saved(noise(4, 4), save_all=True, append_images=[noise(4, 4, seed=1)])
    return {
        "empty": (b"", "got an empty file"),
        "text": (b"hello", "got another kind of file"),
        "gif": (saved(noise(2, 2), "GIF"), "got a GIF"),
        "bmp": (saved(noise(2, 2), "BMP"), "got a BMP"),
        "tiff": (saved(noise(2, 2), "TIFF"), "got a TIFF"),
        "webp": (saved(noise(2, 2, "RGB"), "WEBP"), "got a WebP"),
        "svg": (b'  <svg xmlns="http://www.w3.org/2000/svg"/>', "got an SVG"),
        "pdf": (b"%PDF-1.7", "got a PDF"),
        "heic": (b"\0\0\0\x18ftypheic", "got a HEIC"),
        "only-a-signature": (SIGNATURE, "cut off"),
        "half-a-signature": (SIGNATURE[:4], "only the first bytes of one"),
        "cut-in-the-header": (good[:20], "cut off"),
        "cut-in-the-data": (good[: idat + 20], "cut off"),
        "no-end": (good[:-12], "cut off"),
        "wrong-checksum": (good[: idat + 8] + bytes([good[idat + 8] ^ 1]) + good[idat + 9 :], "checksum is wrong"),
        "endless-chunk": (SIGNATURE + header(1, 1) + b"\xff\xff\xff\xffIDAT", "cut off"),
        "no-header": (SIGNATURE + chunk(b"IDAT", one_row) + chunk(b"IEND"), "another order"),
        "two-headers": (SIGNATURE + header(1, 1) + header(9_000, 9_000) + chunk(b"IEND"), "another order"),
        "short-header": (SIGNATURE + chunk(b"IHDR", b"\0\0\0\1") + chunk(b"IEND"), "another order"),
        "no-data": (SIGNATURE + header(1, 1) + chunk(b"IEND"), "a PNG without any"),
        "unknown-filter": (SIGNATURE + header(20, 1, rest=b"\0\7") + good[good.index(b"IDAT") - 4 :], "no sense"),
        "unknown-depth": (png(20, 1, bytes(21), bits=3), "Expected a picture"),
        "unknown-colour": (png(20, 1, bytes(21), colour=5), "Expected a picture"),
        "no-pixels": (png(0, 5, b""), "makes no sense"),
        "huge-png": (png(2**31 - 1, 2**31 - 1, b"\0"), "Expected at most 25 megapixels"),
        "just-too-large": (png(5_001, 5_000, b"\0"), "got 5001 x 5000"),
        "not-deflated": (
            SIGNATURE + header(4, 4) + chunk(b"IDAT", b"not zlib at all") + chunk(b"IEND"), "data are damaged"
        ),
        "unknown-row-filter": (png(4, 1, b"\x09" + bytes(4)), "Expected a"),
        "in-too-many-chunks": (
            SIGNATURE + header(20, 10) + chunk(b"teXt") * 20_000 + good[33:], "in more than 20,000 parts"
        ),
        "white": (png(3, 1, b"\0\xff\xff\xff"), "got white throughout"),
        "nearly-white": (png(3, 1, b"\0\xfa\xff\xfe"), "got white throughout"),
        "nothing-but-clear": (png(2, 1, b"\0" + b"\0\0" * 2, colour=GREY_ALPHA), "got white throughout"),
        "apng-cut-off": (apng[:-30], "cut off"),
        "only-a-jpeg-mark": (b"\xff\xd8\xff", "cut off"),
        "a-long-run-of-ff": (b"\xff\xd8" + b"\xff" * 3_000_000, "cut off"),
        "a-jpeg-without-a-picture": (b"\xff\xd8" + segment(0xE0, b"JFIF\0") + b"\xff\xd9", "cut off"),
        "jpeg-cut-in-the-header": (jpeg[:200], "cut off"),
        "jpeg-cut-in-the-data": (jpeg[:-600], "cut off"),
        "jpeg-without-its-end": (jpeg[:-2], "cut off"),
        "jpeg-with-a-short-segment": (spliced(jpeg, b"\xff\xe0\0\1"), "cut off"),
        "jpeg-without-tables": (b"\xff\xd8" + jpeg[jpeg.index(b"\xff\xc0") :], "Expected a"),
        "jpeg-without-a-size": (b"\xff\xd8" + jpeg[jpeg.index(b"\xff\xda") :], "Expected a"),
        "huge-jpeg": (with_size(jpeg, 65_500, 65_500), "Expected at most 25 megapixels"),
        "jpeg-of-no-height": (with_size(jpeg, 64, 0), "makes no sense"),
        "jpeg-in-too-many-segments": (spliced(jpeg, *[segment(0xFE, b"")] * 20_000), "in more than 20,000 parts"),
        "jpeg-of-many-scans": (progressive[:-2] + last_scan * 40 + b"\xff\xd9", "at most 30 scans"),
        "twelve-bit-jpeg": (jpeg.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"), "Expected a"),
        "lossless-jpeg": (jpeg.replace(b"\xff\xc0", b"\xff\xc3"), "Expected a"),
    }  # fmt: skip


@cache
def odd() -> dict[str, tuple[bytes, list[list[int]]]]:
    """Bytes that are read, and their weights in steps of 1/255."""
    black = png(1, 1, b"\0\0")
    flood = b"\0\0" + bytes(30_000_000)  # a picture of one pixel, and 30 MB of zeros that are never inflated
    profile = chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(50_000_000)))
    words = chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(80_000_000)))
    clear = chunk(b"tRNS", b"\0\1")
    apng = saved(Image.new("L", (2, 1), 55), save_all=True, append_images=[Image.new("L", (2, 1), 155)])
    frames = chunk(b"acTL", b"\xff\xff\xff\xff\0\0\0\0")
    black_jpeg = saved(Image.new("RGB", (1, 1)), "JPEG")
    broken_exif = segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(30))
    palette = chunk(b"PLTE", b"\xff\xff\xff\0\0\0")
    return {
        "a-flood-behind-one-pixel": (png(1, 1, flood), [[255]]),
        "bombs-beside-the-picture": (png(1, 1, b"\0\0", before=profile + words), [[255]]),
        "no-frames-at-all": (png(1, 1, b"\0\0", before=frames + frames), [[255]]),
        "first-frame": (apng, [[200, 200]]),
        "too-few-rows": (png(2, 3, b"\0\x37\x37"), [[200, 200], [255, 255], [255, 255]]),
        "bytes-after-the-end": (black + b"more", [[255]]),
        "a-bad-checksum-that-does-not-matter": (black[:33] + b"\0\0\0\0teXt\0\0\0\0" + black[33:], [[255]]),
        "one-bit": (png(8, 1, b"\0\x0f", bits=1), [[255] * 4 + [0] * 4]),
        "one-bit-clear": (png(8, 1, b"\0\x0f", bits=1, before=chunk(b"tRNS", b"\0\1")), [[255] * 4 + [0] * 4]),
        "two-bit-clear": (png(4, 1, b"\0\x1b", bits=2, before=clear), [[255, 0, 85, 0]]),
        "interlaced": (
            SIGNATURE + header(2, 2, interlaced=1) + chunk(b"IDAT", zlib.compress(b"\0\x00\0\x37\0\x9b\xff"))
            + chunk(b"IEND"),
            [[255, 200], [100, 0]],
        ),
        "four-bit": (png(2, 1, b"\0\x0f", bits=4), [[255, 0]]),
        "eight-bit-clear": (png(2, 1, b"\0\1\0", before=clear), [[0, 255]]),
        "sixteen-bit": (png(2, 1, b"\0\0\xff\x80\0", bits=16), [[255, 127]]),
        "sixteen-bit-clear": (png(2, 1, b"\0\0\1\x80\0", bits=16, before=clear), [[0, 127]]),
        "sixteen-bit-rgb": (png(1, 1, b"\0" + b"\x80\0" * 3, bits=16, colour=RGB), [[127]]),
        "sixteen-bit-rgb-clear": (
            png(2, 1, b"\0" + b"\x80\0" * 3 + b"\0\0" * 3, 16, RGB, chunk(b"tRNS", b"\x80\0" * 3)), [[0, 255]]
        ),
        "rgb-clear": (
            png(2, 1, b"\0" + bytes(3) + b"\1" * 3, colour=RGB, before=chunk(b"tRNS", b"\0\1" * 3)), [[255, 0]]
        ),
        "grey-and-alpha": (png(3, 1, b"\0\0\xff\0\x80\0\0", colour=GREY_ALPHA), [[255, 128, 0]]),
        "rgb-and-alpha": (png(2, 1, b"\0" + b"\0\0\0\xff" + b"\0\0\0\x33", colour=RGB_ALPHA), [[255, 51]]),
        "palette": (png(2, 1, b"\0\0\1", colour=PALETTE, before=palette), [[0, 255]]),
        "palette-with-alpha": (
            png(3, 1, b"\0\0\1\1", colour=PALETTE, before=palette + chunk(b"tRNS", b"\xff\x80")), [[0, 128, 128]]
        ),
        "palette-of-one-bit": (png(8, 1, b"\0\x0f", bits=1, colour=PALETTE, before=palette), [[0] * 4 + [255] * 4]),
        "black-jpeg": (black_jpeg, [[255]]),
        "cmyk-jpeg": (saved(Image.new("CMYK", (1, 1), (0, 0, 0, 255)), "JPEG"), [[255]]),
        "progressive-jpeg": (saved(Image.new("L", (2, 2), 100), "JPEG", progressive=True), [[155, 155]] * 2),
        "broken-exif": (spliced(black_jpeg, broken_exif), [[255]]),
        "a-second-picture-behind": (black_jpeg + saved(noise(64, 64), "JPEG"), [[255]]),
        "padded-markers": (black_jpeg[:2] + b"\xff" * 9 + black_jpeg[2:], [[255]]),
    }  # fmt: skip
