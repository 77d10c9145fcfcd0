"""Readers broken on purpose, each in one way: the suite names the way."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sertk.data.corpora.recordings import named_recordings, with_recordings
from sertk.data.corpora.report import CorpusReport
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import DataError

Broken = Callable[..., set[str]]
Read = tuple[Manifest, CorpusReport]
LABELS = LabelSet(("Angry", "Sad"), letters="AS")


def example(folder: Path) -> None:
    folder.mkdir()
    for number in range(4):
        soundfile.write(folder / f"{LABELS.names[number % 2]}_{number}.wav", np.full(800, 0.1), 16_000)
    names = sorted(path.stem for path in folder.iterdir())
    (folder / "names.txt").write_text("\n".join(names))


def sound(folder: Path, /, *, allow_partial: bool = False, audio: bool = True) -> Read:
    """A sound reader of names such as `Sad_3`. Each mutant below changes one thing."""
    if not (folder / "names.txt").is_file():
        raise DataError(f"{folder} has no names.txt")
    names = (folder / "names.txt").read_text().split()
    report = CorpusReport(files=["names.txt"])
    paths = {name: folder / f"{name}.wav" for name in names}
    utterances = [
        Utterance(name, str(paths[name].absolute()), split="train", emotion=name.partition("_")[0]) for name in names
    ]
    if audio:
        utterances = with_recordings(utterances, named_recordings(paths, report), report, allow_partial=allow_partial)
    report.count(utterances)
    return Manifest("sound", LABELS, {}, tuple(utterances)), report


def no_option_for_audio(folder: Path, /, *, allow_partial: bool = False) -> Read:
    return sound(folder, allow_partial=allow_partial)


def no_split(folder: Path, /, *, allow_partial: bool = False, audio: bool = True) -> Read:
    read, report = sound(folder, allow_partial=allow_partial, audio=audio)
    return read.with_utterances(replace(one, split=None) for one in read), CorpusReport(faults=report.faults)


def a_vote_that_is_no_number(folder: Path, /, *, allow_partial: bool = False, audio: bool = True) -> Read:
    read, report = sound(folder, allow_partial=allow_partial, audio=audio)
    return read.with_utterances(replace(one, votes={"Sad": "two"}) for one in read), report


def class_of_no_label_set(folder: Path, /, *, allow_partial: bool = False, audio: bool = True) -> Read:
    read, report = sound(folder, allow_partial=allow_partial, audio=audio)
    return read.with_utterances(replace(one, emotion="Bored") for one in read), report


def nothing_counted(folder: Path, /, *, allow_partial: bool = False, audio: bool = True) -> Read:
    read, report = sound(folder, allow_partial=allow_partial, audio=audio)
    report.splits = {}
    return read, report


def speakers_drawn(folder: Path, /, *, allow_partial: bool = False, audio: bool = True) -> Read:
    read, report = sound(folder, allow_partial=allow_partial, audio=audio)
    return read.with_utterances(replace(one, speaker=str(random.random())) for one in read), report


def place_in_the_text(folder: Path, /, *, allow_partial: bool = False, audio: bool = True) -> Read:
    read, report = sound(folder, allow_partial=allow_partial, audio=audio)
    return read.with_utterances(replace(one, text=str(folder)) for one in read), report


def labels_from_the_recordings(folder: Path, /, *, allow_partial: bool = False, audio: bool = True) -> Read:
    read, report = sound(folder, allow_partial=allow_partial, audio=audio)
    return read.with_utterances(
        one if Path(one.audio).is_file() else replace(one, emotion=None) for one in read
    ), report


def stops_at_a_bad_recording(folder: Path, /, *, allow_partial: bool = False, audio: bool = True) -> Read:
    read, report = sound(folder, allow_partial=allow_partial, audio=audio)
    if report.faults:
        raise DataError("a recording is bad")
    return read, report


def takes_any_folder(folder: Path, /, *, allow_partial: bool = False, audio: bool = True) -> Read:
    if not (folder / "names.txt").is_file():
        return Manifest("sound", LABELS, {}, ()), CorpusReport()
    return sound(folder, allow_partial=allow_partial, audio=audio)


def leaves_a_file(folder: Path, /, *, allow_partial: bool = False, audio: bool = True) -> Read:
    read = sound(folder, allow_partial=allow_partial, audio=audio)
    (folder / "index.json").write_text("{}")
    return read


def test_a_sound_reader_keeps_every_contract(broken: Broken) -> None:
    assert broken("corpus", sound, example=example) == set()


@pytest.mark.parametrize(
    ("mutant", "contracts"),
    [
        (no_option_for_audio, {"options", "without_audio"}),
        (no_split, {"manifest"}),
        (a_vote_that_is_no_number, {"written", "repeatable"}),
        (class_of_no_label_set, {"labels"}),
        (nothing_counted, {"counts"}),
        (speakers_drawn, {"repeatable", "moved", "without_audio"}),
        (place_in_the_text, {"moved"}),
        (labels_from_the_recordings, {"without_audio"}),
        (stops_at_a_bad_recording, {"bad_recordings"}),
        (takes_any_folder, {"no_corpus"}),
        (leaves_a_file, {"input_unchanged"}),
    ],
)
def test_the_suite_names_what_is_broken(mutant: Callable[..., Read], contracts: set[str], broken: Broken) -> None:
    assert broken("corpus", mutant, example=example) == contracts


def test_a_corpus_without_an_example_cannot_be_checked(broken: Broken) -> None:
    with pytest.raises(ValueError, match="example writes a small copy"):
        broken("corpus", sound)
