"""Changed copies of the recordings of a corpus, in a manifest beside the originals."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sertk.api.remarks import warn_of_edited, warn_of_left_out
from sertk.data.audio import SILENCE, audio_info, read_audio
from sertk.data.corpora.report import write_faults
from sertk.data.manifest import Manifest, Utterance
from sertk.data.provenance import recordings_digest
from sertk.errors import AudioError, DataError, Fault, UsageError, did_you_mean
from sertk.outputs import making_in, refuse_foreign
from sertk.progress import Bars, silent
from sertk.provenance import Provenance, from_here, is_current, options_as_parts
from sertk_corpora.distortions import BOUNDS, DISTORTIONS, Samples

VERB, REVISION = "data augment", 1
"""The verb, and its revision: raised when its outputs change for the same inputs."""
MANIFEST, REPORT, AUDIO = "manifest.jsonl.gz", "report.jsonl", "audio"


@dataclass(frozen=True)
class Augmented:
    """A manifest that was written or found up to date. counts: copies by kind. left_out: what could not be read."""

    manifest: Path
    up_to_date: bool = False
    utterances: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    left_out: Sequence[Fault] = ()


@dataclass(frozen=True)
class Kind:
    """A distortion with the strengths that are drawn from."""

    name: str
    low: float
    high: float

    @staticmethod
    def parse(text: str) -> Kind:
        """Read `NAME`, `NAME:STRENGTH` or `NAME:LOW:HIGH`. Raises UsageError."""
        name, *numbers = text.split(":")
        if name not in DISTORTIONS:
            hint = did_you_mean(name, DISTORTIONS)
            raise UsageError(f"there is no kind {name!r} of copies. {hint}Kinds: {', '.join(DISTORTIONS)}")
        usual = DISTORTIONS[name]
        low, high = BOUNDS.get(name, (-math.inf, math.inf))
        try:
            given = [float(number) for number in numbers] or [usual.low, usual.high]
        except ValueError:
            given = []
        if not usual.unit and numbers:
            raise UsageError(f"{text}: {name} has no strength")
        if len(given) not in (1, 2) or not low <= given[0] <= given[-1] <= high or not all(map(math.isfinite, given)):
            inside = f" from {low:g} to {high:g}" if name in BOUNDS else ""
            raise UsageError(f"{text}: give {name}:STRENGTH or {name}:LOW:HIGH, in {usual.unit}{inside}")
        return Kind(name, given[0], given[-1])


def augment(
    manifest: str | Path,
    out: str | Path,
    *,
    split: str = "train",
    kinds: Sequence[str] = (),
    copies: int = 1,
    share: float = 1.0,
    copies_only: bool = False,
    seed: int = 1,
    force: bool = False,
    progress: Bars = silent,
) -> Augmented:
    """Write changed copies of the recordings of a split, and a manifest of them and of all originals.

    The labels of a copy are those of its original, whose id it has as `source_id`. What is done to it depends on the
    seed and on its id alone; babble is of other speakers of the split.

    Parameters
    ----------
    manifest
        The manifest.
    out
        The folder to write: `manifest.jsonl.gz`, the copies as FLAC in `audio/`, and `report.jsonl` for what could
        not be read.
    split
        The split to copy.
    kinds
        What is done: one of these for each copy, `NAME`, `NAME:STRENGTH` or `NAME:LOW:HIGH`; without
        them any.
    copies
        Copies of each recording.
    share
        About which share of the recordings is copied.
    copies_only
        Leave the originals out of the manifest.
    seed
        The same seed gives the same copies.
    force
        Write again what is up to date.
    progress
        Opens a bar for the recordings.

    Returns
    -------
    Augmented
        Recordings that cannot be read are left out, listed and warned of.

    Raises
    ------
    SertkError
        UsageError for an unknown kind; DataError for a split that there is not, or babble of one speaker alone;
        OutputError for a folder with other files.
    """
    source, folder = Path(manifest), Path(out)
    chosen = [Kind.parse(kind) for kind in kinds or DISTORTIONS]
    if copies < 1 or not 0 < share <= 1 or not chosen:
        raise UsageError(f"one copy or more of a share above 0 and up to 1 by some kind, got {copies} of {share:g}")
    refuse_foreign(folder, VERB)
    made = provenance(str(source), str(folder), split, [*kinds], copies, share, copies_only, seed)
    if not force and is_current(folder, made):
        return Augmented(folder / MANIFEST, up_to_date=True)
    corpus = Manifest.read(source)
    drawn = [u for u in corpus.split(split) if _generator(seed, "share", u.id).random() < share]
    if not drawn:
        raise DataError(f"a share of {share:g} of the {len(corpus.split(split))} utterances of {split} is none")
    tasks = [(u, number) for number in range(copies) for u in drawn]
    files = [f"{AUDIO}/{row:06}.flac" for row in range(len(tasks))]
    sources, rows, faults = Sources(corpus, split), list[Utterance](), list[Fault]()
    counts: Counter[str] = Counter()
    with making_in(folder, made, [MANIFEST, REPORT, *files]) as edited, progress("copies", len(tasks)) as advance:
        (folder / AUDIO).mkdir(exist_ok=True)
        for (utterance, number), file in zip(tasks, files, strict=True):
            rng = _generator(seed, number, utterance.id)
            kind = chosen[int(rng.integers(len(chosen)))]
            try:
                rate, samples = sources.changed(utterance, kind, rng)
            except AudioError as error:
                faults.append(Fault(utterance.id, str(error)))
            else:
                soundfile.write(folder / file, samples, rate, format="FLAC", subtype="PCM_16")
                rows.append(_row(utterance, kind, number, file, rate, len(samples)))
                counts[kind.name] += 1
            advance(1)
        kept = () if copies_only else corpus.located()
        if same := {u.id for u in corpus} & {row.id for row in rows}:
            raise DataError(f"{source}: has an utterance {min(same)}, as a copy would be called")
        whole = replace(corpus.with_utterances((*kept, *rows)), folder=folder.absolute(), anchored=False)
        whole.write(folder / MANIFEST)
        if faults:
            write_faults(folder / REPORT, {"left out": faults}, {"copies": len(rows), "left_out": len(faults)})
    warn_of_edited(edited)
    warn_of_left_out(faults)
    return Augmented(folder / MANIFEST, False, len(kept) + len(rows), dict(sorted(counts.items())), tuple(faults))


def provenance(
    manifest: str,
    out: str,
    split: str,
    kinds: list[str],
    copies: int,
    share: float,
    copies_only: bool,
    seed: int,
) -> Provenance:
    """Plan `sertk data augment`."""
    corpus = Manifest.read(Path(manifest))
    options: dict[str, Any] = {"split": split, "kinds": kinds, "copies": copies, "share": share}
    options |= {"copies_only": copies_only, "seed": seed}
    parts = {"revision": str(REVISION), "manifest": corpus.fingerprint, **options_as_parts("options", options)}
    parts["recordings"] = recordings_digest(corpus.with_utterances(corpus.split(split)))
    parts["libsndfile"] = soundfile.__libsndfile_version__
    read = from_here(Path(manifest))
    return Provenance(VERB, parts, {"manifest": read, "out": from_here(Path(out)), **options}, (read,))


class Sources:
    """The recordings of a split, changed one at a time."""

    def __init__(self, corpus: Manifest, split: str) -> None:
        self._path = {u.id: corpus.audio_path(u) for u in corpus.split(split)}
        self._by_speaker: dict[str, list[Utterance]] = defaultdict(list)
        for utterance in corpus.split(split):
            self._by_speaker[utterance.speaker or utterance.origin].append(utterance)

    def changed(self, utterance: Utterance, kind: Kind, rng: np.random.Generator) -> tuple[int, Samples]:
        """Rate and samples of a copy. Raises AudioError for a recording that cannot be read."""
        rate = audio_info(self._path[utterance.id]).sample_rate
        samples = self._read(utterance, rate)
        strength = float(rng.uniform(kind.low, kind.high))

        def others(rng: np.random.Generator) -> Samples:
            own = utterance.speaker or utterance.origin
            names = [name for name in self._by_speaker if name != own]
            if not names:
                raise DataError("babble is of other speakers, and there is one alone: choose other kinds")
            of = self._by_speaker[names[int(rng.integers(len(names)))]]
            return self._read(of[int(rng.integers(len(of)))], rate)

        found = DISTORTIONS[kind.name].apply(samples, rate, strength, rng, others)
        peak = float(np.abs(found).max())
        if peak < SILENCE:
            raise AudioError(f"{self._path[utterance.id]}: silent after {kind.name}")
        return rate, found if peak <= 1 else np.asarray(found / peak, dtype=np.float32)

    def _read(self, utterance: Utterance, rate: int) -> Samples:
        place, start, duration = self._path[utterance.id], utterance.start, utterance.duration
        return read_audio(place, sample_rate=rate, start=start, duration=duration)


def _row(utterance: Utterance, kind: Kind, number: int, place: str, rate: int, samples: int) -> Utterance:
    id = f"{utterance.id}~{kind.name}{number + 1 if number else ''}"
    seconds = round(samples / rate, 6)
    at = replace(utterance, audio=place, start=0.0, duration=seconds, sample_rate=rate)
    return replace(at, id=id, source_id=utterance.origin)


def _generator(seed: int, what: object, id: str) -> np.random.Generator:
    """Random numbers for one copy of one utterance, whatever else is in the corpus."""
    digest = hashlib.sha256(f"{seed} {what} {id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
