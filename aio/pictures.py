"""Pictures from outside as weights: PNG and JPEG, read with suspicion and made small.

A picture comes from outside: its size is known before it is decoded, only the parts that make up the picture reach
the decoder, and whatever is wrong with it ends in a ValueError that says so in one sentence and the mend.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zlib

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

Grey = Image.Image | np.ndarray

__all__ = ["FAINT", "MOST_BYTES", "MOST_CELLS", "MOST_PIXELS", "MOST_SCANS", "read_picture"]

MOST_BYTES = 20 * 1000**2
MOST_PIXELS = 25 * 1000**2  # a good camera's picture; 100 MB once decoded
MOST_CELLS = 256  # along a side, as many as a PictureTarget takes
MOST_SCANS = 30  # of a progressive JPEG, which has about ten; each goes over the whole picture, however short it is
MOST_PARTS = 20_000  # chunks or segments: at 4 kB each, as the shortest usual ones are, far above 20 MB
WHITE = 255
FAINT = 0.02  # weights below it are paper, not ink

AGAIN = "Save or download it again."
CUT_OFF = f"Expected a whole picture, got a file that is cut off. {AGAIN}"
IN_PIECES = f"Expected a picture, got a file in more than {MOST_PARTS:,} parts. {AGAIN}"

PNG = b"\x89PNG\r\n\x1a\n"
PNG_PARTS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})  # what the first picture is made of
PNG_CHECKED = PNG_PARTS | {b"eXIf"}
PNG_BITS, PNG_COLOUR = 24, 25  # where they stand in the file
PNG_GREY, PNG_RGB = 0, 2

JPEG = b"\xff\xd8\xff"
JPEG_END = b"\xff\xd9"
JPEG_SCAN, JPEG_EXIF = 0xDA, 0xE1
# What begins a segment: no stuffed byte, no restart within a scan, and nothing else that has no length.
JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
# JFIF's segment and Adobe's, which says what the channels are. All other application segments, and comments (0xFE),
# hold profiles, previews and words: nothing that the picture needs, and much to stumble over.
JPEG_KEPT = frozenset({0xE0, 0xEE})
JPEG_DROPPED = frozenset({*range(0xE0, 0xF0), 0xFE}) - JPEG_KEPT

EXIF_ORIENTATION = 0x0112
EXIF_SHORT = 3
# How a stored picture becomes the one that was taken, by the number in its EXIF data.
UPRIGHT = {
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).T,
    8: np.rot90,
}

# How files begin that people take for pictures to be read here.
OTHER_KINDS = {
    b"GIF8": "a GIF", b"BM": "a BMP", b"II*\0": "a TIFF", b"MM\0*": "a TIFF", b"%PDF": "a PDF", b"<svg": "an SVG",
    b"<?xml": "an SVG", b"PK\x03\x04": "an archive or document", b"8BPS": "a Photoshop file",
}  # fmt: skip
OTHER_KINDS_INSIDE = {
    (8, b"WEBP"): "a WebP", (4, b"ftypavif"): "an AVIF", (4, b"ftyphe"): "a HEIC", (4, b"ftypmif1"): "a HEIC",
}  # fmt: skip


def read_picture(data: bytes, *, invert: bool = False) -> np.ndarray:
    """The weights of a picture, for a `PictureTarget`: dark is dense, white is empty.

    A PNG or JPEG, known by its content, of at most 20 MB and 25 megapixels; of an animated PNG the first picture.
    EXIF orientation is applied. Colours become grey by their luminance, ITU-R 601; what is transparent is empty.
    Larger pictures are averaged over the areas of at most 256 cells a side, in the same aspect ratio; smaller ones
    stay as they are. A uniform grey or black picture is a density like any other, the uniform one on a rectangle,
    and allowed; one that is empty throughout is refused.

    Args:
        data: the bytes of the file.
        invert: light is dense, and black is empty.

    Returns:
        Weights of shape (rows, cols), float64, from 0 to 1 in steps of 1/255, top row first, some of them above 0.
        Those below 0.02 are set to 0: paper is seldom quite white.

    Raises:
        TypeError: if `data` is not bytes.
        ValueError: if it is not such a picture, in one sentence with its mend.

    >>> file = io.BytesIO()
    >>> Image.new("RGB", (3, 2), "black").save(file, "PNG")
    >>> read_picture(file.getvalue()).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    >>> read_picture(b"GIF89a")
    Traceback (most recent call last):
    ValueError: Expected a PNG or JPEG, got a GIF. Save the picture as a PNG.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"Expected the bytes of a file, got {type(data).__name__}. Read it: path.read_bytes().")
    if memoryview(data).nbytes > MOST_BYTES:
        megabytes = memoryview(data).nbytes / 1e6
        raise ValueError(
            f"Expected a picture of at most {MOST_BYTES / 1e6:.0f} MB, got {megabytes:.1f} MB. Save it smaller."
        )
    data = bytes(data)
    ink, orientation = _ink(data, invert)
    weights = np.rint(_averaged(ink)) / WHITE
    weights[weights < FAINT] = 0
    if not weights.any():
        if invert:
            raise ValueError("Expected something light in the picture, got black throughout. Do not invert it.")
        raise ValueError("Expected something dark in the picture, got white throughout. Invert it, or take another.")
    return np.ascontiguousarray(UPRIGHT.get(orientation, np.asarray)(weights))


def _ink(data: bytes, invert: bool) -> tuple[np.ndarray, int]:
    """Return how much ink each stored pixel has, (height, width) in uint8, and the orientation."""
    if data.startswith(PNG):
        parts, orientation = _png_parts(data)
        grey, opacity = _decoded(PngImageFile, parts)
    elif data.startswith(JPEG):
        parts, orientation = _jpeg_parts(data)
        grey, opacity = _decoded(JpegImageFile, parts)
    else:
        raise ValueError(f"Expected a PNG or JPEG, got {_kind(data)}. Save the picture as a PNG.")
    ink = np.array(grey)
    if not invert:
        np.subtract(WHITE, ink, out=ink)
    if opacity is not None:
        # As if it lay on white, or inverted on black. In strips: products need wider numbers than bytes.
        for start in range(0, len(ink), MOST_CELLS):
            strip = slice(start, start + MOST_CELLS)
            ink[strip] = (ink[strip] * opacity[strip].astype(np.uint16) + WHITE // 2) // WHITE
    return ink, orientation


def _decoded(kind: type[PngImageFile | JpegImageFile], parts: bytes) -> tuple[Grey, np.ndarray | None]:
    """Return the luminance and the opacity, as `_grey` does, of a picture whose size is first seen to be allowed."""
    try:
        image = kind(io.BytesIO(parts))  # reads up to the picture's data; Image.open could only warn of its size
    except Exception:
        raise ValueError(f"Expected a picture, got one whose header makes no sense. {AGAIN}") from None
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise ValueError(
            f"Expected at most {MOST_PIXELS / 1e6:.0f} megapixels, got {width} x {height}. "
            f"Scale the picture down; {MOST_CELLS} pixels a side are enough."
        )
    try:
        image.load()
        if kind is PngImageFile:
            _mend_transparency(image, parts[PNG_BITS], parts[PNG_COLOUR])
        return _grey(image)
    except MemoryError:
        raise
    except Exception as error:  # whatever the decoder makes of hostile bytes, they are not a picture
        if "truncated" in str(error):
            raise ValueError(CUT_OFF) from None
        raise ValueError(f"Expected a picture, got one whose data are damaged. {AGAIN}") from None
    finally:
        image.close()


def _grey(image: Image.Image) -> tuple[Grey, np.ndarray | None]:
    """Return the luminance, 0 to 255, and the opacity, None where all is opaque."""
    if image.mode.startswith("I"):  # 16 bits: a plain conversion would cut them off, not scale them
        levels = np.asarray(image)
        clear = image.info.get("transparency")
        opacity = None if clear is None else np.where(levels == clear, 0, WHITE).astype(np.uint8)
        return (levels >> 8).astype(np.uint8), opacity
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return image.convert("L"), np.asarray(image.getchannel("A"))
    return image.convert("L"), None


def _mend_transparency(image: Image.Image, bits: int, colour: int) -> None:
    """Bring the level that a PNG declares transparent to the 8 bits that its pixels were brought to."""
    clear = image.info.get("transparency")
    if colour == PNG_GREY and bits in (2, 4) and isinstance(clear, int):
        image.info["transparency"] = min(clear, 2**bits - 1) * WHITE // (2**bits - 1)
    elif colour == PNG_RGB and isinstance(clear, tuple):
        image.info["transparency"] = tuple(level >> 8 if bits == 16 else level & WHITE for level in clear)


def _averaged(levels: np.ndarray) -> np.ndarray:
    """Average over the areas of at most MOST_CELLS cells a side; a pixel on a border counts by its parts."""
    height, width = levels.shape
    scale = min(1.0, MOST_CELLS / max(height, width))
    rows, cols = max(1, round(height * scale)), max(1, round(width * scale))
    if height >= width:  # the longer side first: what is left is small
        return _average_columns(_average_columns(levels, rows).T, cols).T
    return _average_columns(_average_columns(levels.T, cols).T, rows)


def _average_columns(levels: np.ndarray, cells: int) -> np.ndarray:
    """Average along the first axis over `cells` equal lengths: (n, m) -> (cells, m)."""
    n = len(levels)
    averages = np.empty((cells, levels.shape[1]))
    for i in range(cells):
        start, stop = i * n / cells, (i + 1) * n / cells
        first, last = math.floor(start), min(n, math.ceil(stop))
        pixel = np.arange(first, last)
        shares = np.minimum(pixel + 1, stop) - np.maximum(pixel, start)
        averages[i] = shares @ levels[first:last].astype(np.float64) / shares.sum()
    return averages


def _png_parts(data: bytes) -> tuple[bytes, int]:
    """Return the chunks that make up the first picture, their checksums verified, and the EXIF orientation."""
    kept, orientation, position, count, names = [PNG], 1, len(PNG), 0, []
    while not names or names[-1] != b"IEND":
        head = data[position : position + 8]
        if len(head) < 8:
            raise ValueError(CUT_OFF)
        length, name = struct.unpack(">I4s", head)
        end = position + length + 12
        if end > len(data):
            raise ValueError(CUT_OFF)
        if name in PNG_CHECKED:
            checksum = int.from_bytes(data[end - 4 : end], "big")
            if zlib.crc32(memoryview(data)[position + 4 : end - 4]) != checksum:
                raise ValueError(f"Expected a whole picture, got a part whose checksum is wrong. {AGAIN}")
        if name in PNG_PARTS:
            kept.append(data[position:end])
            names.append(name)
        elif name == b"eXIf":
            orientation = _orientation(data[position + 8 : end - 4])
        position, count = end, count + 1
        if count > MOST_PARTS:
            raise ValueError(IN_PIECES)
        if names[:1] != [b"IHDR"] or (name == b"IHDR" and (length != 13 or len(names) > 1)):
            raise ValueError(f"Expected a PNG that begins with one header, got another order. {AGAIN}")
    if b"IDAT" not in names:
        raise ValueError(f"Expected a picture, got a PNG without any. {AGAIN}")
    return b"".join(kept), orientation


def _jpeg_parts(data: bytes) -> tuple[bytes, int]:
    """Return the segments that make up the picture, and the EXIF orientation."""
    kept, orientation, position, scans = [data[:2]], 1, 2, 0
    for _ in range(MOST_PARTS):
        found = JPEG_MARKER.search(data, position)
        if scans:
            kept.append(data[position : found.start() if found else None])
        if not found:
            break  # whether an end is all that is missing, the decoder sees
        if found[0] == JPEG_END:  # what follows it is another picture, or a film
            kept.append(JPEG_END)
            break
        start, marker = found.start(), found[0][1]
        position = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        if position < start + 4 or position > len(data):
            raise ValueError(CUT_OFF)
        if marker == JPEG_EXIF and data[start + 4 : start + 10] == b"Exif\0\0":
            orientation = _orientation(data[start + 10 : position])
        if marker not in JPEG_DROPPED:
            kept.append(data[start:position])
        scans += marker == JPEG_SCAN
    else:
        raise ValueError(IN_PIECES)
    if not scans:
        raise ValueError(CUT_OFF)
    if scans > MOST_SCANS:
        raise ValueError(f"Expected a JPEG of at most {MOST_SCANS} scans, got {scans:,}. Save it as a PNG.")
    return b"".join(kept), orientation


def _orientation(exif: bytes) -> int:
    """Return the orientation, 1 to 8, from EXIF data; 1, upright, where they say nothing that can be read."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    try:
        if order is None:
            return 1
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for i in range(count):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, start + 2 + 12 * i)
            if tag == EXIF_ORIENTATION:
                return value if kind == EXIF_SHORT and value in UPRIGHT else 1
    except struct.error:
        pass
    return 1


def _kind(data: bytes) -> str:
    """Return what a file that is neither PNG nor JPEG seems to be."""
    if not data:
        return "an empty file"
    start = data.lstrip()[:16] if data[:1].isspace() else data[:16]
    for beginning, kind in OTHER_KINDS.items():
        if start.startswith(beginning):
            return kind
    for (offset, mark), kind in OTHER_KINDS_INSIDE.items():
        if data.startswith(mark, offset):
            return kind
    if PNG.startswith(data) or JPEG.startswith(data):
        return "only the first bytes of one"
    return "another kind of file"
