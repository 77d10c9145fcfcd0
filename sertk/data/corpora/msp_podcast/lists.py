"""What stands beside the labels: partitions, speakers, recordings and transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sertk.data.corpora.msp_podcast.consensus import SPLITS, known
from sertk.data.corpora.msp_podcast.layout import files_below
from sertk.data.corpora.msp_podcast.ratings import utterance_id
from sertk.errors import Fault


@dataclass
class SpeakerList:
    """Speaker_ids.txt: the speaker of each utterance, and the gender of each speaker."""

    of: dict[str, str | None] = field(default_factory=dict)
    gender: dict[str, str | None] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def read_partitions(path: Path) -> tuple[dict[str, str], list[Fault]]:
    """Read `Train; MSP-PODCAST_9999_0001.wav` lines to the split of each utterance id."""
    splits: dict[str, str] = {}
    faults = []
    for number, line in _lines(path):
        split, _, name = (part.strip() for part in line.rstrip("; ").partition(";"))
        if split.lower() in SPLITS and name:
            splits.setdefault(utterance_id(name), SPLITS[split.lower()])
        else:
            faults.append(Fault(f"{path.name}, line {number}", f"should be `Split; FILE.wav`, got {line[:60]!r}"))
    return splits, faults


def read_speakers(path: Path) -> SpeakerList:
    """Read `Speaker_<n>; Male` and `<file>.wav;<id>` lines, which stand in one file."""
    speakers = SpeakerList()
    for number, line in _lines(path):
        name, _, value = (part.strip() for part in line.rstrip("; ").partition(";"))
        if name.lower().startswith("speaker_"):
            speakers.gender[name[8:]] = (known(value) or "").lower() or None
        elif name.lower().endswith(".wav"):
            speakers.of[utterance_id(name)] = known(value.removeprefix("Speaker_"))
        else:
            what = f"should be `Speaker_N; Gender` or `FILE.wav;N`, got {line[:60]!r}"
            speakers.faults.append(Fault(f"{path.name}, line {number}", what))
    return speakers


def index_recordings(folders: Sequence[Path]) -> tuple[dict[str, str], list[Fault]]:
    """Find the path of each recording by utterance id. One that lies in two places is listed, the first is taken."""
    found: dict[str, str] = {}
    faults = []
    for entry in files_below([folder.absolute() for folder in folders], ".wav"):
        first = found.setdefault(entry.name[:-4], entry.path)
        if first != entry.path:
            faults.append(Fault(entry.name[:-4], f"lies in {first} and in {entry.path}; the first is taken"))
    return found, faults


def read_transcripts(folders: Sequence[Path]) -> tuple[dict[str, str], list[Fault]]:
    """Read the words of each utterance, blanks made single. Empty files are listed; of two files the first counts."""
    words: dict[str, str] = {}
    faults = []
    for entry in files_below(folders, ".txt"):
        key = entry.name[:-4]
        if key in words:
            continue
        with open(entry.path, encoding="utf-8-sig", errors="replace") as file:
            text = " ".join(file.read().split())
        if text:
            words[key] = text
        else:
            faults.append(Fault(key, f"the transcript {entry.path} is empty"))
    return words, faults


def _lines(path: Path) -> list[tuple[int, str]]:
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
