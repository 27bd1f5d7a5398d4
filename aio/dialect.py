"""How a CSV is written: its encoding, separator, decimal mark and header, learned from its beginning.

>>> dialect = dialect_of("Größe;Gewicht\\n1,5;60\\n1,75;71\\n".encode("cp1252"))
>>> dialect.encoding, dialect.delimiter, dialect.decimal, dialect.top
('cp1252', ';', ',', ['Größe', 'Gewicht'])
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
import sys
from collections import Counter
from dataclasses import dataclass

from aio.tables import BEGINS_LIKE_A_NUMBER, DELIMITERS, GAPS

__all__ = ["KINDS", "NPY", "Dialect", "dialect_of", "number"]

HEAD_BYTES = 1_000_000  # what is looked at
HEAD_RECORDS = 1_000
CHUNK = 1_000_000  # bytes decoded at once
UNPRINTABLE = bytes(set(range(32)) - set(b"\t\n\r\f"))  # bytes that no text has, whatever its encoding
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)

NPY = b"\x93NUMPY"
KINDS = {
    NPY: "a numpy array",
    b"PK\x03\x04": "a zip archive, as .xlsx and .npz files are",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF",
    b"PAR1": "a Parquet file",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}


@dataclass(frozen=True)
class Dialect:
    """How a CSV is written.

    Args:
        encoding: utf-8 or cp1252.
        delimiter: one of DELIMITERS.
        decimal: a point or a comma.
        top: the cells of the header; empty where there is none.
        width: how many columns, at least 2.
        body: the byte at which the rows begin.
        rows: the first rows, as they are written.
    """

    encoding: str
    delimiter: str
    decimal: str
    top: list[str]
    width: int
    body: int
    rows: list[list[str]]


def dialect_of(data: bytes) -> Dialect:
    """How a CSV is written, as its first HEAD_RECORDS rows show it.

    The separator is the one that gives the most numbers, then the most rows of the same length; among equals a
    semicolon, then a tab: beside them a comma belongs to a number. The first line is a header if no cell begins like
    a number and not every one says that a value is missing.

    Args:
        data: the file, without a byte order mark.

    Raises:
        ValueError: if it is no text, or there are no two columns.
    """
    encoding = _encoding(data)
    lines = list(io.StringIO(data[:HEAD_BYTES].decode(encoding, "ignore"), newline=""))
    if len(data) > HEAD_BYTES:
        lines.pop()  # cut off, perhaps
    best, delimiter, records, width = (0, 0.0), "", [], 0
    for candidate in DELIMITERS:
        found = _records(lines, candidate)
        ((cells, count),) = Counter(len(row) for row, _ in found).most_common(1) or [(0, 0)]
        if cells < 2:
            continue
        mark = _decimal([row for row, _ in found], candidate)
        numbers = sum(not math.isnan(number(cell, mark)) for row, _ in found for cell in row)
        if (score := (numbers, count / len(found))) > best:
            best, delimiter, records, width = score, candidate, found, cells
    if not records:
        raise ValueError(
            "Expected a table of at least two columns, got one or none. Separate the cells of a line with commas, "
            "semicolons or tabs, and close every quote."
        )
    rows, top, body = [row for row, _ in records], [], 0
    if _is_header(rows[0]):
        top, rows = rows[0], rows[1:]
        body = sum(len(line.encode(encoding)) for line in lines[: records[0][1]])
    if top and width == len(top) + 1:
        if any(row[-1].strip() for row in rows if len(row) == width):
            top = ["", *top]  # as R writes the names of rows: above them stands nothing
        else:
            width -= 1  # a separator at the end of every line
    return Dialect(encoding, delimiter, _decimal(rows, delimiter), top, max(width, len(top)), body, rows)


def number(cell: object, decimal: str = ".") -> float:
    """What a cell says; NaN for a gap, a word, a number too large, one of another language's form.

    Args:
        cell: text, or what pandas made of it: a whole number beyond 64 bits, a truth value.
    """
    if type(cell) is int:
        return float(cell) if abs(cell) <= sys.float_info.max else math.nan
    cell = str(cell).strip()
    if decimal == ",":
        cell = cell.translate({ord(","): ".", ord("."): ","})
    value = float(cell) if NUMBER.fullmatch(cell) else math.nan
    return value if math.isfinite(value) else math.nan


def _encoding(data: bytes) -> str:
    """Of a text, UTF-8 where it can be; otherwise what Western European spreadsheets write."""
    kind = next((kind for start, kind in KINDS.items() if data.startswith(start)), None)
    if kind is None and b"\0" not in data:
        if _is_text(data, "utf-8"):
            return "utf-8"
        if len(data.translate(None, UNPRINTABLE)) == len(data) and _is_text(data, "cp1252"):
            return "cp1252"
    mend = "Rename it to .npy" if kind == KINDS[NPY] else "Save the table as a CSV in UTF-8"
    raise ValueError(f"Expected a CSV, which is text, got {kind or 'bytes that are no text'}. {mend}.")


def _is_text(data: bytes, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for start in range(0, len(data), CHUNK):
            decoder.decode(data[start : start + CHUNK], final=start + CHUNK >= len(data))
    except UnicodeDecodeError:
        return False
    return True


def _records(lines: list[str], delimiter: str) -> list[tuple[list[str], int]]:
    """The first rows that are not blank, each with the number of the line it ends on; none if the quotes are amiss."""
    records = []
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    try:
        for row in reader:
            if len(row) > 1 or "".join(row).strip():
                records.append((row, reader.line_num))
            if len(records) == HEAD_RECORDS:
                break
    except csv.Error:
        return []
    return records


def _is_header(row: list[str]) -> bool:
    words = [cell.strip().lower() for cell in row]
    return not GAPS.issuperset(words) and not any(BEGINS_LIKE_A_NUMBER.match(word) for word in words)


def _decimal(rows: list[list[str]], delimiter: str) -> str:
    """The mark that more numbers have, where a comma is not the separator."""
    if delimiter == ",":
        return "."
    cells = [cell for row in rows for cell in row]
    commas = sum("," in cell and not math.isnan(number(cell, ",")) for cell in cells)
    points = sum("." in cell and not math.isnan(number(cell, ".")) for cell in cells)
    return "," if commas > points else "."
