"""What verbs write when the output is no terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from sertk.cli import output


def test_lines_are_written_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    text = "[bold] " + "x" * 300
    output.say(text)
    assert capsys.readouterr().out == f"{text}\n"


def test_up_to_date_begins_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.up_to_date(Path("exp") / "a")
    assert capsys.readouterr().out == "up to date  exp/a\n"


def test_progress_is_a_line_at_the_end_and_lines_on_the_way(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(output.track([1, 2, 3], "reading")) == [1, 2, 3]
    assert capsys.readouterr().out.startswith("reading  3 in 0.")
    monkeypatch.setattr(output, "SECONDS_BETWEEN_LINES", 0.0)
    with output.progress("reading", 4) as advance:
        advance(2)
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("reading  2/4  ")
    assert "left" in first
    assert last.startswith("reading  2 in")


@pytest.mark.parametrize(("seconds", "text"), [(3.21, "3.2 s"), (59.0, "59.0 s"), (245, "4:05"), (3723, "1:02:03")])
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert output.duration(seconds) == text
