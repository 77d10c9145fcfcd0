"""Which files of MSP-Podcast a folder has. Names changed over the releases, so they are found by looking."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sertk.errors import DataError

AUDIO = ("audios", "audio")
LABELS = ("labels", "label")
TRANSCRIPTS = ("transcripts", "transcript")
CONSENSUS = ("labels_consensus.csv", "labels_concensus.csv", "labels_consensus.json", "labels_concensus.json")
DETAILED = ("labels_detailed.csv", "labels_detailed.json")
TEXT = ("labels.txt",)
PARTITIONS = ("partitions.txt", "partition.txt")
SPEAKERS = ("speaker_ids.txt",)
ARCHIVES = ("labels.zip", "transcripts.zip", "audios.tar.gz", "audios.zip")


@dataclass(frozen=True)
class Layout:
    """The files and folders of one copy of the corpus; None or empty for what it has not.

    consensus, detailed: CSV before JSON where there are both. text: labels.txt, read for what the two lack.
    made_up: whether this is the toy corpus, which says so in its readme.
    """

    folder: Path
    audio: tuple[Path, ...]
    consensus: Path | None
    detailed: Path | None
    text: Path | None
    partitions: Path | None
    speakers: Path | None
    transcripts: tuple[Path, ...]
    made_up: bool
    doubled: tuple[Path, ...] = ()
    """Folders inside one of the same name, as some archives unpack."""

    @property
    def recordings(self) -> Path:
        """Where recordings would lie that are not looked for: the innermost audio folder."""
        inner = [path for path in self.doubled if path.name.lower() in AUDIO]
        return [*inner, *self.audio, self.folder / "Audios"][0].absolute()

    @property
    def read(self) -> list[Path]:
        """The label and list files that are read."""
        text = self.text if self.consensus is None or self.detailed is None else None
        return [path for path in (self.consensus, self.detailed, text, self.partitions, self.speakers) if path]

    def found(self) -> list[str]:
        """What was found and is read, relative to the corpus folder."""
        paths = [*self.read, *self.audio, *self.transcripts]
        return [f"{path.relative_to(self.folder)}{'/' if path.is_dir() else ''}" for path in paths]


def find_layout(folder: Path) -> Layout:
    """Find the files of the corpus below `folder`. Raises DataError listing what is lacking and what is there."""
    if not folder.is_dir():
        raise DataError(
            f"{folder}: there is no such folder. Name the folder that holds Labels, Audios and Transcripts."
        )
    root = _root(folder)
    label_folders = list(_nested(root, LABELS))
    places = [*label_folders, root]
    layout = Layout(
        folder=root,
        audio=tuple(_outermost(_nested(root, AUDIO))),
        consensus=_file(places, CONSENSUS),
        detailed=_file(places, DETAILED),
        text=_file(places, TEXT),
        partitions=_file([root, *label_folders], PARTITIONS),
        speakers=_file([root, *label_folders], SPEAKERS),
        transcripts=tuple(_outermost([*_nested(root, TRANSCRIPTS), *_toy_transcripts(root)])),
        made_up=_made_up(root),
        doubled=tuple(path for path in _all_nested(root) if path.parent.name.lower() == path.name.lower()),
    )
    faults = _lacking(layout)
    if faults:
        seen = sorted(_children(root).values())
        shown = ", ".join(path.name for path in seen[:12]) or "nothing"
        packed = [path.name for path in seen if path.name.lower() in ARCHIVES]
        hint = f"\n  unpack first: {', '.join(packed)}" if packed else ""
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise DataError(f"{folder} is not a known layout of MSP-Podcast:\n{lines}\n  the folder has: {shown}{hint}")
    return layout


def _lacking(layout: Layout) -> list[str]:
    faults = []
    if layout.consensus is None and layout.text is None:
        faults.append("no consensus labels: Labels/labels_consensus.csv or .json, or Labels/labels.txt")
    if layout.detailed is None and layout.text is None:
        faults.append("no raters' votes: Labels/labels_detailed.csv or .json, or Labels/labels.txt")
    if layout.consensus is None and layout.partitions is None:
        faults.append("no partitions: Partitions.txt or Partition.txt, which labels.txt also needs")
    return faults


def _root(folder: Path) -> Path:
    """The folder itself, or its only subfolder where an archive was unpacked into one more."""
    known = {*AUDIO, *LABELS, *CONSENSUS, *DETAILED, *TEXT}
    while not known & _children(folder).keys():
        inner = [path for path in _children(folder).values() if path.is_dir()]
        if len(inner) != 1:
            break
        folder = inner[0]
    return folder


def _children(folder: Path) -> dict[str, Path]:
    """Lower-case name to path; of names that differ in case only, the first."""
    paths = [path for path in sorted(folder.iterdir()) if not path.name.startswith((".", "__MACOSX"))]
    return {path.name.lower(): path for path in reversed(paths)}


def _nested(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Folders of these names and those of the same names inside them, innermost first."""
    with os.scandir(folder) as scan:  # not _children: the audio folder has a hundred thousand files
        inner = sorted((entry.name, entry.path) for entry in scan if entry.name.lower() in names and entry.is_dir())
    for _, path in inner:
        yield from _nested(Path(path), names)
        yield Path(path)


def _all_nested(root: Path) -> list[Path]:
    return [path for names in (AUDIO, LABELS, TRANSCRIPTS) for path in _nested(root, names)]


def _outermost(folders: Iterable[Path]) -> list[Path]:
    found = list(folders)
    return [path for path in found if not any(other in path.parents for other in found)]


def _file(places: Iterable[Path], names: Iterable[str]) -> Path | None:
    listed = [{path.name.lower(): path for path in sorted(place.iterdir()) if path.is_file()} for place in places]
    return next((files[name] for name in names for files in listed if name in files), None)


def _toy_transcripts(root: Path) -> Iterator[Path]:
    toy = root / "Toy" / "Transcripts"
    if toy.is_dir():
        yield toy


def _made_up(root: Path) -> bool:
    readme = root / "readme.txt"
    return readme.is_file() and readme.read_text(encoding="utf-8", errors="replace").startswith(
        "THIS CORPUS IS MADE UP"
    )
