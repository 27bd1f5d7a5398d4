"""Points of the plane in files: .npy and .csv, read with suspicion and written whole or not at all.

A file comes from outside: nothing in it is executed, its size is bounded, and whatever is wrong with it ends in a
ValueError that names the file, the row and the mend.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as directory:
...     path = Path(directory) / "points.csv"
...     _ = path.write_text("width,height\\n1.5,2\\n-3,0.25\\n")
...     read_points(path).tolist()
[[1.5, 2.0], [-3.0, 0.25]]
"""

from __future__ import annotations

import csv
import math
import os
import re
import secrets
import shlex
import stat
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

__all__ = [
    "MAX_BYTES",
    "MAX_ROWS",
    "SUFFIXES",
    "check_output",
    "read_points",
    "replace_file",
    "write_npy",
    "write_points",
]

MAX_BYTES = 500 * 1000**2  # a table of MAX_ROWS points written to 17 digits has 250 MB
MAX_ROWS = 5_000_000  # 80 MB of numbers: more than a flow of the plane can learn from, and no burden to a laptop
SUFFIXES = (".csv", ".npy")
COLUMNS = 2
DELIMITERS = (";", "\t", ",")  # in this order: beside ';' or a tab, a comma belongs to a number
GAPS = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?"})  # cells that say that a value is missing
CELL_SHOWN = 40  # characters of a bad cell that a message repeats
CSV_HEADER = "x,y"
BEGINS_LIKE_A_NUMBER = re.compile(r"[+-]?[.,]?\d")


def read_points(path: str | os.PathLike[str]) -> np.ndarray:
    """The points in a file.

    A CSV has two columns of numbers, separated by commas, semicolons or tabs, in UTF-8. Its first line may be a
    header: a line in which no cell begins like a number. Blank lines are passed over. A .npy file holds an array of
    real numbers and is never unpickled.

    Args:
        path: a .csv or .npy file of at most MAX_BYTES.

    Returns:
        Points of shape (N, 2), float64, finite, 1 <= N <= MAX_ROWS.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: if it is of another kind, too large, or has a row that is not two finite numbers.
    """
    path = Path(path)
    suffix = _checked_suffix(path, SUFFIXES)
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"Expected a file, got {path}, which is a folder or a device. Name a {' or '.join(SUFFIXES)}.")
    if status.st_size > MAX_BYTES:
        raise ValueError(
            f"Expected a file of at most {MAX_BYTES / 1e6:,.0f} MB, got {status.st_size / 1e6:,.0f} MB in {path}. "
            "Take a random part of its rows."
        )
    points = _read_csv(path) if suffix == ".csv" else _read_npy(path)
    if not len(points):
        raise ValueError(f"Expected at least one row of two numbers, got none in {path}. Add the points.")
    return points


def write_points(path: str | os.PathLike[str], points: np.ndarray) -> None:
    """Write points (N, 2), float32 or float64, to a .csv or .npy: in that dtype they come back equal."""
    path = Path(path)
    if _checked_suffix(path, SUFFIXES) == ".npy":
        write_npy(path, points)
        return
    digits = {np.dtype(np.float32): 9, np.dtype(np.float64): 17}[points.dtype]  # enough to read back the same number
    replace_file(
        path,
        lambda file: np.savetxt(file, points, fmt=f"%.{digits}g", delimiter=",", header=CSV_HEADER, comments=""),
    )


def write_npy(path: str | os.PathLike[str], values: np.ndarray) -> None:
    """Write an array of numbers to a .npy file, without pickle."""
    replace_file(path, lambda file: np.save(file, values, allow_pickle=False))


def replace_file(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Create or replace a file at once: a reader, or a crash on the way, finds the old file or the new one.

    Args:
        path: the file; a link is followed.
        write: given a binary file to write to.

    Raises:
        OSError: if it cannot be written; nothing is left behind.
    """
    path = Path(path).resolve()
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")  # beside it: a rename stays on one disk
    try:
        with unfinished.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())  # the name must not reach the disk before what it names
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def check_output(path: str | os.PathLike[str], suffixes: tuple[str, ...] = SUFFIXES) -> None:
    """Refuse a file that could not be written, before the work that would fill it.

    Raises:
        ValueError: if it ends otherwise than in one of `suffixes`, is a folder, or lies in none that can be written.
    """
    path = Path(path)
    _checked_suffix(path, suffixes)
    if path.is_dir():
        raise ValueError(f"Expected a file to write, got the folder {path}. Name a file in it.")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise ValueError(f"Expected a file in a folder that exists, got {path}. Create {folder} first.")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"Expected a folder that can be written to, got {folder}. Choose another.")


def _checked_suffix(path: Path, suffixes: tuple[str, ...]) -> str:
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        wanted = " or ".join(suffixes)
        raise ValueError(f"Expected a file that ends in {wanted}, got {path}. Convert or rename it.")
    return suffix


def _read_csv(path: Path) -> np.ndarray:
    numbers = array("d")  # 16 bytes a row, where lists of floats would take 120
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = _delimiter(next((line for line in file if line.strip()), ""))
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            at_top = True
            for cells in reader:
                if len(cells) < COLUMNS and not "".join(cells).strip():
                    continue
                row = len(numbers) // COLUMNS + 1
                if len(cells) != COLUMNS:
                    raise ValueError(_wrong_columns(path, len(cells), delimiter, None if at_top else row, reader))
                if not (at_top and _is_header(cells)):
                    if row > MAX_ROWS:
                        raise ValueError(_too_many_rows(path, "more"))
                    for column, cell in enumerate(cells, start=1):
                        numbers.append(_number(cell, path, f"row {row} (line {reader.line_num}), column {column}"))
                at_top = False
    except UnicodeDecodeError:
        raise ValueError(f"Expected text in UTF-8, got other bytes in {path}. Save it as a CSV in UTF-8.") from None
    except csv.Error as error:
        raise ValueError(f"Expected a CSV of two columns, got {path}, where {error}. Check its quotes.") from None
    return np.array(numbers, dtype=np.float64).reshape(-1, COLUMNS)


def _delimiter(line: str) -> str:
    return next((delimiter for delimiter in DELIMITERS if delimiter in line), ",")


def _is_header(cells: list[str]) -> bool:
    """Whether a line names columns: no cell begins like a number, and not every one says that a value is missing.

    A first line that could be a point written badly, as in 1,5 or 3 cm, is not passed over as a header.
    """
    words = [cell.strip().lower() for cell in cells]
    numbers = any(_is_number(word) or BEGINS_LIKE_A_NUMBER.match(word) for word in words)
    return not numbers and not GAPS.issuperset(words)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python reads 1_000 as a number, a table does not mean one


def _number(cell: str, path: Path, where: str) -> float:
    value = float(cell) if _is_number(cell) else math.nan
    if not math.isfinite(value):
        shown = repr(cell if len(cell) <= CELL_SHOWN else f"{cell[:CELL_SHOWN]}…")
        mend = "Write decimals with a point." if "," in cell else "Remove that row, or mend it."
        raise ValueError(f"Expected a finite number in every cell, got {shown} in {where} of {path}. {mend}")
    return value


def _wrong_columns(path: Path, count: int, delimiter: str, row: int | None, reader: object) -> str:
    if row is not None:
        where = f"row {row} (line {reader.line_num}) of {path}"
        return f"Expected 2 columns in every row, got {count} in {where}. Remove that row, or mend it."
    if count < COLUMNS:
        mend = "Put one point in a row, its two coordinates with a comma between them."
    else:
        dialect = {",": "-d, ", ";": "-d';' ", "\t": ""}[delimiter]
        mend = f"Choose two: `cut {dialect}-f1,2 {shlex.quote(path.name)} > two.csv` keeps the first and the second."
    return f"Expected 2 columns, got {count} in {path}. {mend}"


def _too_many_rows(path: Path, count: str) -> str:
    return f"Expected at most {MAX_ROWS:,} rows, got {count} in {path}. Take a random part of them."


def _read_npy(path: Path) -> np.ndarray:
    try:
        # Mapped, not read: a header that promises more than the file holds is refused before memory is taken for it.
        with np.errstate(over="ignore"):
            values = np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    except Exception as error:  # whatever numpy's parser makes of hostile bytes, the file is not an array of numbers
        reason = str(error).split("\n", maxsplit=1)[0].rstrip(".")
        raise ValueError(
            f"Expected an array of numbers in {path}, got a file that numpy cannot map ({reason}). "
            "Write it again: numpy.save(path, points)."
        ) from None
    if values.dtype.kind not in "fiu":
        raise ValueError(
            f"Expected real numbers in {path}, got dtype {values.dtype}. Convert them: points.astype(float)."
        )
    if values.ndim != 2 or values.shape[1] != COLUMNS:
        mend = "Choose two columns: points[:, [0, 1]]." if values.ndim == 2 else "Put one point in a row."
        raise ValueError(f"Expected shape (N, 2), got {values.shape} in {path}. {mend}")
    if len(values) > MAX_ROWS:
        raise ValueError(_too_many_rows(path, f"{len(values):,}"))
    with np.errstate(over="ignore"):  # a long double beyond float64 becomes an infinity, and is refused as one
        points = np.array(values, dtype=np.float64)
    bad = np.argwhere(~np.isfinite(points))
    if len(bad):
        row, column = bad[0].tolist()
        raise ValueError(
            f"Expected finite numbers, got {points[row, column]} in row {row + 1} (index {row}), column {column + 1} "
            f"of {path}. Remove that row: points[numpy.isfinite(points).all(1)]."
        )
    return points
