"""One table, written in four ways."""

from __future__ import annotations

import csv
import io

import pytest
from rich.console import Console

from sertk.scoring.bootstrap import Interval
from sertk.tables import Table, cell, listing, to_csv, to_html, to_markdown, to_terminal

TABLE = Table(("system", "utterances", "UAR"), [("a|b", 1234, Interval(0.5, 0.4, 0.6)), ("<i>", None, 0.25)])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (1234567, "1,234,567"),
        (0.12345, "0.123"),
        ("text", "text"),
        (Interval(0.5, None, None), "0.500"),
        (Interval(float("nan"), None, None), "–"),
    ],
)
def test_a_value_is_shown_in_one_way(value: object, text: str) -> None:
    assert cell(value) == text


def test_a_difference_has_its_sign() -> None:
    assert Interval(0.05, -0.01, 0.1).signed() == "+0.050 [-0.010, +0.100]"


def test_markdown_aligns_numbers_and_keeps_bars_inside_their_cell() -> None:
    heads, rules, first, second = to_markdown(TABLE).splitlines()
    assert heads == "| system | utterances | UAR |"
    assert rules == "| --- | ---: | ---: |"
    assert first == "| a\\|b | 1,234 | 0.500 [0.400, 0.600] |"
    assert second == "| <i> | – | 0.250 |"
    assert to_markdown(listing(("a", "b"), [])).splitlines()[1] == "| --- | --- |"


def test_html_escapes_and_puts_an_interval_below_its_value() -> None:
    page = to_html(Table(TABLE.columns, TABLE.rows, strong=1))
    assert "<td>0.500<br><small>[0.400, 0.600]</small></td>" in page
    assert '<tr class="strong"><th scope="row">&lt;i&gt;</th><td>–</td>' in page
    assert page.count("<tr") == 3


def test_csv_has_numbers_as_they_are() -> None:
    rows = list(csv.reader(io.StringIO(to_csv(Table(("a", "b,c"), [("x", 0.123456), ("y", None)])))))
    assert rows == [["a", "b,c"], ["x", "0.123456"], ["y", ""]]


def test_the_terminal_shows_control_characters_escaped() -> None:
    out = io.StringIO()
    Console(file=out, width=80).print(to_terminal(Table(("a", "b"), [("\x1b[31m", 3)], title="t")))
    title, heads, row = out.getvalue().splitlines()
    assert (title.strip(), heads.split()) == ("t", ["a", "b"])
    assert "\x1b" not in row
    assert row.rstrip().endswith("3")
