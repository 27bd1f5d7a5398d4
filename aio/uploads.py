"""Tables that a visitor uploads, .csv and .npy: read with suspicion, and two of their columns taken as points.

Whatever the bytes are, they end in a Table or in a ValueError with a sentence for the visitor; nothing is executed.

>>> rows = "\\n".join(f"{t / 10},{t % 7},red" for t in range(40))
>>> table = read_table(f"height,width,colour\\n{rows}\\n,3,blue\\n".encode(), "flowers.csv")
>>> table.names, table.numeric, table.rows
(('height', 'width', 'colour'), ('height', 'width'), 41)
>>> points = table.points("width", "height")
>>> points.x.shape, points.note
((40, 2), '1 of 41 rows has a gap or a word in one of the two columns and was left out.')
"""

from __future__ import annotations

import codecs
import io
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from aio.dialect import NPY, Dialect, dialect_of, number
from aio.tables import CELL_SHOWN, GAPS, SUFFIXES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAX_BYTES", "MAX_CELLS", "MAX_COLUMNS", "MAX_ROWS", "MIN_ROWS", "Points", "Table", "check_spread"]
__all__ += ["read_table"]

MAX_BYTES = 50 * 1000**2
MAX_ROWS = 1_000_000
MAX_COLUMNS = 200
MAX_CELLS = 20_000_000  # 160 MB of numbers: a few bytes a line must not become a table of many columns
MOST_LINES = 2 * MAX_ROWS  # some may be blank, or parts of a quoted cell
MIN_ROWS = 20  # a flow cannot be judged on fewer
RESOLUTION = 1e-3  # of a column's spread, which single precision must be able to tell apart
NAME_LENGTH = 60  # characters of a column's name
PREVIEW_ROWS = 20  # kept as they are written in the file
TOO_MANY_ROWS = f"Expected at most {MAX_ROWS:,} rows, got more. Take a random part of them."
GAPS_AS_WRITTEN = sorted({form for gap in GAPS for form in (gap, gap.upper(), gap.title(), gap[:1].upper() + gap[1:])})


@dataclass(frozen=True, eq=False)
class Points:
    """Two columns of a table, row by row.

    Args:
        x: (N, 2), float64, finite, N >= MIN_ROWS.
        left_out: rows with a gap or a word in either column.
        note: a sentence about these rows; empty where there are none.
    """

    x: np.ndarray = field(repr=False)
    left_out: int
    note: str


@dataclass(frozen=True, eq=False)
class Table:
    """What was uploaded.

    Args:
        names: of all columns, each once.
        numeric: of the columns that can be used: at least half of the cells are numbers, and at least MIN_ROWS are.
            There are at least two.
        rows: how many, without the header and blank lines.
        columns: a numeric column's numbers, (rows,), float64, NaN where there is none; read only.
        head: the first rows as they are written, for `preview`.
    """

    names: tuple[str, ...]
    numeric: tuple[str, ...]
    rows: int
    columns: dict[str, np.ndarray] = field(repr=False)
    head: tuple[tuple[str, ...], ...] = field(repr=False)

    def preview(self, rows: int = 8) -> list[dict[str, str]]:
        """The first rows, at most PREVIEW_ROWS, as text by the columns' names."""
        return [dict(zip(self.names, cells, strict=True)) for cells in self.head[: max(0, rows)]]

    def points(self, first: str, second: str) -> Points:
        """The points whose coordinates stand in two columns.

        Raises:
            ValueError: if a name is not in `numeric`, the columns are the same, too few rows hold two numbers, or
                a column does not vary.
        """
        for name in (first, second):
            if name not in self.columns:
                known = _listed(self.numeric)
                raise ValueError(f"Expected a column of numbers, got {_shown(name)}. Choose among {known}.")
        if first == second:
            raise ValueError(
                f"Expected two different columns, got {_shown(first)} twice. Choose another for one of them."
            )
        x = np.column_stack([self.columns[first], self.columns[second]])
        whole = np.isfinite(x).all(axis=1)
        left_out = int(self.rows - whole.sum())
        if self.rows - left_out < MIN_ROWS:
            raise ValueError(
                f"Expected at least {MIN_ROWS} rows with a number in both columns, got {self.rows - left_out} of "
                f"{self.rows:,} in {_shown(first)} and {_shown(second)}. Choose columns with fewer gaps."
            )
        x = x[whole]
        check_spread(x, [_shown(first), _shown(second)])
        if np.array_equal(x[:, 0], x[:, 1]):
            raise ValueError(
                f"Expected two different columns, got the same numbers in {_shown(first)} and {_shown(second)}. "
                "Choose another for one of them."
            )
        return Points(x, left_out, _note(left_out, self.rows))


def check_spread(points: np.ndarray, names: Sequence[str]) -> None:
    """Refuse columns that single precision, in which flows compute, cannot tell apart.

    Args:
        points: (N, D), finite, N >= 1.
        names: what to call each column in the sentence, D of them.

    Raises:
        ValueError: if a column is constant, too finely spread for its distance from 0, or overflows.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        resolution = np.spacing(np.abs(points).max(axis=0).astype(np.float32))
        spread = points.std(axis=0)
    for name, finest, std in zip(names, resolution.tolist(), spread.tolist(), strict=True):
        if not math.isfinite(finest):
            raise ValueError(
                f"Expected numbers of at most {np.finfo(np.float32).max:.2g}, which single precision holds, got larger "
                f"ones in {name}. Write the column in another unit."
            )
        if not finest <= RESOLUTION * std:
            raise ValueError(
                f"Expected columns that vary, got {name} with a standard deviation of {std:.3g}, where single "
                f"precision resolves {finest:.3g}. Subtract the column's mean and divide by its standard deviation; a "
                "column that is constant cannot be learned."
            )


def read_table(data: bytes, name: str) -> Table:
    """The table in an uploaded file.

    A CSV is text in UTF-8 (or Western European, where it cannot be UTF-8), separated by semicolons, tabs or commas;
    beside the first two, numbers may have decimal commas. Its first line may be a header: a line in which no cell
    begins like a number. Gaps, words, infinities and all cells of a line that is too long count as no number. A .npy
    file holds an array (N, D) of real numbers and is never unpickled.

    Args:
        data: the content, at most MAX_BYTES.
        name: the file's name, which ends in .csv or .npy.

    Raises:
        ValueError: if it holds no table with two columns of numbers, or more than the limits of this module allow.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix not in SUFFIXES:
        wanted = " or ".join(SUFFIXES)
        raise ValueError(f"Expected a file that ends in {wanted}, got {_shown(name)}. Convert or rename it.")
    if len(data) > MAX_BYTES:
        raise ValueError(
            f"Expected a file of at most {MAX_BYTES / 1e6:.0f} MB, got {len(data) / 1e6:,.1f} MB. "
            "Take a random part of its rows."
        )
    if not data:
        raise ValueError("Expected a table, got an empty file. Choose another.")
    return _read_csv(data) if suffix == ".csv" else _read_npy(data)


# ---------------------------------------------------------------------- what both kinds share


def _table(names: list[str], columns: Sequence[np.ndarray], head: list[tuple[str, ...]]) -> Table:
    rows = len(columns[0])
    if rows > MAX_ROWS:
        raise ValueError(TOO_MANY_ROWS)
    if rows < MIN_ROWS:
        raise ValueError(f"Expected at least {MIN_ROWS} rows, got {rows}. A flow cannot be judged on fewer: add rows.")
    numbers = [int(np.isfinite(column).sum()) for column in columns]
    usable = {n: c for n, c, k in zip(names, columns, numbers, strict=True) if k >= max(MIN_ROWS, rows / 2)}
    if len(usable) < 2:
        found = f"only {_listed(list(usable))}" if usable else "none"
        raise ValueError(
            f"Expected two columns in which at least half of the cells, and at least {MIN_ROWS}, are numbers, got "
            f"{found} among {_counted(len(names), 'column')} of {rows:,} rows. Fill the gaps, and write numbers "
            "without units and without separators of thousands."
        )
    for column in usable.values():
        column.setflags(write=False)
    return Table(tuple(names), tuple(usable), rows, usable, tuple(head))


def _check_size(rows: int, columns: int) -> None:
    if columns > MAX_COLUMNS:
        raise ValueError(f"Expected at most {MAX_COLUMNS} columns, got {columns:,}. Keep those that you want to see.")
    if rows * columns > MAX_CELLS:
        raise ValueError(
            f"Expected at most {MAX_CELLS:,} cells, got about {rows:,} rows of {_counted(columns, 'column')}. Take a "
            "random part of the rows, or fewer columns."
        )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _shown(text: str) -> str:
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: NAME_LENGTH + 1])
    return f"“{text}”" if len(text) <= NAME_LENGTH else f"“{text[:NAME_LENGTH]}…”"


def _listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(map(_shown, names[:most])) + (" and others" if len(names) > most else "")


def _note(left_out: int, rows: int) -> str:
    if not left_out:
        return ""
    have, were = ("has", "was") if left_out == 1 else ("have", "were")
    where = "a gap or a word in one of the two columns"
    return f"{left_out:,} of {rows:,} rows {have} {where} and {were} left out."


# ---------------------------------------------------------------------- CSV


def _read_csv(data: bytes) -> Table:
    data = data.removeprefix(codecs.BOM_UTF8)
    dialect = dialect_of(data)
    width = dialect.width
    if data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n") > MOST_LINES:
        raise ValueError(TOO_MANY_ROWS)
    cells = [line.count(dialect.delimiter.encode()) + 1 for line in data.splitlines() if line]
    _check_size(min(len(cells), MAX_ROWS), width)
    _check_size(sum(cells) // width, width)
    # Room for lines that are too long, so that pandas gives them and they are counted.
    room = max(width + 1, min(max(cells), MAX_COLUMNS + 1, MAX_CELLS // len(cells)))
    frame = _frame(data, dialect, room)
    too_long = frame.iloc[:, width:].notna().any(axis=1).to_numpy()
    columns = [_numbers(frame[position], dialect.decimal) for position in range(width)]
    for column in columns:
        column[too_long] = np.nan
    head = [tuple(_cut(cell) for cell in (row + [""] * width)[:width]) for row in dialect.rows[:PREVIEW_ROWS]]
    return _table(_names(dialect.top, width), columns, head)


def _names(top: list[str], width: int) -> list[str]:
    """Each column's own name: what the header says, or its position."""
    names: list[str] = []
    for position in range(width):
        written = top[position] if position < len(top) else ""
        written = " ".join("".join(c if c.isprintable() else " " for c in written.lstrip("# ")).split())
        name = base = _cut(written, NAME_LENGTH) or f"column {position + 1}"
        copy = 1
        while name in names:
            copy += 1
            name = f"{base} ({copy})"
        names.append(name)
    return names


def _cut(text: str, most: int = CELL_SHOWN) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _frame(data: bytes, dialect: Dialect, room: int) -> pd.DataFrame:
    import pandas as pd  # here, so that what shares check_spread does not wait for it

    # A first line with a cell in every column, taken away again: pandas pads and checks only the lines that follow one.
    full = dialect.delimiter.join(["0"] * room).encode() + b"\n"
    try:
        frame = pd.read_csv(
            io.BytesIO(full + data[dialect.body :]),
            sep=dialect.delimiter,
            decimal=dialect.decimal,
            encoding=dialect.encoding,
            header=None,
            names=range(room),
            index_col=False,
            nrows=MAX_ROWS + 2,
            keep_default_na=False,
            na_values=GAPS_AS_WRITTEN,
            skipinitialspace=True,
            low_memory=False,  # one type a column
        )
    except Exception:  # whatever pandas makes of hostile bytes, they are not a table
        raise ValueError(
            f"Expected a table with {_counted(dialect.width, 'cell')} in every line, got lines that cannot be "
            "told apart or are far longer. Check that every quote is closed, and the separators."
        ) from None
    return frame.iloc[1:]


def _numbers(column: pd.Series, decimal: str) -> np.ndarray:
    """A column's numbers, float64, writable, NaN where there is none."""
    import pandas as pd

    if column.dtype.kind in "fiu":
        values = column.to_numpy(dtype=np.float64, copy=True)
        values[~np.isfinite(values)] = np.nan
        return values
    codes, cells = pd.factorize(column.to_numpy(dtype=object))  # each word is looked at once
    return np.array([*(number(cell, decimal) for cell in cells), np.nan])[codes]  # a gap has code -1


# ---------------------------------------------------------------------- .npy


def _read_npy(data: bytes) -> Table:
    if not data.startswith(NPY):
        raise ValueError("Expected a numpy array, got a file of another kind. Write it with numpy.save(path, points).")
    shape, in_columns, dtype, begin = _npy_header(data)
    if dtype.hasobject:
        raise ValueError(
            "Expected numbers, got pickled Python objects, which are never loaded. Save points.astype(float)."
        )
    if dtype.names is not None:
        raise ValueError(
            f"Expected an array of plain numbers, got records with the fields {_listed(dtype.names)}. "
            "Save numpy.lib.recfunctions.structured_to_unstructured(points)."
        )
    if dtype.kind not in "fiu":
        raise ValueError(f"Expected real numbers, got dtype {_cut(str(dtype))}. Save points.astype(float).")
    if len(shape) != 2 or min(shape) < 0 or shape[1] < 2:
        raise ValueError(f"Expected shape (N, D) with D at least 2, got {_cut(str(shape))}. Put one point in a row.")
    rows, width = shape
    if rows < width > MAX_COLUMNS:
        raise ValueError(f"Expected one point in a row, got shape {_cut(str(shape))}. Turn it: points.T.")
    if rows > MAX_ROWS:
        raise ValueError(TOO_MANY_ROWS)
    _check_size(rows, width)
    if (missing := begin + rows * width * dtype.itemsize - len(data)) > 0:
        raise ValueError(
            f"Expected all of shape {shape}, got a file that is {_counted(missing, 'byte')} too short. "
            "Write and upload it once more."
        )
    values = np.frombuffer(data, dtype, rows * width, begin).reshape(shape, order="F" if in_columns else "C")
    with np.errstate(over="ignore", invalid="ignore"):  # a long double beyond float64 becomes an infinity: no number
        columns = np.array(values.T, dtype=np.float64, order="C")
    columns[~np.isfinite(columns)] = np.nan
    head = [tuple(f"{value:.6g}" for value in row) for row in columns[:, :PREVIEW_ROWS].T.tolist()]
    return _table(_names([], width), list(columns), head)


def _npy_header(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """What numpy reads in a header: shape, order, dtype; and where the numbers begin. They are not allocated."""
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers of Python 2, and about what hostile ones contain
            if version == (1, 0):
                header = np.lib.format.read_array_header_1_0(file)
            else:
                header = np.lib.format.read_array_header_2_0(file)
    except Exception:  # whatever numpy's parser makes of hostile bytes
        raise ValueError(
            "Expected a numpy array, got one whose header cannot be read. Write it again: numpy.save(path, points)."
        ) from None
    return *header, file.tell()
