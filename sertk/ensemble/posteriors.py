"""Predictions of several systems on the same utterances, joined by id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sertk.ensemble.predictions import Predictions, some
from sertk.errors import EnsembleError, LabelError


@dataclass(frozen=True, eq=False)
class Joined:
    """Predictions of M systems on the utterances that all of them have, in one order of ids and of classes.

    missing: for each system, the ids that some other system has and it has not; empty tuples where all agree.
    """

    ids: tuple[str, ...]
    systems: Mapping[str, Predictions]
    missing: Mapping[str, tuple[str, ...]]


def join(predictions: Mapping[str, Predictions]) -> Joined:
    """Join predictions by id, in the order of the first system's ids and classes.

    Raises EnsembleError for systems over other classes and for systems without a common utterance.
    """
    if not predictions:
        raise EnsembleError("there are no predictions to join")
    first_name, first = next(iter(predictions.items()))
    common = set(first.ids).intersection(*(one.ids for one in predictions.values()))
    if not common:
        raise EnsembleError(f"no utterance is predicted by all of {some([*predictions])}")
    every = dict.fromkeys(name for one in predictions.values() for name in one.ids)
    ids = tuple(name for name in first.ids if name in common)
    systems: dict[str, Predictions] = {}
    missing: dict[str, tuple[str, ...]] = {}
    for name, one in predictions.items():
        try:
            systems[name] = one.reordered(first.labels).subset(ids)
        except LabelError as error:
            raise EnsembleError(f"{name} does not fit {first_name}: {error}") from None
        has = set(one.ids)
        missing[name] = tuple(other for other in every if other not in has)
    return Joined(ids, systems, missing)
