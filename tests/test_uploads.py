"""Uploaded tables give the numbers that were written; any other bytes end in a sentence."""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from aio import uploads
from aio.uploads import MAX_COLUMNS, MIN_ROWS, Points, Table, check_spread, read_table

FUZZ = settings(max_examples=150, deadline=None)
ROWS = 30


def npy_bytes(values: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, values, version)
    return file.getvalue()


def npy_header(text: str, version: bytes = b"\x01\x00", size: int = 2) -> bytes:
    header = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + version + len(header).to_bytes(size, "little") + header


def claiming(shape: str, descr: str = "'<f8'", **more: object) -> bytes:
    return npy_header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}", **more) + bytes(800)


def normal(rows: int = ROWS, columns: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def csv_of(rows: list[str], header: str = "x,y\n") -> bytes:
    return (header + "".join(f"{row}\n" for row in rows)).encode()


def numbered(*more: str, columns: int = 2) -> list[str]:
    """ROWS whole rows, and then some."""
    return [",".join(str(i * (c + 1) % 17) for c in range(columns)) for i in range(ROWS)] + list(more)


def sentence_of(data: bytes, name: str = "table.csv") -> str:
    with pytest.raises(ValueError, match=r"^Expected ") as caught:
        read_table(data, name)
    return str(caught.value)


# ---------------------------------------------------------------------- what is written comes back


def values_of(table: Table) -> np.ndarray:
    return np.column_stack([table.columns[name] for name in table.numeric])


FINITE = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    st.tuples(st.integers(MIN_ROWS, 40), st.integers(2, 4)),
    elements=st.floats(allow_nan=False, allow_infinity=False, width=32),
)


@FUZZ
@given(values=FINITE, dialect=st.sampled_from([(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ",")]))
def test_what_pandas_writes_is_read_back_equal(values, dialect):
    separator, decimal = dialect
    names = [f"a {i}" for i in range(values.shape[1])]
    # In float64: every digit that pandas writes of a float32 is there then.
    frame = pd.DataFrame(values.astype(np.float64), columns=names)
    table = read_table(frame.to_csv(index=False, sep=separator, decimal=decimal).encode(), "table.CSV")
    assert table.names == table.numeric == tuple(names)
    np.testing.assert_array_equal(values_of(table), values)


@FUZZ
@given(values=FINITE, delimiter=st.sampled_from([",", ";", "\t"]), header=st.booleans())
def test_what_savetxt_writes_is_read_back_equal(values, delimiter, header):
    file = io.BytesIO()
    digits = {np.float32: 9, np.float64: 17}[values.dtype.type]
    names = tuple("uvwz" if header else (f"column {i}" for i in range(1, 5)))[: values.shape[1]]
    np.savetxt(file, values, fmt=f"%.{digits}g", delimiter=delimiter, header=delimiter.join(names) if header else "")
    table = read_table(file.getvalue(), "table.csv")
    assert table.names == names
    np.testing.assert_array_equal(values_of(table).astype(values.dtype), values)


@FUZZ
@given(values=FINITE, order=st.sampled_from("CF"), swap=st.booleans(), version=st.sampled_from([(1, 0), (2, 0)]))
def test_what_numpy_saves_is_read_back_equal(values, order, swap, version):
    dtype = values.dtype.newbyteorder() if swap else values.dtype
    table = read_table(npy_bytes(values.astype(dtype, order=order), version), "table.npy")
    assert table.names == tuple(f"column {i + 1}" for i in range(values.shape[1]))
    assert table.rows == len(values)
    np.testing.assert_array_equal(values_of(table), values)


@pytest.mark.parametrize("dtype", ["i1", ">i8", "u2", "<u8", "f2", "g"])
def test_real_numbers_of_any_kind_are_read(dtype):
    values = np.arange(60).reshape(30, 2).astype(dtype)
    np.testing.assert_array_equal(values_of(read_table(npy_bytes(values), "x.npy")), np.arange(60.0).reshape(30, 2))


def test_a_preview_shows_the_cells_as_they_are_written():
    table = read_table(csv_of(["007,1e2,a", "1.50,,b", *numbered(columns=3)], "x,y,z\n"), "table.csv")
    assert table.preview(2) == [{"x": "007", "y": "1e2", "z": "a"}, {"x": "1.50", "y": "", "z": "b"}]
    assert len(table.preview()) == 8
    assert len(table.preview(10**9)) == uploads.PREVIEW_ROWS
    assert table.preview(0) == table.preview(-1) == []
    assert read_table(npy_bytes(np.full((ROWS, 2), 0.5)), "a.npy").preview(1) == [
        {"column 1": "0.5", "column 2": "0.5"}
    ]


# ---------------------------------------------------------------------- gaps, words, lines that are too long


@pytest.mark.parametrize("row", ["1", "1,2,3", "1,2,,,,3", '"1', "7,8," + "9," * 300 + "1"], ids=repr)
def test_a_ragged_line_is_left_out_or_refused(row):
    data = csv_of(numbered(row, "100,200"))
    if row == '"1' or len(row) > 300:
        assert "Check that every quote is closed" in sentence_of(data)
    else:
        points = read_table(data, "table.csv").points("x", "y")
        assert (len(points.x), points.left_out) == (ROWS + 1, 1)
        assert points.note


def test_gaps_in_an_npy_and_in_other_columns():
    values = normal(ROWS, 3)
    values[3, 0], values[4, 1], values[5, 2] = np.nan, np.inf, -np.inf
    points = read_table(npy_bytes(values), "x.npy").points("column 2", "column 1")
    np.testing.assert_array_equal(points.x, np.delete(values, [3, 4], axis=0)[:, [1, 0]])
    assert points.note.startswith(f"2 of {ROWS} rows have a gap or a word")
    points.x[:] = 0.0  # a copy: the table stays
    assert read_table(npy_bytes(normal()), "x.npy").points("column 1", "column 2").note == ""


def test_a_column_is_numeric_if_half_of_it_is_and_twenty_cells_are():
    rows = [f"{i},{i if i % 2 else ''},{i if i >= 21 else 'word'},{i if i >= 11 else ''}" for i in range(40)]
    assert read_table(csv_of(rows, "all,half,low,most\n"), "table.csv").numeric == ("all", "half", "most")


# ---------------------------------------------------------------------- columns that cannot be points


def points_sentence(columns: dict[str, list[float]], first: str = "a", second: str = "b") -> str:
    data = pd.DataFrame(columns).to_csv(index=False).encode()
    with pytest.raises(ValueError, match=r"^Expected .*\.$") as caught:
        read_table(data, "t.csv").points(first, second)
    return str(caught.value)


COUNT = list(range(ROWS))


@pytest.mark.parametrize(
    ("b", "words"),
    [
        pytest.param([0.1] * ROWS, ["vary", "“b”", "constant"], id="constant"),
        pytest.param([1e9 + i / 1e3 for i in COUNT], ["“b”", "resolves 64", "Subtract"], id="far from zero"),
        pytest.param([i * 1e-50 for i in COUNT], ["“b”", "divide"], id="below single precision"),
        pytest.param([i * 1e300 for i in COUNT], ["“b”", "another unit"], id="beyond single precision"),
        pytest.param(COUNT, ["same numbers", "Choose another"], id="the same numbers"),
    ],
)
def test_a_column_that_cannot_be_learned_is_told(b, words):
    sentence = points_sentence({"a": COUNT, "b": b})
    assert all(word in sentence for word in words), sentence


def test_names_are_checked_and_gaps_must_leave_enough():
    assert "“a” twice" in points_sentence({"a": COUNT, "b": COUNT}, "a", "a")
    assert "got “c”. Choose among “a”, “b”" in points_sentence({"a": COUNT, "b": COUNT}, "a", "c")
    gaps = {"a": [*range(20), *[math.nan] * 18], "b": [*[math.nan] * 18, *range(20)]}
    assert "got 2 of 38" in points_sentence(gaps)


def test_the_rule_of_spread_holds_for_any_number_of_columns():
    check_spread(normal(50, 3) * [1e-35, 1.0, 1e37], ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"got column 2 of points\.csv with"):
        check_spread(np.array([[1.0, 1.0], [2.0, 1.0]]), ["column 1 of points.csv", "column 2 of points.csv"])


# ---------------------------------------------------------------------- hostile files


def zip_bytes() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")
    return file.getvalue()


def png_bytes() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "png")
    return file.getvalue()


TABLE = csv_of(numbered())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"", "empty file", id="empty"),
        pytest.param(b"\xef\xbb\xbf", "at least two columns", id="only a byte order mark"),
        pytest.param(b"\r\n \n", "at least two columns", id="only blank lines"),
        pytest.param(b"x,y\n", "at least 20 rows, got 0", id="only a header"),
        pytest.param(csv_of([",NA"] * 50), "got none among 2 columns of 50 rows", id="only gaps"),
        pytest.param(csv_of([f"{i},a" for i in range(50)]), "got only “x” among 2", id="one column of numbers"),
        pytest.param(b"1\n" * 50, "at least two columns, got one", id="one column"),
        pytest.param(b"1 2\n" * 50, "with commas", id="spaces"),
        pytest.param(b"Dear Sir, or Madam,\nplease find a table.\n", "at least 20 rows", id="a letter"),
        pytest.param(csv_of(["1,2"] * 19), "at least 20 rows, got 19", id="nineteen rows"),
        pytest.param(zip_bytes(), ".xlsx", id="an xlsx"),
        pytest.param(png_bytes(), "PNG", id="a picture"),
        pytest.param(npy_bytes(normal()), "Rename it to .npy", id="an npy"),
        pytest.param(TABLE.decode().encode("utf-16"), "UTF-16", id="UTF-16"),
        pytest.param(TABLE.decode().encode("utf-16-le"), "no text", id="UTF-16 without its mark"),
        pytest.param(TABLE + b"\0", "no text", id="a NUL"),
        pytest.param(TABLE + b"\xe9\x01", "no text", id="control characters and no UTF-8"),
        pytest.param(TABLE + b"\x81", "no text", id="neither UTF-8 nor Western European"),
        pytest.param(TABLE + b'"' * 100_001, "every quote is closed", id="quotes, deep and open"),
        pytest.param(b'"' * 100_001, "at least two columns", id="nothing but quotes"),
        pytest.param(TABLE + b'1,"' + b"z" * 2_000_000, "every quote is closed", id="a quote that never ends"),
        pytest.param(b"1," * 2_000_000, "at least two columns", id="a line of millions"),
        pytest.param(TABLE + b"1," * 2_000_000, "cells in every line", id="a line of millions, later"),
        pytest.param(b",".join([b"1"] * 201) + b"\n", "at most 200 columns, got 201", id="201 columns"),
    ],
)
def test_a_csv_that_is_no_table_is_told(data, words):
    assert words in sentence_of(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"x", "another kind", id="text"),
        pytest.param(png_bytes(), "another kind", id="a picture"),
        pytest.param(npy_bytes(normal())[:-1], "1 byte too short", id="short by a byte"),
        pytest.param(npy_bytes(normal())[:40], "header cannot be read", id="short in its header"),
        pytest.param(claiming("(1000000, 3)"), "too short", id="24 MB claimed"),
        pytest.param(claiming("(10**12, 2)"), "header cannot", id="a shape that is computed"),
        pytest.param(claiming(f"({10**12}, 2)"), "at most 1,000,000 rows", id="16 TB claimed"),
        pytest.param(claiming(f"(2, {10**4000})"), "points.T", id="columns without end"),
        pytest.param(claiming("(-5, -2)"), "shape (N, D)", id="a negative shape"),
        pytest.param(claiming("(1000000, 21)"), "at most 20,000,000 cells", id="too many cells"),
        pytest.param(claiming("(100, 2)", "'|O'"), "never loaded", id="pickled"),
        pytest.param(claiming("(50,)", "[('a', '<f8'), ('b', '<f8')]"), "fields “a”, “b”", id="records"),
        pytest.param(npy_bytes(np.ones((30, 2), complex)), "real numbers, got dtype complex128", id="complex"),
        pytest.param(npy_bytes(np.ones((30, 2), bool)), "got dtype bool", id="truth values"),
        pytest.param(npy_bytes(np.full((30, 2), "1.5")), "got dtype <U3", id="text in an array"),
        pytest.param(npy_bytes(np.zeros((30, 2), "M8[s]")), "datetime64", id="dates"),
        pytest.param(npy_bytes(np.ones(30)), "(30,)", id="one dimension"),
        pytest.param(npy_bytes(np.ones((30, 1))), "D at least 2", id="one column"),
        pytest.param(npy_bytes(np.ones((2, 300))), "points.T", id="on its side"),
        pytest.param(npy_bytes(np.ones((300, 201))), "at most 200 columns", id="201 columns"),
        pytest.param(npy_bytes(np.full((50, 2), np.nan)), "got none among 2", id="only gaps"),
        pytest.param(npy_bytes(np.ones((0, 2))), "at least 20 rows, got 0", id="no rows"),
        pytest.param(npy_header("(" * 9_000), "header cannot", id="nested deep"),
        pytest.param(npy_header("-" * 9_000 + "1"), "header cannot", id="nested deep, otherwise"),
        pytest.param(npy_header("{'descr': '\\d', 'shape': 0or 1}"), "header cannot", id="what Python warns about"),
        pytest.param(npy_header("[" + "0," * 2_000_000 + "]", b"\x02\x00", 4), "header cannot", id="a long header"),
        pytest.param(npy_header("__import__('os').abort()"), "header cannot", id="code"),
    ],
)
def test_an_npy_that_is_no_table_is_told(data, words):
    assert words in sentence_of(data, "table.npy")


@pytest.mark.parametrize("name", ["", "csv", ".csv", "x.txt", "x.csv.gz", "x.npz", "x\0.xlsx", "x." + "y" * 5000])
def test_other_endings_are_refused(name):
    assert len(sentence_of(TABLE, name)) < 200


class Bomb:
    """A pickle that would create a file where it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_is_not_executed(tmp_path):
    file = io.BytesIO()
    np.save(file, np.array([[Bomb(tmp_path / "trace"), 1.0]] * ROWS, dtype=object))
    assert "never loaded" in sentence_of(file.getvalue(), "x.npy")
    assert "another kind" in sentence_of(pickle.dumps(Bomb(tmp_path / "trace")), "x.npy")
    assert not (tmp_path / "trace").exists()


def test_the_limits_hold(monkeypatch):
    monkeypatch.setattr(uploads, "MAX_ROWS", ROWS)
    wide, tall = csv_of(numbered()), csv_of(numbered("1,2"))
    assert read_table(wide, "x.csv").rows == ROWS
    assert "random part" in sentence_of(tall)
    assert "random part" in sentence_of(npy_bytes(normal(ROWS + 1)), "x.npy")
    monkeypatch.setattr(uploads, "MAX_CELLS", 2 * ROWS + 2)
    assert "cells" in sentence_of(csv_of(numbered(columns=3), ""))
    monkeypatch.setattr(uploads, "MAX_BYTES", len(wide))
    assert read_table(wide, "x.csv").rows == ROWS
    assert "random part" in sentence_of(tall)
    monkeypatch.setattr(uploads, "MOST_LINES", ROWS)
    assert "rows, got more" in sentence_of(wide)
    whole = npy_bytes(np.arange(ROWS * MAX_COLUMNS * 1.0).reshape(ROWS, -1))
    monkeypatch.undo()
    assert len(read_table(whole, "x.npy").numeric) == MAX_COLUMNS


# ---------------------------------------------------------------------- anything at all


def outcome(data: bytes, name: str) -> tuple[Table | None, Points | ValueError]:
    table = None
    try:
        table = read_table(data, name)
        return table, table.points(*table.numeric[:2])
    except ValueError as error:
        return table, error


def is_table_or_sentence(data: bytes, name: str) -> None:
    """The claim of the fuzzed tests; warnings are errors."""
    table, points = outcome(data, name)
    if isinstance(points, ValueError):
        assert type(points) is ValueError  # with words of our own, unlike pandas' ParserError
        assert str(points).startswith("Expected ")
        assert str(points).endswith(".")
        assert len(str(points)) < 600
        return
    assert isinstance(points, Points)
    assert points.x.dtype == np.float64
    assert points.x.shape == (table.rows - points.left_out, 2)
    assert np.isfinite(points.x).all()
    assert len(points.x) >= MIN_ROWS
    assert len(table.preview()) == min(8, len(table.head))


CELLS = st.one_of(
    st.floats().map(repr),
    st.integers().map(str),
    st.from_regex(r"[ +-]?[0-9.,]{0,6}(e[+-]?[0-9]{1,4})?", fullmatch=True),
    st.sampled_from(
        ["", "nan", '"', '""', '"a', "x", "\r", "\n", "1e400", "0x1F", "1,234.5", "٣", "\u2212", "é", "=1"]
    ),
    st.text(max_size=4),
)


@FUZZ
@given(
    data=st.binary(max_size=400), magic=st.sampled_from([b"", b"\x93NUMPY\x01\x00", TABLE]), name=st.sampled_from("cn")
)
def test_any_bytes_are_a_table_or_a_sentence(data, magic, name):
    is_table_or_sentence(magic + data, {"c": "x.csv", "n": "x.npy"}[name])


@FUZZ
@given(
    extra=st.lists(st.lists(CELLS, max_size=5), max_size=8),
    separator=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\r\n", "\r", "\n\r"]),
    encoding=st.sampled_from(["utf-8", "cp1252", "utf-16"]),
)
def test_any_cells_among_numbers_are_a_table_or_a_sentence(extra, separator, end, encoding):
    rows = [separator.join(cells) for cells in [*extra[:2], *[row.split(",") for row in numbered()], *extra[2:]]]
    is_table_or_sentence(end.join(rows).encode(encoding, "replace"), "x.csv")


@FUZZ
@given(
    source=st.sampled_from([(TABLE, "x.csv"), (npy_bytes(normal()), "x.npy")]),
    edits=st.lists(st.tuples(st.integers(0, 607), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 608),
)
def test_a_damaged_file_is_a_table_or_a_sentence(source, edits, cut):
    content = bytearray(source[0])
    for at, byte in edits:
        content[at % len(content)] = byte
    is_table_or_sentence(bytes(content), source[1])
    is_table_or_sentence(bytes(content[:cut]), source[1])
