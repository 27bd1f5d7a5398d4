"""Small pieces of text that several pages share: rows and tables of numbers."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import streamlit as st

__all__ = ["choice", "number_row", "number_table"]


def choice(label: str, options: Sequence[str], *, key: str) -> str:
    """A choice between the parts of a page; the first at the beginning."""
    return st.segmented_control(label, list(options), key=key, default=options[0], required=True,
                                label_visibility="collapsed")  # fmt: skip


def number_row(items: Mapping[str, str]) -> None:
    """Named numbers in a row; they wrap where there is no room."""
    cells = "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in items.items())
    st.html(f'<dl class="numbers">{cells}</dl>')


def number_table(rows: Mapping[str, str | Sequence[str]], *, head: Sequence[str] = (), mark: int | None = None) -> None:
    """A table with a name and numbers in each row.

    Args:
        rows: name → number, or numbers.
        head: titles of the columns, the first one above the names.
        mark: a column of numbers, from 0, that is set apart.
    """
    lines = []
    if head:
        lines.append("".join(f"<th scope=col>{_text(title)}</th>" if title else "<td></td>" for title in head))
    for name, values in rows.items():
        cells = [values] if isinstance(values, str) else values
        marked = (' class="here"' if i == mark else "" for i in range(len(cells)))
        numbers = "".join(f"<td{m}>{_text(value)}</td>" for m, value in zip(marked, cells, strict=True))
        lines.append(f"<th scope=row>{_text(name)}</th>{numbers}")
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    st.html(
        f'<div class="wide" tabindex="0" role="group" aria-label="Numbers"><table class="sums">{body}</table></div>'
    )


def _text(value: str) -> str:
    """As HTML, with the minus sign that is as wide as a plus."""
    return html.escape(value).replace("-", "−") if any(c.isdigit() for c in value) else html.escape(value)
