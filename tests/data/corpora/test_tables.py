"""Tables as spreadsheets save them: rows, quotes and numbers."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sertk.data.corpora.csv_records import MOST_LINES, csv_records
from sertk.data.corpora.tables import decimal, read_table
from sertk.errors import DataError

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\ufeff"), max_size=8)


@pytest.mark.parametrize(
    ("text", "number"), [("5.8", 5.8), ("5,8", 5.8), (" 5 ", 5.0), ("-0,25", -0.25), ("1e1", 10.0)]
)
def test_a_number_has_a_point_or_a_comma(text: str, number: float) -> None:
    assert decimal(text) == number


@pytest.mark.parametrize("text", ["", "5,8,1", "1.000,5", ",5", "5,", "nan", "inf", "1e999", "five"])
def test_what_is_no_finite_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decimal(text)


@given(
    st.lists(st.lists(TEXT, min_size=2, max_size=2).filter(lambda row: any(cell.strip() for cell in row)), max_size=8)
)
def test_what_csv_writes_is_read_again(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    rows = [row for row in rows if max(cell.count("\n") + cell.count("\r") for cell in row) < MOST_LINES / 2]
    written = io.StringIO(newline="")
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows([["a", "b,c"], *rows])
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text(written.getvalue(), encoding="utf-8", newline="")
    assert [record.cells for record in csv_records(path)] == [["a", "b,c"], *rows]


@given(st.text(st.sampled_from('ab,";\n\r \u2028é'), max_size=120))
def test_every_line_of_any_text_is_in_just_one_row(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text(text, encoding="utf-8", newline="")
    records = list(csv_records(path))
    lines = [line for record in records for line in io.StringIO(record.text, newline="")]
    assert [line for line in lines if line.strip()] == [
        line for line in io.StringIO(text, newline="") if line.strip()
    ]
    assert all(len(list(io.StringIO(record.text, newline=""))) <= MOST_LINES for record in records)


def test_a_table_with_an_odd_quote_or_other_bytes_is_refused_naming_the_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for spoiled, message in ((b'"x,1', "line 3: a quote is not closed"), (b"caf\xe9,1", "line 3: is not UTF-8")):
        path.write_bytes(b"a,b\nx,1\n" + spoiled + b"\n" + b'"y",2\n' * 40_000)
        begun = time.process_time()
        with pytest.raises(DataError, match=message):
            list(read_table(path, ("a",)))
        assert time.process_time() - begun < 5
