"""`sertk timeline`: one artifact per recording, kept while it is up to date; bad recordings are listed."""

from __future__ import annotations

import csv
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sertk
from sertk.cli import main
from sertk.errors import ConfigError, LeftOutWarning, OutputError, UsageError
from sertk.progress import Advance
from sertk.why import explain


@pytest.fixture
def calls(tmp_path: Path, noise: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three recordings, one in a folder below."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("a.wav", "b.flac", "below/a.wav")):
        path = tmp_path / "calls" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise(6.0 + number, seed=number), 16_000)
    return tmp_path / "calls"


def test_each_recording_gets_a_folder_with_its_formats_and_a_summary(
    calls: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["timeline", str(model), "calls", "--into", "out", "--format", "jsonl,csv", "--device", "cpu"]
    assert main(words) == 0
    assert "out  written 3  up to date 0  left out 0: " in capsys.readouterr().out
    files = {str(path.relative_to("out")) for path in Path("out").rglob("*") if path.is_file()}
    assert files == {
        f"{name}/{Path(name).name}{ending}" if ending != "record" else f"{name}/provenance.json"
        for name in ("a.wav", "b.flac", "below/a.wav")
        for ending in (".jsonl", ".csv", ".summary.csv", "record")
    }
    head, *rows = map(json.loads, Path("out/b.flac/b.flac.jsonl").read_text().splitlines())
    assert head["duration_s"] == 7.0
    assert list(head["ranges"]) == ["arousal", "valence"]
    assert len(head["curve"]["times_s"]) == len(head["curve"]["arousal"]) > 2
    assert [row["start_s"] for row in rows] == sorted(row["start_s"] for row in rows)
    table = [*csv.DictReader(Path("out/b.flac/b.flac.csv").read_text().splitlines())]
    assert [float(row["end_s"]) for row in table] == [row["end_s"] for row in rows]
    (whole,) = csv.DictReader(Path("out/b.flac/b.flac.summary.csv").read_text().splitlines())
    assert whole["speaker"] == "all"
    assert sum(float(whole[name]) for name in ("Angry", "Happy", "Neutral", "Sad", "unsure")) == pytest.approx(1)

    assert main(words) == 0
    assert "up to date  out" in capsys.readouterr().out
    assert explain(Path("out/b.flac")).up_to_date


def test_only_what_changed_is_made_again(calls: Path, model: Path, noise: Callable[..., np.ndarray]) -> None:
    sertk.timeline(model, calls, into="out")
    soundfile.write(calls / "a.wav", noise(6.0, seed=9), 16_000)
    found = sertk.timeline(model, calls, into="out")
    assert (found.written, len(found.up_to_date)) == ([Path("out/a.wav")], 2)
    moved = calls.rename("moved")
    assert len(sertk.timeline(model, moved, into="out").up_to_date) == 3
    for changed in ({"smooth": 1.0}, {"length": 2.0}, {"confidence": 0.5}, {"shortest": 1.0}, {"formats": ["csv"]}):
        assert len(sertk.timeline(model, moved, into="out", **changed).written) == 3  # type: ignore[arg-type]
        assert len(sertk.timeline(model, moved, into="out", **changed).up_to_date) == 3  # type: ignore[arg-type]
    differs = explain(Path("out/a.wav"))
    assert not differs.changes
    shutil.rmtree("out/a.wav")
    assert sertk.timeline(model, moved, into="out", formats=["csv"]).written == [Path("out/a.wav")]


def test_a_bad_recording_is_listed_and_the_others_are_done(calls: Path, model: Path) -> None:
    content = (calls / "b.flac").read_bytes()
    (calls / "b.flac").write_bytes(content[: len(content) // 2])
    (calls / "empty.wav").touch()
    with pytest.warns(LeftOutWarning) as warned:
        found = sertk.timeline(model, calls, into="out")
    assert sorted(Path(fault.place).name for fault in found.left_out) == ["b.flac", "empty.wav"]
    assert len(found.written) == 2
    assert len(warned) == 2
    assert not Path("out/b.flac").exists()


def test_a_single_bad_recording_ends_with_an_error(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.wav").write_bytes(b"no sound")
    assert main(["timeline", str(model), str(tmp_path / "x.wav")]) == 1
    assert "not audio that can be read" in capsys.readouterr().err


def test_spans_are_printed_where_no_folder_is_named(
    calls: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["timeline", str(model), "calls/a.wav", "--set", "length=2", "--set", "hop=2"]) == 0
    out = capsys.readouterr().out
    assert "emotion" in out
    assert "arousal" in out
    assert "speech_s" in out


@pytest.mark.plugins
def test_without_a_model_a_ready_one_is_used(calls: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline", "calls/a.wav", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "model small" in printed
    assert "intensity" in printed
    assert main(["timeline", "--live", "small"]) == 2


def test_arguments_that_cannot_be_used_are_refused_before_any_work(calls: Path, model: Path) -> None:
    with pytest.raises(UsageError, match="no format 'textgird'"):
        sertk.timeline(model, calls, formats=["textgird"])
    with pytest.raises(ConfigError, match="hop 4 is above length 3"):
        sertk.timeline(model, calls, hop=4.0)
    with pytest.raises(ConfigError, match="lenght"):
        sertk.timeline(model, calls, lenght=4.0)
    (calls.parent / "out" / "a.wav").mkdir(parents=True)
    (calls.parent / "out" / "a.wav" / "mine.txt").touch()
    with pytest.raises(OutputError, match=r"mine\.txt"):
        sertk.timeline(model, calls, into="out")
    assert main(["timeline", str(model), "-"]) == 2
    assert main(["timeline", str(model), "calls", "--live"]) == 2


@pytest.mark.slow
def test_a_folder_of_ten_thousand_recordings_is_planned_quickly(tmp_path: Path, model: Path) -> None:
    class PlannedError(Exception):
        pass

    def planned(what: str, total: int | None = None) -> AbstractContextManager[Advance]:
        assert total == 2_500
        raise PlannedError

    samples = np.random.default_rng(0).normal(0, 0.1, 4_000)
    soundfile.write(tmp_path / "one.wav", samples, 16_000)
    (tmp_path / "calls").mkdir()
    for number in range(10_000):
        shutil.copy(tmp_path / "one.wav", tmp_path / "calls" / f"{number}.wav")
    began = time.monotonic()
    with pytest.raises(PlannedError):
        sertk.timeline(model, tmp_path / "calls", into=tmp_path / "out", progress=planned)
    assert time.monotonic() - began < 60


@pytest.mark.slow
def test_killed_ten_times_a_folder_of_fifty_comes_out_the_same(
    tmp_path: Path, model: Path, noise: Callable[..., np.ndarray]
) -> None:
    (tmp_path / "calls").mkdir()
    for number in range(50):
        soundfile.write(tmp_path / "calls" / f"{number}.wav", noise(20.0, seed=number), 16_000)
    sertk_command = str(Path(sys.executable).with_name("sertk"))
    words = [sertk_command, "timeline", str(model), "calls", "--format", "jsonl,csv", "--device", "cpu", "--into"]
    began = time.monotonic()
    subprocess.run([*words, "whole"], cwd=tmp_path, check=True, capture_output=True)
    longest = time.monotonic() - began
    rng, killed, kept = random.Random(5), 0, 0
    while killed < 10:
        process = subprocess.Popen(
            [*words, "out"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(rng.uniform(0.3, 0.95) * longest)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        elif killed < 10:  # it came to its end
            shutil.rmtree(tmp_path / "out")
        process.wait()
        kept = max(kept, len([*(tmp_path / "out").glob("*/provenance.json")]))
    done = subprocess.run([*words, "out"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert kept > 0
    assert "left out 0" in done.stdout or "up to date" in done.stdout
    files = {path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*") if path.is_file()}
    assert files == {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for file in files:
        assert (tmp_path / "out" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file


@pytest.mark.parametrize("seconds", [0.02, 4.0])
def test_silence_is_no_speech(seconds: float, model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(round(seconds * 8_000)), 8_000)
    (found,) = sertk.timeline(model, tmp_path / "silent.wav").timelines
    (span,) = found.spans
    assert (span.state, span.start_s, span.end_s) == ("no speech", 0.0, pytest.approx(seconds))


def test_a_header_that_promises_hours_and_numbers_that_are_none_are_refused(tmp_path: Path, model: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.full(8_000, 0.1), 8_000, subtype="PCM_16")
    content = bytearray((tmp_path / "short.wav").read_bytes())
    content[40:44] = (900_000_000).to_bytes(4, "little")
    (tmp_path / "short.wav").write_bytes(content)
    samples = np.full(8_000, 0.1, np.float32)
    samples[5_000] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 8_000, subtype="FLOAT")
    with pytest.warns(LeftOutWarning) as warned:
        found = sertk.timeline(model, [tmp_path / "short.wav", tmp_path / "nan.wav"])
    assert not found.timelines
    messages = " ".join(str(each.message) for each in warned)
    assert "truncated" in messages
    assert "not finite" in messages
