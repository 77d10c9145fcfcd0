"""Tables, and how they are written: on a terminal, as Markdown, as HTML, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sertk.escapes import escaped

if TYPE_CHECKING:
    import rich.table

NONE = "–"
"""What a cell shows where there is no value."""


@dataclass(frozen=True)
class Table:
    """Rows of values under columns.

    Attributes
    ----------
    columns
        The heads.
    rows
        The values of each row; `cell` says how one is shown.
    title
        What the table shows; empty for none.
    align
        A letter per column, `l` for left and `r` for right, as numbers are; the last one counts for all further ones.
    strong
        The number of the row to emphasise in HTML.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""
    align: str = "lr"
    strong: int | None = None

    def is_right(self, column: int) -> bool:
        """Whether a column, from 0, is aligned to the right."""
        return self.align[min(column, len(self.align) - 1)] == "r"


def listing(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table of texts, all of them aligned to the left."""
    return Table(columns, rows, align="l")


def cell(value: object) -> str:
    """A value as a table shows it: a dash for None and NaN, a count with commas, a number with three digits."""
    if value is None or value != value:
        return NONE
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def to_terminal(table: Table) -> rich.table.Table:
    """The table for a console of rich; control characters are escaped."""
    from rich.table import Table as RichTable
    from rich.text import Text

    title = Text(escaped(table.title)) if table.title else None
    made = RichTable(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(table.columns):
        side: Literal["left", "right"] = "right" if table.is_right(number) else "left"
        made.add_column(Text(escaped(column)), justify=side, header_style="bold", overflow="fold")
    for row in table.rows:
        made.add_row(*(Text(escaped(cell(value))) for value in row))
    return made


def to_markdown(table: Table) -> str:
    """The rows as a table of Markdown, without the title."""
    rules = ["---:" if table.is_right(number) else "---" for number in range(len(table.columns))]
    heads, *rows = [[_one_line(cell(value)) for value in line] for line in (table.columns, *table.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rules, *rows))


def to_html(table: Table) -> str:
    """The rows as a table of HTML, without the title; the bounds of an interval are below its value."""
    from sertk.pages import render

    return render("table.html", table=table, cell=cell)


def to_csv(table: Table) -> str:
    """The rows as CSV, without the title; numbers as they are, an empty cell for None."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([table.columns, *table.rows])
    return out.getvalue()


def _one_line(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
