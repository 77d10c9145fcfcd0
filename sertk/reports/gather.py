"""Gather what a report shows: scores of every system, how members were trained, and the recordings worth hearing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, TypeAdapter

from sertk.cards import is_checkpoint
from sertk.data.manifest import Manifest, Utterance
from sertk.ensemble.by_ending import under_ids
from sertk.ensemble.predictions import Predictions, some
from sertk.errors import DataError
from sertk.files import parse_json, parse_toml
from sertk.scoring.groups import Group, groups
from sertk.scoring.score import Score, score
from sertk.scoring.sufficient_stats import entropy
from sertk.scoring.truth import AlignedPredictions, align, truth_of


@dataclass(frozen=True)
class _ShownCard:
    __pydantic_config__ = ConfigDict(extra="ignore")

    encoders: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _ShownEpoch:
    __pydantic_config__ = ConfigDict(extra="ignore")

    stage: str
    losses: dict[str, float]
    score: float


_CARD, _EPOCH = TypeAdapter(_ShownCard), TypeAdapter(_ShownEpoch)
"""What the page shows of a model's card, and of a line of its history."""

SPLIT_SUFFIXES = (".csv", ".jsonl")


@dataclass(frozen=True)
class Sources:
    """Where a report's parts lie. predictions: split -> system -> file. models: folders with a `card.json`."""

    manifest: Path
    predictions: Mapping[str, Mapping[str, Path]]
    models: Mapping[str, Path] = field(default_factory=dict)
    title: str = "Report"


@dataclass(frozen=True)
class System:
    """A system on a split, with its scores."""

    name: str
    score: Score


@dataclass(frozen=True)
class Clip:
    """An utterance worth hearing. shares: (class, votes, predicted) of the classes that either names."""

    utterance: Utterance
    why: str
    shares: tuple[tuple[str, float | None, float], ...]


@dataclass(frozen=True)
class Part:
    """One split. best: the system with the highest macro-F1, whose groups and clips are shown."""

    split: str
    systems: tuple[System, ...]
    best: str
    groups: tuple[Group, ...]
    confused: tuple[Clip, ...]
    ambiguous: tuple[Clip, ...]


@dataclass(frozen=True)
class Model:
    """A trained model: its configuration as written, its card, and a row for each epoch."""

    name: str
    config: str
    card: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...]

    @property
    def seed(self) -> int | None:
        """The seed its configuration names."""
        found = parse_toml(self.config).get("seed")
        return found if isinstance(found, int) else None


@dataclass(frozen=True)
class Report:
    """All that the page shows."""

    title: str
    manifest: Manifest
    fingerprint: str
    parts: tuple[Part, ...]
    models: tuple[Model, ...]


def find_sources(exp: Path, *, manifest: Path | None = None) -> Sources:
    """Look where verbs leave their files: `predictions/`, models beside it, in `members/` and `ensembles/`, `data/`.

    Predictions are in `predictions/SPLIT/SYSTEM.csv`, or in `predictions/SYSTEM.csv`, where their ids tell the split;
    a folder of `sertk crossval` has them in `pooled/`, beside the manifest of what it tested.
    Splits whose labels are withheld are passed over when the report is gathered. Raises DataError when there are no
    predictions or no manifest.
    """
    predictions: dict[str, dict[str, Path]] = {}
    pooled = exp / "pooled"
    if (pooled / "manifest.jsonl.gz").is_file():
        manifest = manifest or pooled / "manifest.jsonl.gz"
        predictions["test"] = {path.stem: path for path in sorted(pooled.glob("*.csv"))}
    manifest = manifest or exp / "data" / "manifest.jsonl.gz"
    for path in sorted([*(exp / "predictions").glob("*"), *(exp / "predictions").glob("*/*")]):
        if path.suffix in SPLIT_SUFFIXES and not path.name.startswith("."):
            split = path.parent.name if path.parent.parent == exp / "predictions" else _split_of(path, manifest)
            predictions.setdefault(split, {})[path.stem] = path
    if not any(predictions.values()):
        raise DataError(
            f"{exp} has no predictions/SPLIT/SYSTEM.csv: `sertk predict --split SPLIT --into predictions/SPLIT` "
            f"writes them"
        )
    cards = [*exp.glob("members/*/card.json"), *exp.glob("ensembles/**/card.json")]
    cards += [card for card in exp.glob("*/card.json") if is_checkpoint(card.parent)]
    folders = {card.parent.relative_to(exp): card.parent for card in sorted(cards)}
    models = {str(name): folder for name, folder in folders.items() if "members" not in name.parts[1:]}
    return Sources(manifest, predictions, models, title=exp.resolve().name)


def _split_of(path: Path, manifest: Path) -> str:
    """The split whose utterances a file predicts."""
    corpus = Manifest.read(manifest)
    ids = set(under_ids(Predictions.read(path), [utterance.id for utterance in corpus])[0].ids)
    splits = sorted({utterance.split or "none" for utterance in corpus if utterance.id in ids})
    if len(splits) != 1:
        what = f"utterances of the splits {', '.join(splits)}" if splits else f"no utterance of {manifest}"
        raise DataError(f"{path} predicts {what}: put the predictions of one split into predictions/SPLIT/")
    return splits[0]


def gather(sources: Sources, *, clips: int = 8, draws: int = 1000, seed: int = 1) -> Report:
    """Score every system of every labelled split and choose the clips. Raises DataError where there is none."""
    manifest = Manifest.read(sources.manifest)
    parts = []
    for split, files in sources.predictions.items():
        utterances = manifest.split(split)
        if is_labelled(utterances):
            parts.append(_part(manifest, split, utterances, files, clips=clips, draws=draws, seed=seed))
    if not parts:
        raise DataError(f"no split of {some([*sources.predictions])} has labels to score against")
    models = tuple(read_model(name, folder) for name, folder in sources.models.items())
    return Report(sources.title, manifest, manifest.fingerprint, tuple(parts), models)


def is_labelled(utterances: Sequence[Utterance]) -> bool:
    """Whether there are labels to score against."""
    return any(utterance.emotion or utterance.votes for utterance in utterances)


def _part(
    manifest: Manifest,
    split: str,
    utterances: Sequence[Utterance],
    files: Mapping[str, Path],
    *,
    clips: int,
    draws: int,
    seed: int,
) -> Part:
    truth = truth_of(manifest, utterances)
    cases = {name: align(truth, Predictions.read(path, labels=manifest.labels)) for name, path in files.items()}
    systems = tuple(System(name, score(aligned, draws=draws, seed=seed)) for name, aligned in cases.items())
    best = max(systems, key=lambda one: one.score.metrics["macro_f1"].value if one.score.classes else 0.0).name
    by_id = {utterance.id: utterance for utterance in utterances}
    confused, ambiguous = _clips(cases[best], by_id, clips)
    return Part(split, systems, best, groups(cases[best], draws=draws, seed=seed), confused, ambiguous)


def _clips(
    aligned: AlignedPredictions, by_id: Mapping[str, Utterance], count: int
) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """The most certain mistakes, and the utterances whose raters differ most."""
    truth, probabilities = aligned.truth, aligned.predictions.emotion
    if not (names := truth.labels.names):
        return (), ()
    rows = np.arange(len(aligned))
    true = np.maximum(truth.consensus, 0)
    excess = np.where(truth.consensus >= 0, probabilities.max(axis=1) - probabilities[rows, true], 0.0)
    spread = np.where(np.isfinite(truth.votes).all(axis=1), entropy(np.nan_to_num(truth.votes)), 0.0)

    def clip(row: int, why: str) -> Clip:
        votes = truth.votes[row]
        shares = [
            (name, None if np.isnan(vote) else float(vote), float(chance))
            for name, vote, chance in zip(names, votes, probabilities[row], strict=True)
        ]
        kept = sorted(shares, key=lambda share: -max(share[1] or 0.0, share[2]))[:4]
        return Clip(by_id[truth.ids[row]], why, tuple(kept))

    confused = [
        clip(
            row,
            f"{names[truth.consensus[row]]}, taken for {names[probabilities[row].argmax()]} "
            f"with {probabilities[row].max():.2f}",
        )
        for row in np.argsort(-excess, kind="stable")[:count]
        if excess[row] > 0
    ]
    ambiguous = [
        clip(row, f"{spread[row]:.2f} bits of disagreement")
        for row in np.argsort(-spread, kind="stable")[:count]
        if spread[row] > 0
    ]
    return tuple(confused), tuple(ambiguous)


def read_model(name: str, folder: Path) -> Model:
    """What the folder of a trained model says of it. Raises DataError for what cannot be read."""
    config, history = folder / "config.toml", folder / "history.jsonl"
    try:
        card = parse_json((folder / "card.json").read_text(encoding="utf-8"))
        lines = history.read_text(encoding="utf-8").splitlines() if history.is_file() else []
        rows = tuple(parse_json(line) for line in lines if line.strip())
        _CARD.validate_python(card)
        for row in rows:
            _EPOCH.validate_python(row)
        text = config.read_text(encoding="utf-8") if config.is_file() else ""
        parse_toml(text)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: cannot be read as a trained model: {error}") from None
    return Model(name, text, card, rows)
