"""What verbs write when the output is no terminal."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest

from sertk.cli import output
from sertk.tables import Table


def test_lines_are_written_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    text = "[bold] " + "x" * 300
    output.say(text)
    assert capsys.readouterr().out == f"{text}\n"


WORDS = "\x1b[2J\x07 a\u202eb\x9b1m\x7f \udce9\ud800 x\r"
SHOWN = r"\x1b[2J\x07 a\u202eb\x9b1m\x7f \xe9\ud800 x\r"


def test_what_would_steer_a_terminal_is_shown_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(f"one\n{WORDS}")
    output.warn(WORDS)
    output.fail(f"{WORDS}\n  two")
    output.show(Table((WORDS, "b"), [(f"{WORDS}\n", "é ☃")], title=WORDS))
    with output.progress(WORDS, 1) as advance:
        advance()
    shown = capsys.readouterr()
    first, second, title, columns, row, done = shown.out.splitlines()
    assert (first, second, title.rstrip()) == ("one", SHOWN, SHOWN)
    assert columns.split("  ")[0] == SHOWN
    assert row.rstrip() == rf"{SHOWN}\n  é ☃"
    assert done.startswith(f"{SHOWN}  1 in")
    assert shown.err == f"warning {SHOWN}\nerror {SHOWN}\n  two\n"


def test_a_bar_on_a_terminal_takes_names_literally(monkeypatch: pytest.MonkeyPatch) -> None:
    written = StringIO()
    written.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdout", written)
    with output.progress("\x07[red]{name}", 2) as advance:
        advance()
    assert r"\x07[red]{name}" in written.getvalue()
    assert "\x07" not in written.getvalue()


def test_json_stays_json_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    value = {WORDS: ["é ☃ \u2028\n\t", 1.5, None]}
    output.say_json(value)
    text = capsys.readouterr().out
    assert json.loads(text) == value
    assert "é ☃" in text
    assert not set(text) & set("\x1b\x07\u202e\x9b\x7f\u2028\udce9")


def test_up_to_date_begins_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.up_to_date(Path("exp") / "a")
    assert capsys.readouterr().out == "up to date  exp/a\n"


def test_progress_is_a_line_at_the_end_and_lines_on_the_way(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with output.progress("reading", 3) as advance:
        advance(3)
    assert capsys.readouterr().out.startswith("reading  3 in 0.")
    monkeypatch.setattr(output, "SECONDS_BETWEEN_LINES", 0.0)
    with output.progress("reading", 4) as advance:
        advance(2)
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("reading  2/4  ")
    assert "left" in first
    assert last.startswith("reading  2 in")


@pytest.mark.parametrize("terminal", [False, True])
def test_a_total_may_become_known_on_the_way(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    written = StringIO()
    written.isatty = lambda: terminal  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdout", written)
    monkeypatch.setattr(output, "SECONDS_BETWEEN_LINES", 0.0)
    with output.progress("extract") as advance:
        advance(0, "")
        advance(2, "5 hours an hour  left 3.0 s", total=8)
    shown = written.getvalue()
    assert "2/8" in shown
    assert "5 hours an hour  left 3.0 s" in shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.21, "3.2 s"), (59.0, "59.0 s"), (245, "4:05"), (3723, "1:02:03"), (float("inf"), "unknown")],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert output.duration(seconds) == text
