"""The cells of a cross-corpus matrix: scores on the classes that both corpora have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sertk.data.labels import OTHER, LabelSet
from sertk.data.manifest import Manifest
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError
from sertk.scoring.bootstrap import Interval
from sertk.scoring.score import score
from sertk.scoring.truth import align, truth_of

METRICS = ("uar", "macro_f1")


@dataclass(frozen=True)
class Cell:
    """What a model of one corpus is worth on another, or on its own by cross-validation.

    classes: those that both corpora have, which count. metrics: by name, with intervals over the tested speakers.
    """

    trained_on: str
    tested_on: str
    classes: tuple[str, ...]
    utterances: int
    speakers: int
    metrics: dict[str, Interval]

    @property
    def within(self) -> bool:
        """Whether it is of one corpus, by cross-validation."""
        return self.trained_on == self.tested_on

    @property
    def chance(self) -> float:
        """UAR of a guess."""
        return 1 / len(self.classes)


def classes_of(manifest: Manifest) -> tuple[str, ...]:
    """The classes that some utterance has as its label, in the order of the label set."""
    found = {utterance.emotion for utterance in manifest}
    return tuple(name for name in manifest.labels.names if name in found)


def with_its_classes(manifest: Manifest) -> Manifest:
    """The same corpus with the classes alone that it has; votes for others count as `Other`, the vote outside."""
    names = classes_of(manifest)
    if names == manifest.labels.names:
        return manifest
    made = []
    for utterance in manifest:
        votes = {name: count for name, count in utterance.votes.items() if name in names}
        if others := sum(utterance.votes.values()) - sum(votes.values()):
            votes[OTHER] = others
        made.append(replace(utterance, votes=votes))
    return replace(manifest.with_utterances(made), labels=LabelSet(names))


def cell(
    trained_on: str,
    tested_on: str,
    predictions: Predictions,
    manifest: Manifest,
    classes: Sequence[str],
    *,
    draws: int = 1000,
    seed: int = 1,
) -> Cell:
    """Score predictions of a corpus on some classes.

    Utterances of other classes are left out, and so are answers: probabilities are shared out anew over `classes`.
    Raises DataError for fewer than two classes.
    """
    names = tuple(name for name in predictions.labels.names if name in classes)
    if len(names) < 2:
        raise DataError(
            f"{trained_on} and {tested_on} have {len(names)} class in common ({', '.join(names) or 'none'}): two are "
            f"needed. Give both the same names with --map, such as --map four"
        )
    tested = [replace(u, votes={}) for u in manifest if u.emotion in names]
    labels = LabelSet(names)
    narrowed = Manifest(manifest.corpus, labels, {}, tuple(tested))
    columns = [predictions.labels.index(name) for name in names]
    chances = predictions.emotion[:, columns] + 1e-12
    given = Predictions(
        predictions.ids, labels, chances / chances.sum(axis=1, keepdims=True), predictions.attributes[:, :0]
    )
    found = score(align(truth_of(narrowed, tested), given), draws=draws, seed=seed)
    metrics = {name: found.metrics[name] for name in METRICS}
    return Cell(trained_on, tested_on, names, found.utterances, found.speakers, metrics)
