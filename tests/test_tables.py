"""Tables give back the points that were written, and answer any other file with a sentence."""

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aio import tables
from aio.tables import check_output, read_points, replace_file, write_npy, write_points

FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
POINTS = [[1.5, -2.0], [3.0, 0.25]]


def file_of(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def npy_bytes(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def sentence_of(path: Path) -> str:
    with pytest.raises(ValueError, match=r"^Expected ") as caught:
        read_points(path)
    return str(caught.value)


# ---------------------------------------------------------------------- what is written comes back


@pytest.mark.parametrize("name", ["points.csv", "points.npy", "POINTS.CSV"])
@FUZZ
@given(
    points=hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        st.tuples(st.integers(1, 20), st.just(2)),
        elements=st.floats(allow_nan=False, allow_infinity=False, width=32),
    )
)
def test_points_come_back_to_the_last_digit(tmp_path, name, points):
    write_points(tmp_path / name, points)
    back = read_points(tmp_path / name)
    assert back.dtype == np.float64
    np.testing.assert_array_equal(back.astype(points.dtype), points)


def test_float64_csv_keeps_every_digit(tmp_path):
    points = np.random.default_rng(0).normal(size=(100, 2)) * np.pi
    write_points(tmp_path / "points.csv", points)
    np.testing.assert_array_equal(read_points(tmp_path / "points.csv"), points)


def test_a_csv_that_is_written_has_a_header(tmp_path):
    write_points(tmp_path / "points.csv", np.array(POINTS))
    assert (tmp_path / "points.csv").read_text() == "x,y\n1.5,-2\n3,0.25\n"


def test_csv_agrees_with_numpys_reader(tmp_path):
    text = "".join(f"{x!r},{y:.6e}\n" for x, y in np.random.default_rng(1).normal(size=(500, 2)).tolist())
    path = file_of(tmp_path, "points.csv", text)
    np.testing.assert_array_equal(read_points(path), np.loadtxt(path, delimiter=","))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("1.5,-2\n3,.25\n", id="no header"),
        pytest.param("x,y\n1.5,-2\n3,.25", id="header, no newline at the end"),
        pytest.param('"width, cm","height"\n"1.5","-2"\n3,0.25\n', id="quotes"),
        pytest.param("x;y\n1.5;-2\n3;0.25\n", id="semicolons"),
        pytest.param("x\ty\n1.5\t-2\n3\t0.25\n", id="tabs"),
        pytest.param("\ufeffx,y\r\n1.5,-2\r\n3,0.25\r\n", id="as Excel writes it"),
        pytest.param("\ufeff1.5,-2\n3,.25\n", id="a byte order mark before a number"),
        pytest.param("\n  \nx,y\n\n1.5 , -2\n\n3e0,+25E-2\n\n", id="blank lines and spaces"),
        pytest.param("1.5,-2\r3,0.25\r", id="carriage returns"),
    ],
)
def test_dialects_of_csv_say_the_same(tmp_path, text):
    assert read_points(file_of(tmp_path, "points.csv", text)).tolist() == POINTS


@pytest.mark.parametrize("dtype", ["<f2", ">f4", ">f8", "i1", "<u8", "g"])
def test_real_numbers_of_any_kind_are_read(tmp_path, dtype):
    whole = np.array([[1, 2], [3, 4]], dtype=dtype, order="F")
    back = read_points(file_of(tmp_path, "points.npy", npy_bytes(whole)))
    assert back.dtype == np.float64
    assert back.tolist() == [[1.0, 2.0], [3.0, 4.0]]


# ---------------------------------------------------------------------- what is refused, and how


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", ["at least one row", "got none"], id="empty"),
        pytest.param("x,y\n", ["at least one row", "got none"], id="header only"),
        pytest.param("1,2,3\n4,5,6\n", ["2 columns", "got 3", "cut -d, -f1,2"], id="three columns"),
        pytest.param("a;b;c\n4;5;6\n", ["2 columns", "got 3", "cut -d';' -f1,2"], id="three columns, semicolons"),
        pytest.param("a\tb\tc\n4\t5\t6\n", ["2 columns", "got 3", "cut -f1,2"], id="three columns, tabs"),
        pytest.param("1\n2\n", ["2 columns", "got 1", "comma between"], id="one column"),
        pytest.param("This is a letter.\n", ["2 columns", "got 1"], id="text"),
        pytest.param("x,y\n1,2\n3\n", ["got 1 in row 2 (line 3)"], id="a row too short"),
        pytest.param("1,2\n3,4,5\n", ["got 3 in row 2 (line 2)"], id="a row too long"),
        pytest.param("x,y\n1,2\n3,\n5,\n", ["got '' in row 2 (line 3), column 2", "Remove that row"], id="gap"),
        pytest.param("x,y\n,2\n", ["got '' in row 1 (line 2), column 1"], id="gap first"),
        pytest.param("NA,NA\n1,2\n", ["got 'NA' in row 1 (line 1)"], id="gaps are no header"),
        pytest.param(",\n1,2\n", ["got '' in row 1 (line 1)"], id="empty cells are no header"),
        pytest.param("1,2\n\n3,nan\n", ["got 'nan' in row 2 (line 3), column 2"], id="NaN"),
        pytest.param("1,2\n-inf,3\n", ["got '-inf' in row 2 (line 2), column 1"], id="infinity"),
        pytest.param("1,2\n1e999,3\n", ["got '1e999' in row 2"], id="too large for a float"),
        pytest.param("1,2\nx,y\n", ["got 'x' in row 2"], id="a header in the middle"),
        pytest.param("x,y\nu,v\n1,2\n", ["got 'u' in row 1 (line 2)"], id="two headers"),
        pytest.param("1,2\n1_000,3\n", ["got '1_000'"], id="Python's own numbers"),
        pytest.param("1_000,2_000\n3,4\n", ["got '1_000' in row 1"], id="Python's own numbers, first"),
        pytest.param("3 cm,4 cm\n3,4\n", ["got '3 cm' in row 1"], id="units"),
        pytest.param("1,5;2,5\n", ["got '1,5'", "Write decimals with a point"], id="decimal commas"),
        pytest.param("1,2\n3," + "z" * 1000, ["got '" + "z" * 40 + "…'"], id="a long cell is cut"),
        pytest.param('1,"' + "z" * 200_000, ["Check its quotes"], id="a quote that never ends"),
        pytest.param("h" * 200_000 + ",y\n1,2\n", ["field limit"], id="a huge header"),
        pytest.param("x,y\n1,2\n".encode("utf-16"), ["UTF-8"], id="UTF-16"),
        pytest.param(b"\x00\xff\xfe binary", ["UTF-8"], id="bytes"),
        pytest.param("1,2\x00\n", ["got '2\\x00'"], id="a NUL"),
    ],
)
def test_a_csv_that_is_no_table_of_points_is_told(tmp_path, text, words):
    sentence = sentence_of(file_of(tmp_path, "points.csv", text))
    for word in [*words, "points.csv"]:
        assert word in sentence


class Bomb:
    """A pickle that would create a file where it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_is_not_executed(tmp_path):
    trace = tmp_path / "executed"
    objects = np.array([[Bomb(trace), 1.0]], dtype=object)
    sentence = sentence_of(file_of(tmp_path, "points.npy", npy_bytes(objects)))
    assert "numpy.save" in sentence
    assert "numpy.save" in sentence_of(file_of(tmp_path, "bare.npy", pickle.dumps(Bomb(trace))))
    assert not trace.exists()
    np.load(tmp_path / "points.npy", allow_pickle=True)  # the bomb works, where someone lights it
    assert trace.exists()


def npy_header(text: str, length: int | None = None) -> bytes:
    header = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + (len(header) if length is None else length).to_bytes(2, "little") + header


def zip_of(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, values)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", ["cannot map"], id="empty"),
        pytest.param(b"x,y\n1,2\n", ["cannot map"], id="text"),
        pytest.param(npy_bytes(np.ones((100, 2)))[:-1], ["cannot map"], id="truncated by a byte"),
        pytest.param(npy_bytes(np.ones((100, 2)))[:40], ["cannot map"], id="truncated in its header"),
        pytest.param(zip_of(np.ones((3, 2))), ["cannot map"], id="an npz"),
        pytest.param(npy_bytes(np.ones((4, 3))), ["(N, 2)", "(4, 3)", "Choose two columns"], id="three columns"),
        pytest.param(npy_bytes(np.ones(4)), ["(N, 2)", "(4,)", "one point in a row"], id="one dimension"),
        pytest.param(npy_bytes(np.float64(1)), ["(N, 2)", "()"], id="a number"),
        pytest.param(npy_bytes(np.ones((0, 2))), ["points.npy"], id="no rows"),
        pytest.param(npy_bytes(np.ones((2, 2), complex)), ["real", "complex128"], id="complex"),
        pytest.param(npy_bytes(np.ones((2, 2), bool)), ["real", "bool"], id="bool"),
        pytest.param(npy_bytes(np.array([["1", "2"]])), ["real", "<U1"], id="strings"),
        pytest.param(npy_bytes(np.zeros((2, 2), "f8,f8")), ["real"], id="records"),
        pytest.param(
            npy_bytes(np.array([[1, 2], [3, np.nan], [np.inf, 1]])), ["nan", "row 2 (index 1), column 2"], id="NaN"
        ),
        pytest.param(npy_bytes(np.array([[1, 2], [np.inf, 3]])), ["inf", "row 2 (index 1), column 1"], id="infinity"),
        pytest.param(
            npy_bytes(np.array([[1, 2], [np.longdouble("1e4000"), 3]])), ["inf"], id="a long double too large"
        ),
        pytest.param(
            npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 2), }"),
            ["cannot map"],
            id="a header that promises 16 TB",
        ),
        pytest.param(
            npy_header(
                "{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807), }"
            ),
            ["cannot map"],
            id="a shape that overflows",
        ),
        pytest.param(npy_header("{'descr': '<f8'" + " " * 60_000 + "}"), ["cannot map"], id="a huge header"),
        pytest.param(npy_header("(" * 9_000), ["cannot map"], id="a header nested deep"),
        pytest.param(npy_header("__import__('os').abort()"), ["cannot map"], id="a header that is code"),
    ],
)
def test_an_npy_that_is_no_array_of_points_is_told(tmp_path, content, words):
    sentence = sentence_of(file_of(tmp_path, "points.npy", content))
    for word in [*words, "points.npy"]:
        assert word in sentence


@pytest.mark.parametrize("name", ["points.txt", "points", "points.npz", "points.csv.gz"])
def test_other_endings_are_refused(tmp_path, name):
    assert ".csv or .npy" in sentence_of(file_of(tmp_path, name, "1,2\n"))
    with pytest.raises(ValueError, match=r"\.csv or \.npy"):
        write_points(tmp_path / "new" / name, np.array(POINTS))
    with pytest.raises(ValueError, match=r"\.csv or \.npy"):
        check_output(tmp_path / name)


def test_a_folder_and_a_pipe_are_refused_and_a_missing_file_is_an_os_error(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    assert "folder" in sentence_of(tmp_path / "folder.csv")
    assert "device" in sentence_of(tmp_path / "pipe.csv")
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        read_points(tmp_path / "none.csv")


@pytest.mark.parametrize("name", ["points.csv", "points.npy"])
def test_too_many_rows_are_refused_and_the_most_allowed_are_read(tmp_path, monkeypatch, name):
    monkeypatch.setattr(tables, "MAX_ROWS", 3)
    write_points(tmp_path / name, np.ones((3, 2)))
    assert len(read_points(tmp_path / name)) == 3
    write_points(tmp_path / name, np.ones((4, 2)))
    assert "at most 3 rows" in sentence_of(tmp_path / name)


@pytest.mark.parametrize("name", ["points.csv", "points.npy"])
def test_a_file_too_large_is_refused_unread(tmp_path, name):
    path = file_of(tmp_path, name, "")
    os.truncate(path, tables.MAX_BYTES + 1)  # a sparse file: it takes no space
    assert "500 MB" in sentence_of(path)


# ---------------------------------------------------------------------- anything at all


def outcome(path: Path) -> np.ndarray | ValueError:
    try:
        return read_points(path)
    except ValueError as error:
        return error


def is_points_or_sentence(path: Path) -> None:
    """The claim of the fuzzed tests."""
    result = outcome(path)
    if isinstance(result, ValueError):
        assert type(result) is ValueError  # with words of our own, unlike UnicodeDecodeError and its like
        assert str(result).startswith("Expected ")
        assert str(result).endswith(".")
    else:
        assert result.dtype == np.float64
        assert result.ndim == 2
        assert result.shape[1] == 2
        assert len(result) > 0
        assert np.isfinite(result).all()


CELLS = st.one_of(
    st.floats().map(repr), st.integers().map(str), st.sampled_from(["", " ", "nan", '"', "x", "\r", "\0"])
)
LINES = st.lists(st.lists(CELLS, max_size=3).map(",".join), max_size=6)


@FUZZ
@given(text=st.one_of(st.text(), LINES.map("\n".join), LINES.map("\r\n".join)))
def test_any_text_is_points_or_a_sentence(tmp_path, text):
    is_points_or_sentence(file_of(tmp_path, "fuzz.csv", text.encode("utf-8", "surrogatepass")))


@pytest.mark.parametrize("name", ["fuzz.csv", "fuzz.npy"])
@FUZZ
@given(content=st.binary(max_size=300))
def test_any_bytes_are_points_or_a_sentence(tmp_path, name, content):
    is_points_or_sentence(file_of(tmp_path, name, content))


@FUZZ
@given(edits=st.lists(st.tuples(st.integers(0, 159), st.integers(0, 255)), max_size=4), cut=st.integers(0, 160))
def test_a_damaged_npy_is_points_or_a_sentence(tmp_path, edits, cut):
    content = bytearray(npy_bytes(np.array(POINTS)))  # 128 bytes of header, 32 of numbers
    for at, byte in edits:
        content[at] = byte
    is_points_or_sentence(file_of(tmp_path, "fuzz.npy", bytes(content[:cut])))
    is_points_or_sentence(file_of(tmp_path, "whole.npy", bytes(content)))


# ---------------------------------------------------------------------- whole, or not at all


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = file_of(tmp_path, "kept.npy", "old")

    def fail(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_file(path, fail)
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["kept.npy"]


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = file_of(tmp_path, "kept.npy", "old")
    seen = []

    def write(file):
        file.write(b"new")
        file.flush()
        seen.append(path.read_text())

    replace_file(path, write)
    assert (seen, path.read_text(), names_in(tmp_path)) == (["old"], "new", ["kept.npy"])


def test_a_link_stays_a_link_and_permissions_follow_the_mask(tmp_path):
    (tmp_path / "link.npy").symlink_to(tmp_path / "real.npy")
    write_npy(tmp_path / "link.npy", np.arange(3.0))
    assert (tmp_path / "link.npy").is_symlink()
    assert np.load(tmp_path / "real.npy").tolist() == [0.0, 1.0, 2.0]
    (tmp_path / "plain").touch()
    assert (tmp_path / "real.npy").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_output_that_cannot_be_written_is_known_before(tmp_path, monkeypatch):
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(ValueError, match="got the folder"):
        check_output(tmp_path / "folder.npy")
    with pytest.raises(ValueError, match=r"Create .*missing first"):
        check_output(tmp_path / "missing" / "points.npy")
    check_output(tmp_path / "points.npy")
    assert names_in(tmp_path) == ["folder.npy"]
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root, as in containers, may write everywhere
    with pytest.raises(ValueError, match="can be written to"):
        check_output(tmp_path / "points.npy")
