"""Utterances whose content changes are extracted again in place; all else is kept."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sertk.data.recording import Recording
from sertk.encoders.hashed_text import hashed_text
from sertk.encoders.logmel import logmel
from sertk.features.extract import Target, extract, store_card
from sertk.features.index import read_contents, read_shards
from sertk.features.store import FeatureStore
from sertk.features.task import TargetReport

CPU = torch.device("cpu")


@pytest.fixture
def mine(voices: list[Recording], tmp_path: Path) -> list[Recording]:
    """Twenty recordings of one's own, to be changed."""
    (tmp_path / "mine").mkdir()
    paths = [shutil.copy(r.utterance.audio, tmp_path / "mine") for r in voices[10:]]
    return [Recording(replace(r.utterance, audio=str(p))) for r, p in zip(voices[10:], paths, strict=True)]


def sing(recording: Recording, hertz: float = 440.0) -> None:
    """Put another sound of the same length into a recording's file."""
    frames = soundfile.info(recording.utterance.audio).frames
    soundfile.write(
        recording.utterance.audio, np.sin(np.arange(frames) * hertz / 2546.0) / 3, 16_000, subtype="PCM_16"
    )


def run(folder: Path, recordings: list[Recording], text: bool = False, **options: object) -> TargetReport:
    encoder = hashed_text(dim=8) if text else logmel(mels=20)
    name, made = ("hashed_text", {"dim": 8}) if text else ("logmel", {"mels": 20})
    card = store_card(name, made, encoder, dtype="float32")
    return extract([Target(folder, card, encoder)], recordings, device=CPU, **options).targets[0]  # type: ignore[arg-type]


def assert_like_fresh(folder: Path, recordings: list[Recording], text: bool = False) -> None:
    fresh = folder.with_name(f"fresh-{time.monotonic_ns()}")
    run(fresh, recordings, text)
    one, other = FeatureStore.open(folder), FeatureStore.open(fresh)
    one.verify()
    assert one.lengths == other.lengths
    assert one.fingerprint == other.fingerprint
    assert all(torch.equal(one[id], other[id]) for id in other)


def counts(report: TargetReport) -> tuple[int, int, int]:
    return report.written, report.changed, report.kept


def test_changed_recordings_are_extracted_again_and_counted(mine: list[Recording], tmp_path: Path) -> None:
    folder = tmp_path / "s"
    assert counts(run(folder, mine[:17])) == (17, 0, 0)
    before = FeatureStore.open(folder).fingerprint
    for recording in mine[2:5]:
        sing(recording)
    assert counts(run(folder, mine)) == (3, 3, 14)
    assert FeatureStore.open(folder).fingerprint != before
    assert counts(run(folder, mine)) == (0, 0, 20)
    assert_like_fresh(folder, mine)


@pytest.mark.parametrize("change", [{"start": 0.02}, {"duration": 0.03}])
def test_another_stretch_of_a_recording_is_another_content(
    mine: list[Recording], tmp_path: Path, change: dict[str, float]
) -> None:
    run(tmp_path / "s", mine)
    now = [Recording(replace(r.utterance, **change)) if n < 4 else r for n, r in enumerate(mine)]
    assert counts(run(tmp_path / "s", now)) == (0, 4, 16)
    assert_like_fresh(tmp_path / "s", now)


def test_words_are_no_matter_to_speech_nor_sound_to_text(mine: list[Recording], tmp_path: Path) -> None:
    for name, text in (("speech", False), ("text", True)):
        run(tmp_path / name, mine, text)
    now = [Recording(replace(r.utterance, text="other words")) for r in mine]
    assert counts(run(tmp_path / "speech", now)) == (0, 0, 20)
    assert counts(run(tmp_path / "text", now, True)) == (0, 20, 0)
    for recording in mine:
        sing(recording)
    assert counts(run(tmp_path / "text", now, True)) == (0, 0, 20)
    assert counts(run(tmp_path / "speech", now)) == (0, 20, 0)
    assert_like_fresh(tmp_path / "speech", now)
    assert_like_fresh(tmp_path / "text", now, True)


def test_two_corpora_with_the_same_ids_are_not_mixed(mine: list[Recording], tmp_path: Path) -> None:
    other = [Recording(replace(a.utterance, id=b.id)) for a, b in zip(mine[8:], mine, strict=False)]  # 12 of 20 ids
    run(tmp_path / "s", mine)
    assert counts(run(tmp_path / "s", other)) == (0, 12, 0)
    assert_like_fresh(tmp_path / "s", [*other, *mine[12:]])
    assert counts(run(tmp_path / "s", mine)) == (0, 12, 8)
    assert_like_fresh(tmp_path / "s", mine)


def test_a_recording_that_is_gone_keeps_its_frames_and_is_counted(mine: list[Recording], tmp_path: Path) -> None:
    run(tmp_path / "s", mine)
    Path(mine[3].utterance.audio).unlink()
    report = run(tmp_path / "s", mine)
    assert counts(report) == (0, 0, 20)
    assert report.unchecked == 1
    assert not report.failed


def test_frames_of_a_recording_that_became_useless_are_not_kept(mine: list[Recording], tmp_path: Path) -> None:
    run(tmp_path / "s", mine)
    Path(mine[3].utterance.audio).write_text("no sound any more")
    report = run(tmp_path / "s", mine)
    assert counts(report) == (0, 0, 19)
    assert [failure.id for failure in report.failed] == [mine[3].id]
    assert mine[3].id not in FeatureStore.open(tmp_path / "s")
    assert counts(run(tmp_path / "s", mine)) == (0, 0, 19)
    shutil.copy(mine[4].utterance.audio, mine[3].utterance.audio)
    assert counts(run(tmp_path / "s", mine)) == (0, 1, 19)
    assert (tmp_path / "s" / "report.jsonl").read_text() == ""
    assert_like_fresh(tmp_path / "s", mine)


def test_by_force_all_is_extracted_again(mine: list[Recording], tmp_path: Path) -> None:
    run(tmp_path / "s", mine)
    sing(mine[0])
    assert counts(run(tmp_path / "s", mine, force=True)) == (19, 1, 0)
    assert_like_fresh(tmp_path / "s", mine)
    assert len(read_shards(tmp_path / "s")) == 1


def test_shards_of_which_nothing_is_left_go_and_their_names_are_not_used_again(
    mine: list[Recording], tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    run(folder, mine, shard_bytes=1, max_batch=5)  # four shards
    names = {shard.file for shard in read_shards(folder)}
    assert len(names) == 4
    for recording in mine:
        sing(recording)
    run(folder, mine, shard_bytes=1, max_batch=5)
    after = {shard.file for shard in read_shards(folder)}
    assert len(after) == 4
    assert not names & after
    assert {path.name for path in folder.glob("shard*")} == after
    assert not list(folder.glob("dropped*"))
    sing(mine[0], 900)
    run(folder, mine, shard_bytes=1, max_batch=5)
    assert names | after < names | {shard.file for shard in read_shards(folder)}
    dropped = json.loads((folder / "dropped.json").read_text())["dropped"]
    assert list(dropped.values()) == [[mine[0].id]]
    assert_like_fresh(folder, mine)


@pytest.mark.parametrize("first", [1, 2, 3])
@pytest.mark.parametrize("second", [1, 2, 3])
def test_changes_are_found_by_however_many_processes(
    mine: list[Recording], tmp_path: Path, first: int, second: int
) -> None:
    folder = tmp_path / "s"
    for part in range(first):
        run(folder, mine, part=(part, first))
    for recording in mine[:7]:
        sing(recording)
    done = [run(folder, mine, part=(part, second)) for part in range(second)]
    assert sum(report.changed for report in done) == 7
    assert sum(report.kept for report in done) == 13
    assert sum(report.written for report in done) == 0
    assert_like_fresh(folder, mine)
    for recording in mine:
        sing(recording, 700)
    assert sum(run(folder, mine, part=(part, second)).changed for part in range(second)) == 20
    run(folder, mine)
    assert not list(folder.glob("dropped*"))  # one process alone tidies for all
    assert_like_fresh(folder, mine)


def test_stopped_between_dropping_and_extracting_it_goes_on(mine: list[Recording], tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(progress: object) -> None:
        raise Stopped

    run(tmp_path / "s", mine)
    for recording in mine[:10]:
        sing(recording)
    with pytest.raises(Stopped):
        run(tmp_path / "s", mine, max_batch=3, progress=stop)
    half = FeatureStore.open(tmp_path / "s")
    assert 10 < len(half) < 20  # nothing of what was is left for others to read
    report = run(tmp_path / "s", mine)
    assert report.written == 0
    assert report.changed + len(half) == 20
    assert_like_fresh(tmp_path / "s", mine)


def test_killed_while_it_extracts_changes_it_resumes_to_what_a_fresh_run_gives(
    mine: list[Recording], tmp_path: Path
) -> None:
    run(tmp_path / "s", mine)
    for recording in mine[:16]:
        sing(recording)
    rows = tmp_path / "recordings.json"
    rows.write_text(json.dumps({r.id: r.utterance.audio for r in mine}))
    command = [sys.executable, str(Path(__file__).with_name("kill_me.py")), str(tmp_path / "s"), str(rows)]
    changed = 0
    for batches in (2, 3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(batches):
                assert process.stdout.readline() not in ("", "done\n")
            process.kill()
        contents = read_contents(tmp_path / "s", FeatureStore.open(tmp_path / "s").card)
        changed = sum(id in contents.places for id in contents.dropped)
        assert 0 < changed < 16
    report = run(tmp_path / "s", mine)
    assert counts(report) == (0, 16 - changed, 4 + changed)
    assert_like_fresh(tmp_path / "s", mine)


@pytest.mark.parametrize("damage", ["dropped.json", "index.json", "both", "shard"])
def test_a_store_with_dropped_utterances_is_repaired_to_what_a_fresh_run_gives(
    mine: list[Recording], tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "s"
    run(folder, mine, shard_bytes=1, max_batch=5)
    for recording in mine[:7]:
        sing(recording)
    run(folder, mine, part=(1, 2), shard_bytes=1, max_batch=5)
    run(folder, mine, shard_bytes=1, max_batch=5)
    assert (folder / "dropped.json").exists() or (folder / "dropped-1of2.json").exists()
    files = {"both": ["dropped.json", "index.json"], "shard": [read_shards(folder)[-1].file]}.get(damage, [damage])
    for name in files:
        (folder / name).write_bytes((folder / name).read_bytes()[:-40] if (folder / name).exists() else b"{")
    report = run(folder, mine, repair=True)
    assert set(files) <= set(report.repaired)
    assert_like_fresh(folder, mine)
    assert counts(run(folder, mine)) == (0, 0, 20)
