"""What scores are made from: the planner of `sertk score`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sertk.data.manifest import Manifest, Utterance
from sertk.data.speakers import OTHERS
from sertk.ensemble.by_ending import under_ids
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError
from sertk.files import sha256_file, sha256_json
from sertk.provenance import Provenance, from_here, options_as_parts, read_record

REVISION = 2
"""Raised when scores change for the same inputs."""


def score_provenance(
    predictions: Sequence[str],
    manifest: str,
    split: Sequence[str],
    compare: str | None,
    calibrate: str | None,
    groups: bool,
    draws: int,
    seed: int,
) -> Provenance:
    """Plan `sertk score`: prediction files, and what scores see of the manifest's utterances."""
    others = {name: path for name, path in (("compare", compare), ("calibrate", calibrate)) if path is not None}
    for path in (*predictions, manifest, *others.values()):
        if not Path(path).is_file():
            raise DataError(f"there is no file {path}")
    corpus = Manifest.read(Path(manifest))
    options = {"split": [*split], "groups": groups, "draws": draws, "seed": seed}
    parts = {"revision": str(REVISION), **options_as_parts("options", options)}
    parts |= {
        f"predictions {system}": sha256_file(Path(path))
        for system, path in zip(system_names(predictions), predictions, strict=True)
    }
    parts |= {f"{name} {Path(path).stem}": sha256_file(Path(path)) for name, path in others.items()}
    parts["labels"] = _labels_digest(corpus, corpus.split(*split), groups=groups)
    if calibrate is not None:
        held_out = {
            *under_ids(Predictions.read(Path(calibrate), labels=corpus.labels), [u.id for u in corpus])[0].ids
        }
        parts["labels to calibrate on"] = _labels_digest(corpus, [u for u in corpus if u.id in held_out])
    reads = [from_here(Path(path)) for path in (*predictions, manifest, *others.values())]
    call = {"predictions": reads[: len(predictions)], "manifest": from_here(Path(manifest)), **options}
    call |= {
        name: None if path is None else from_here(Path(path))
        for name, path in (("compare", compare), ("calibrate", calibrate))
    }
    return Provenance("score", parts, call, tuple(reads))


def system_names(paths: Sequence[str]) -> list[str]:
    """File names without suffix, or whole paths where two would be called the same; with what `_mark` adds."""
    stems = [Path(path).stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
    return [name + _mark(path) for name, path in zip(names, paths, strict=True)]


def _mark(path: str) -> str:
    """Marks predictions that were made with other recordings of the test speakers or corpus, by their record."""
    record = read_record(Path(path))
    ends = {part.rpartition(".")[2] for part in record.made.parts} if record else set()
    by = [by for by, end in OTHERS.items() if end in ends or (by == "speaker" and "same speaker" in ends)]
    return f" [by {' and '.join(by)}]" if by else ""


def _labels_digest(corpus: Manifest, utterances: Iterable[Utterance], *, groups: bool = False) -> str:
    """A digest of what scores see of a manifest, and of what their pages say of it."""

    def row(u: Utterance) -> list[Any]:
        values: list[Mapping[str, float]] = [u.votes, u.attributes]
        numbers = [sorted((name, float(value)) for name, value in each.items()) for each in values]
        return [u.id, u.emotion, u.speaker, *numbers, *([u.gender, u.duration, u.corpus] if groups else [])]

    head = [corpus.corpus, corpus.note, [*corpus.labels.names], corpus.labels.letters, [*corpus.ranges]]
    return sha256_json([head, [row(utterance) for utterance in utterances]])
