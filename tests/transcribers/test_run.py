from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.data.recording import Recording
from sertk.errors import AudioError, DataError
from sertk.transcribers.corpus import corpus
from sertk.transcribers.run import same_text_source, transcribe


@dataclass
class Listener:
    """Hears an utterance's id; refuses `bad`, and stops at `stop_at` as an interruption does."""

    source: str = "listener"
    stop_at: str = ""
    heard: list[str] = field(default_factory=list)

    def __call__(self, recordings: Sequence[Recording]) -> list[str | None]:
        for recording in recordings:
            if recording.id == self.stop_at:
                raise KeyboardInterrupt
            if recording.id == "bad":
                raise AudioError("bad: silent")
        self.heard += [recording.id for recording in recordings]
        return [f"words of {recording.id}" for recording in recordings]


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    utterances = [
        Utterance(f"u{n}", f"{n}.wav", split="train" if n < 4 else "test", text=f"said {n}", text_source="corpus")
        for n in range(6)
    ]
    made = Manifest("made up", LabelSet(("Happy", "Sad")), {}, tuple(utterances))
    made.write(tmp_path / "manifest.jsonl")
    return Manifest.read(tmp_path / "manifest.jsonl")


def test_all_utterances_get_words_and_their_source(manifest: Manifest, tmp_path: Path) -> None:
    report = transcribe(manifest, Listener(), tmp_path / "out.jsonl", batch_size=4)
    made = Manifest.read(tmp_path / "out.jsonl")
    assert [(u.text, u.text_source, u.split) for u in made] == [
        (f"words of {u.id}", "listener", u.split) for u in manifest
    ]
    assert (report.written, report.kept, report.failed) == (6, 0, ())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "manifest.jsonl",
        "out.jsonl",
        "out.jsonl.report.json",
    ]


def test_an_interrupted_run_goes_on_and_hears_nothing_twice(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl.gz"
    with pytest.raises(KeyboardInterrupt):
        transcribe(manifest, first := Listener(stop_at="u4"), out, batch_size=2)
    assert not out.exists()
    with open(f"{out}.words.jsonl", "a") as file:
        file.write('{"id": "u4", "te')  # torn
    report = transcribe(manifest, second := Listener(), out, batch_size=2)
    assert first.heard + second.heard == [u.id for u in manifest]
    assert (report.written, report.kept) == (2, 4)
    transcribe(manifest, Listener(), tmp_path / "whole.jsonl.gz")
    assert out.read_bytes() == (tmp_path / "whole.jsonl.gz").read_bytes()


def test_what_a_run_left_that_was_killed_at_its_very_end_is_cleared_away(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    transcribe(manifest, Listener(), out)
    (tmp_path / "out.jsonl.words.jsonl").write_text("whole, and not yet removed\n")
    assert transcribe(manifest, Listener(), out).up_to_date
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.jsonl", "out.jsonl.report.json"]


def test_work_of_other_options_is_not_gone_on_with(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt):
        transcribe(manifest, Listener(stop_at="u4"), out, batch_size=2, options="beams=1")
    assert transcribe(manifest, Listener(), out, options="beams=5").kept == 0


def test_a_finished_run_is_up_to_date_until_something_changes(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    transcribe(manifest, Listener(), out)
    again = Listener()
    assert transcribe(manifest, again, out).up_to_date
    assert again.heard == []
    assert not transcribe(manifest, Listener(), out, force=True).up_to_date
    assert not transcribe(manifest.with_utterances(manifest.utterances[:5]), Listener(), out).up_to_date


def test_failures_are_listed_and_left_without_words(manifest: Manifest, tmp_path: Path) -> None:
    utterances = (*manifest.utterances[:3], replace(manifest.utterances[3], id="bad"), *manifest.utterances[4:])
    report = transcribe(manifest.with_utterances(utterances), Listener(), tmp_path / "out.jsonl", batch_size=6)
    assert [(fault.place, fault.message) for fault in report.failed] == [("bad", "bad: silent")]
    bad = Manifest.read(tmp_path / "out.jsonl").utterances[3]
    assert (bad.text, bad.text_source) == (None, None)
    written = json.loads((tmp_path / "out.jsonl.report.json").read_text())
    assert written["failed"] == [{"id": "bad", "message": "bad: silent"}]
    assert written["transcribed"] == 5


def test_nothing_usable_is_an_error(manifest: Manifest, tmp_path: Path) -> None:
    only = manifest.with_utterances([replace(manifest.utterances[0], id="bad")])
    with pytest.raises(DataError, match=r"not one of 1 .* bad: silent"):
        transcribe(only, Listener(), tmp_path / "out.jsonl")


def test_the_corpus_transcriber_gives_the_corpus_words(manifest: Manifest, tmp_path: Path) -> None:
    without = replace(manifest.utterances[0], text=None, text_source=None)
    report = transcribe(
        manifest.with_utterances([without, *manifest.utterances[1:]]), corpus(), tmp_path / "out.jsonl"
    )
    assert [u.text for u in Manifest.read(tmp_path / "out.jsonl")] == [None, *(f"said {n}" for n in range(1, 6))]
    assert [fault.place for fault in report.failed] == ["u0"]


def test_splits_of_different_sources_are_refused_unless_allowed(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"test: listener; train: corpus"):
        transcribe(manifest, Listener(), tmp_path / "out.jsonl", splits=["test"])
    transcribe(manifest, Listener(), tmp_path / "out.jsonl", splits=["test"], mixed_sources=True)
    mixed = Manifest.read(tmp_path / "out.jsonl")
    assert [u.text_source for u in mixed] == ["corpus"] * 4 + ["listener"] * 2
    with pytest.raises(DataError, match="different sources"):
        same_text_source(mixed, ["train", "test"])
    assert same_text_source(mixed, ["train"]) == "corpus"
    assert same_text_source(manifest, ["train", "test"]) == "corpus"


def test_audio_is_still_found_when_the_manifest_moves(manifest: Manifest, tmp_path: Path) -> None:
    transcribe(manifest, Listener(), tmp_path / "deeper" / "out.jsonl")
    moved = Manifest.read(tmp_path / "deeper" / "out.jsonl")
    assert [moved.audio_path(u) for u in moved] == [manifest.audio_path(u).absolute() for u in manifest]
