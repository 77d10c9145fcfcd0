"""How far an extraction is, over parts that run side by side and passes that follow each other."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from sertk.features.progress import Progress, progress_file, read_progress, together, write_progress


def test_parts_side_by_side_add_up_and_share_the_time(tmp_path: Path) -> None:
    paths = [progress_file(tmp_path, (number, 3)) for number in range(3)]
    assert together(read_progress(paths)) == Progress()
    write_progress(paths[0], Progress(10, 40, 1, 20.0, 80.0, 5.0))
    write_progress(paths[2], Progress(30, 40, 0, 60.0, 80.0, 4.0))
    paths[1].write_text('{"done": 3')
    now = together(read_progress(paths))
    assert now == Progress(40, 80, 1, 80.0, 160.0, 5.0)
    assert now.hours_an_hour == pytest.approx(16.0)
    assert now.seconds_left == pytest.approx(5.0)


def test_nothing_done_has_no_time_left_to_tell() -> None:
    assert Progress(total=3, total_seconds=9.0).seconds_left == inf


def test_that_progress_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    write_progress(progress_file(tmp_path / "file", (0, 2)), Progress(1, 2))
