"""What stands beside the labels: partitions, speakers, recordings and transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sertk.data.corpora.recordings import files_below
from sertk.errors import Fault
from sertk_msp_podcast.consensus import SPLITS, known
from sertk_msp_podcast.ratings import utterance_id


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


def read_transcripts(folders: Sequence[Path]) -> tuple[dict[str, str], dict[str, list[Fault]]]:
    """Read the words of each utterance, blanks made single; of two files the first counts.

    Gives the faults by kind: empty files, and those that are not UTF-8, whose words are kept with U+FFFD.
    """
    words: dict[str, str] = {}
    faults: dict[str, list[Fault]] = {"empty transcript": [], "transcript not UTF-8": []}
    for entry in files_below(folders, ".txt"):
        key = entry.name[:-4]
        if key in words:
            continue
        try:
            raw = Path(entry.path).read_bytes()
            read = raw.decode("utf-8-sig")
        except OSError as error:  # a folder of that name, or no right to read it
            faults["empty transcript"].append(Fault(key, f"the transcript {entry.path}: {error.strerror}"))
            continue
        except UnicodeDecodeError as error:
            read = raw.decode("utf-8-sig", errors="replace")
            what = f"the transcript {entry.path} is not UTF-8 (byte {error.start}); kept with U+FFFD there"
            faults["transcript not UTF-8"].append(Fault(key, what))
        text = " ".join(read.split())
        if text:
            words[key] = text
        else:
            faults["empty transcript"].append(Fault(key, f"the transcript {entry.path} is empty"))
    return words, faults


def _lines(path: Path) -> list[tuple[int, str]]:
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
