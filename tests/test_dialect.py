"""A CSV says the same however it is written, and pandas and this project agree on what a number is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aio import uploads
from aio.dialect import Dialect, dialect_of, number
from aio.uploads import read_table

FUZZ = settings(max_examples=150, deadline=None)
ROWS = 30


def csv_of(rows: list[str], header: str = "x,y\n") -> bytes:
    return (header + "".join(f"{row}\n" for row in rows)).encode()


def numbered(*more: str, columns: int = 2) -> list[str]:
    """ROWS whole rows, and then some."""
    return [",".join(str(i * (c + 1) % 17) for c in range(columns)) for i in range(ROWS)] + list(more)


EIGHTHS = [(i / 8, -i / 4) for i in range(ROWS)]


def written(form: str, head: str = "", end: str = "\n") -> str:
    return head + "".join(form.format(x, y) + end for x, y in EIGHTHS)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        pytest.param(written("{},{}"), None, id="no header"),
        pytest.param(written("{},{}", "x,y\n").rstrip(), "x y", id="no newline at the end"),
        pytest.param(written("{},{}", "\ufeffx,y\r\n", "\r\n"), "x y", id="as Excel writes it"),
        pytest.param(written("{};{}", "x;y\n"), "x y", id="semicolons"),
        pytest.param(written("{}\t{}", "x\ty\n"), "x y", id="tabs"),
        pytest.param(written("{};{}", "x;y\n").replace(".", ","), "x y", id="decimal commas"),
        pytest.param(written("{}\t{}").replace(".", ","), None, id="decimal commas, tabs"),
        pytest.param(written('"{}" , "{}"', '"x","y"\n'), "x y", id="quotes and spaces"),
        pytest.param(written("{},{}", "x,y\r", "\r"), "x y", id="carriage returns"),
        pytest.param(written("{},{}", "\n  \nx,y\n", "\n\r\n\r"), "x y", id="mixed line ends and blank lines"),
        pytest.param(written("{},{},", "x,y\n"), "x y", id="a comma at the end of each row"),
        pytest.param(written("{},{}", "x,x\n"), "x|x (2)", id="a name twice"),
        pytest.param(written("{},{}", ",x\n"), "column 1|x", id="no name"),
        pytest.param(written("{},{}", '"x, ""cm""\n",y\n'), 'x, "cm"|y', id="a comma, quotes and a line in a name"),
        pytest.param(written("{},{}", "Größe,é\n").encode("cp1252"), "Größe é", id="Western European"),
        pytest.param(written("{},{}", "Größe,漢\n"), "Größe 漢", id="UTF-8"),
        pytest.param(written("{:e},{:+}"), None, id="exponents and signs"),
    ],
)
def test_dialects_of_csv_say_the_same(content, names):
    table = read_table(content if isinstance(content, bytes) else content.encode(), "table.csv")
    wanted = (names.split("|") if "|" in names else names.split()) if names else ["column 1", "column 2"]
    assert table.names == tuple(wanted)
    np.testing.assert_array_equal(np.column_stack(list(table.columns.values())), EIGHTHS)


def test_names_of_rows_as_r_writes_them_are_a_column_of_their_own():
    table = read_table(csv_of([f'"r{i}",{i},{i % 7}' for i in range(ROWS)]), "table.csv")
    assert table.names == ("column 1", "x", "y")
    assert table.columns["y"].tolist() == [i % 7 for i in range(ROWS)]


def test_all_names_differ_and_can_be_shown():
    header = ["x", "x (2)", "x", "", "column 4", " \x1b[31m red ", "z" * 500, "z" * 500]
    table = read_table(csv_of(numbered(columns=8), ",".join(header) + "\n"), "table.csv")
    assert table.names[:6] == ("x", "x (2)", "x (3)", "column 4", "column 4 (2)", "[31m red")
    assert len(set(table.names)) == 8
    assert all(name.isprintable() and len(name) < 80 for name in table.names)


# ---------------------------------------------------------------------- separator, decimal mark, header


@pytest.mark.parametrize(
    ("text", "delimiter", "decimal"),
    [
        pytest.param("a;b\n1;2\n", ";", ".", id="whole numbers"),
        pytest.param("a;b\n1,5;2\n1;2.5\n1,25;3\n", ";", ",", id="more commas than points"),
        pytest.param("a;b\n1.234,5;2,5\n", ";", ",", id="points between thousands"),
        pytest.param("a;b\n1,234.5;2.5\n", ";", ".", id="commas between thousands"),
        pytest.param('a,b\n"x; y; z",2\n"u;v",3\n', ",", ".", id="semicolons in words"),
        pytest.param('a,b\n"1,5","2,5"\n', ",", ".", id="commas only"),
        pytest.param("a title; long\na,b,c\n1,2,3\n4,5,6\n", ",", ".", id="a line above the header"),
        pytest.param('a,b,c\n1,2,"x;y"\n3,4,"z;w"\n', ",", ".", id="a semicolon in every row"),
        pytest.param("x,y,t\n1,5;2,5;a\n1,5;2,5;b\n", ";", ",", id="commas in the header"),
        pytest.param("a\tb\n1,5\t2,5\n", "\t", ",", id="tabs"),
    ],
)
def test_the_separator_and_the_decimal_mark_are_found(text, delimiter, decimal):
    found = dialect_of(text.encode())
    assert (found.delimiter, found.decimal) == (delimiter, decimal)


@pytest.mark.parametrize("first", ["1,2", "3 cm,4 cm", ".5,x", "-1,y", "2020,2021", "NA,nan", ","])
def test_a_line_that_could_be_a_row_is_no_header(first):
    found = dialect_of(f"{first}\n1,2\n3,4\n".encode())
    assert (found.top, found.body, len(found.rows)) == ([], 0, 3)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_rows_begin_where_the_header_ends(encoding, end):
    header = f'{end}"é, or{end}e",y{end}'.encode(encoding)
    data = header + f"1,2{end}3,4{end}".encode()
    assert dialect_of(data).body == len(header)


# ---------------------------------------------------------------------- numbers


def test_numbers_are_pythons_in_plain_form():
    assert [number(cell) for cell in ("1", " -1.5 ", "+.5e-3", "2.", "0" * 9000)] == [1.0, -1.5, 0.0005, 2.0, 0.0]
    assert [number(cell, ",") for cell in ("1,5", "-,5", "2")] == [1.5, -0.5, 2.0]
    for cell, decimal in [("1.5", ","), ("1,5", "."), ("1,234,567", ","), ("1_0", "."), ("٣", "."), ("1e400", ".")]:
        assert math.isnan(number(cell, decimal)), cell
    assert number(10**30) == 1e30  # pandas' whole numbers beyond 64 bits
    assert math.isnan(number(10**400))
    assert math.isnan(number(True))


@pytest.mark.parametrize("form", ["%.17g", "%.25g", "%.30f", "%.18e"])
@pytest.mark.parametrize("scale", [1, 1e10, 1e-10, 1e200, 1e-310])
def test_every_digit_of_a_csv_counts(form, scale):
    """The oracle is Python's own reader, which rounds correctly."""
    cells = [form % value for value in (np.random.default_rng(0).normal(size=500) * scale).tolist()]
    table = read_table(csv_of([f"{cell},1" for cell in cells]), "x.csv")
    assert table.columns["x"].tolist() == [float(cell) for cell in cells]


GAPS = ["", " ", "NA", "nan", "NaN", "null", "None", "-", "?", "n/a"]
WORDS = ["x", "3 cm", "inf", "-Infinity", "1e400", "0x10", "1_000", "1 000", '"1,000"', '"1,5"', "١٢", "½", "1e", "."]
WORDS += ["--1", "True", "2020-01-01", "9" * 5000, "9" * 400, "1\x0b2"]


@pytest.mark.parametrize("cell", GAPS + WORDS)
def test_a_row_with_a_gap_or_a_word_is_left_out_and_told(cell):
    table = read_table(csv_of(numbered(f"1,{cell}", "100,200")), "table.csv")
    points = table.points("x", "y")
    assert points.x[-1].tolist() == [100.0, 200.0]
    assert (table.rows, len(points.x), points.left_out) == (ROWS + 2, ROWS + 1, 1)
    assert points.note == f"1 of {ROWS + 2} rows has a gap or a word in one of the two columns and was left out."


CELLS = st.one_of(
    st.floats().map(repr),
    st.integers().map(str),
    st.integers(17, 500).map(lambda digits: "7" * digits),
    st.from_regex(r"[ +-]{0,2}[0-9.,]{0,6}(e[+-]?[0-9]{1,4})? ?", fullmatch=True),
    st.text(max_size=4),
)


@FUZZ
@given(cell=CELLS.filter(lambda cell: not set(cell) & set('"\r\n\0;\ud800')), decimal=st.sampled_from(".,"))
def test_pandas_and_this_project_agree_on_what_a_number_is(cell, decimal):
    """A column of numbers is read by pandas, a column with a word in it cell by cell."""
    layout = Dialect("utf-8", ";", decimal, [], 2, 0, [])
    alone = uploads._numbers(uploads._frame(f"{cell};1\n".encode(), layout, 3)[0], decimal)
    np.testing.assert_array_equal(alone, number(cell, decimal))


@FUZZ
@given(text=st.text(max_size=300))
def test_a_dialect_is_found_or_refused(text):
    data = text.encode("utf-8", "surrogatepass")
    try:
        found = dialect_of(data)
    except ValueError as error:
        found = error
    if isinstance(found, ValueError):
        assert str(found).startswith("Expected ")
    else:
        assert found.width >= 2
        assert 0 <= found.body <= len(data)
