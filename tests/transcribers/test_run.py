from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.data.recording import Recording
from sertk.errors import AudioError, DataError, Fault, OutputError
from sertk.transcribers.corpus import corpus
from sertk.transcribers.run import same_text_source, transcribe


@dataclass
class Listener:
    """Hears an utterance's id; refuses one, and stops at `stop_at` as an interruption does."""

    source: str = "listener"
    stop_at: str = ""
    refuses: str = "bad"
    heard: list[str] = field(default_factory=list)

    def __call__(self, recordings: Sequence[Recording]) -> list[str | None]:
        for recording in recordings:
            if recording.id == self.stop_at:
                raise KeyboardInterrupt
            if recording.id == self.refuses:
                raise AudioError(f"{recording.id}: silent")
        self.heard += [recording.id for recording in recordings]
        return [f"words of {recording.id}" for recording in recordings]


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    utterances = [
        Utterance(f"u{n}", f"{n}.wav", split="train" if n < 4 else "test", text=f"said {n}", text_source="corpus")
        for n in range(6)
    ]
    for n in range(6):
        (tmp_path / f"{n}.wav").write_text(f"sound {n}")
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
        *(f"{n}.wav" for n in range(6)),
        "manifest.jsonl",
        "out.jsonl",
        "out.jsonl.provenance.json",
        "out.jsonl.report.json",
        "out.jsonl.words.jsonl",
    ]


def test_an_interrupted_run_goes_on_and_hears_nothing_twice(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl.gz"
    with pytest.raises(KeyboardInterrupt):
        transcribe(manifest, first := Listener(stop_at="u4"), out, batch_size=2)
    assert not out.exists()
    with open(f"{out}.words.jsonl", "a") as file:
        file.write('["u4", "conte')  # torn
    report = transcribe(manifest, second := Listener(), out, batch_size=2)
    assert first.heard + second.heard == [u.id for u in manifest]
    assert (report.written, report.kept) == (2, 4)
    transcribe(manifest, Listener(), tmp_path / "whole.jsonl.gz")
    for ending in ("", ".words.jsonl", ".report.json"):
        assert Path(f"{out}{ending}").read_bytes() == (tmp_path / f"whole.jsonl.gz{ending}").read_bytes()


def test_work_of_other_options_is_not_gone_on_with(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt):
        transcribe(manifest, Listener(stop_at="u4"), out, batch_size=2, parts={"options.beams": "1"})
    report = transcribe(manifest, Listener(), out, parts={"options.beams": "5"})
    assert (report.written, report.kept) == (6, 0)
    assert report.renewed == "options.beams was 1, is 5"


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
    with pytest.raises(DataError, match=r"none of 1 .* bad: silent"):
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


def changed(manifest: Manifest, row: int, **values: object) -> Manifest:
    """The manifest with fields of one utterance changed."""
    utterances = list(manifest.utterances)
    utterances[row] = replace(utterances[row], **values)  # type: ignore[arg-type]
    return manifest.with_utterances(utterances)


@pytest.mark.parametrize(
    "values",
    [{"emotion": "Sad"}, {"split": "train"}, {"votes": {"Sad": 2.0}}, {"speaker": "s"}, {"text": "other words"}],
)
def test_what_is_not_the_recording_transcribes_nothing_again(
    manifest: Manifest, tmp_path: Path, values: dict[str, object]
) -> None:
    out = tmp_path / "out.jsonl"
    transcribe(manifest, Listener(), out)
    report = transcribe(changed(manifest, 5, **values), again := Listener(), out)
    assert not report.up_to_date
    assert again.heard == []
    assert (report.written, report.changed, report.kept) == (0, 0, 6)
    made = Manifest.read(out)
    assert [u.text for u in made] == [f"words of u{n}" for n in range(6)]
    for name, value in values.items():
        assert name == "text" or getattr(made.utterances[5], name) == value


def another_sound(manifest: Manifest) -> Manifest:
    """Other content of the same size, with the time set back."""
    path = manifest.folder / "3.wav"
    before = path.stat()
    path.write_text("noise 3")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return manifest


@pytest.mark.parametrize(
    "change",
    [another_sound, lambda m: changed(m, 3, start=0.5), lambda m: changed(m, 3, duration=0.5)],
    ids=["samples", "start", "duration"],
)
def test_a_changed_recording_is_transcribed_again_and_no_other(
    manifest: Manifest, tmp_path: Path, change: Callable[[Manifest], Manifest]
) -> None:
    out = tmp_path / "out.jsonl"
    transcribe(manifest, Listener(), out)
    report = transcribe(change(manifest), again := Listener(), out)
    assert again.heard == ["u3"]
    assert (report.written, report.changed, report.kept) == (0, 1, 5)


def test_force_transcribes_everything_again(manifest: Manifest, tmp_path: Path) -> None:
    transcribe(manifest, Listener(), tmp_path / "out.jsonl")
    report = transcribe(manifest, again := Listener(), tmp_path / "out.jsonl", force=True)
    assert len(again.heard) == 6
    assert (report.written, report.changed, report.kept) == (6, 0, 0)


def test_other_weights_transcribe_everything_again(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    for fingerprint, heard in (("a", 6), ("a", 0), ("b", 6)):
        listener = Listener()
        listener.fingerprint = fingerprint  # type: ignore[attr-defined]
        report = transcribe(manifest, listener, out)
        assert len(listener.heard) == heard
    assert report.renewed == "transcriber fingerprint was a, is b"


def test_words_of_a_split_are_kept_when_all_are_transcribed(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    transcribe(manifest, Listener(), out, splits=["test"], mixed_sources=True)
    report = transcribe(manifest, again := Listener(), out)
    assert again.heard == ["u0", "u1", "u2", "u3"]
    assert (report.written, report.kept) == (4, 2)
    report = transcribe(manifest, again := Listener(), out, splits=["test"], mixed_sources=True)
    assert again.heard == []
    assert [u.text_source for u in Manifest.read(out)] == ["corpus"] * 4 + ["listener"] * 2
    assert transcribe(manifest, again, out).kept == 6


def test_a_damaged_line_of_words_is_transcribed_again_alone(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    transcribe(manifest, Listener(), out)
    words = Path(f"{out}.words.jsonl")
    words.write_text(words.read_text().replace("words of u2", "words of u9"))
    out.unlink()
    report = transcribe(manifest, again := Listener(), out)
    assert again.heard == ["u2"]
    assert report.kept == 5
    words.write_bytes(b"\xff{" + words.read_bytes())
    out.unlink()
    assert transcribe(manifest, again := Listener(), out).kept == 0


def test_what_failed_is_tried_again_when_its_recording_changes(manifest: Manifest, tmp_path: Path) -> None:
    manifest = changed(manifest, 3, id="bad")
    out = tmp_path / "out.jsonl"
    assert len(transcribe(manifest, Listener(), out).failed) == 1
    good = Listener()
    report = transcribe(changed(manifest, 0, emotion="Sad"), good, out)
    assert (report.kept, len(report.failed), good.heard) == (5, 1, [])
    (tmp_path / "3.wav").write_text("good sound")

    report = transcribe(manifest, Listener(refuses=""), out)
    assert (report.written, report.changed, report.kept, report.failed) == (0, 1, 5, ())


def test_a_missing_recording_is_transcribed_once_it_is_there(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "3.wav").rename(tmp_path / "elsewhere")
    out = tmp_path / "out.jsonl"
    transcribe(manifest, Listener(), out)
    assert transcribe(manifest, Listener(), out).up_to_date
    (tmp_path / "elsewhere").rename(tmp_path / "3.wav")
    transcribe(manifest, again := Listener(), out)
    assert again.heard == ["u3"]


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.words.jsonl", "out.jsonl.report.json"])
def test_foreign_files_stay(manifest: Manifest, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match=name):
        transcribe(manifest, again := Listener(), tmp_path / "out.jsonl")
    assert again.heard == []
    assert (tmp_path / name).read_text() == "mine"
    assert not list(tmp_path.glob("*.provenance.json"))


def test_an_edited_manifest_is_kept(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    transcribe(manifest, Listener(), out)
    edited = out.read_text().replace("words of u1", "what u1 really said")
    out.write_text(edited)
    report = transcribe(manifest, again := Listener(), out)
    assert again.heard == []
    assert report.edited == (tmp_path / "out.jsonl.edited",)
    assert (tmp_path / "out.jsonl.edited").read_text() == edited


def test_what_was_done_to_read_a_recording_is_remarked(manifest: Manifest, tmp_path: Path) -> None:
    class Remarking(Listener):
        def __call__(self, recordings: Sequence[Recording]) -> list[str | None]:
            recordings[0].remark("read to the end")
            return super().__call__(recordings)

    remarks: list[Fault] = []
    transcribe(manifest, Remarking(), tmp_path / "out.jsonl", batch_size=4, remark=remarks.append)
    assert remarks == [Fault("u0", "read to the end"), Fault("u4", "read to the end")]
