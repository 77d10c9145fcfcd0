"""Score predictions against labels that are both tables in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sertk.data.labels import consensus_index, soft_target
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError
from sertk.scoring.score import Score
from sertk.scoring.score import score as score_case
from sertk.scoring.truth import Truth, align

if TYPE_CHECKING:
    import pandas as pd


def score_frames(
    predictions: Predictions | pd.DataFrame, labels: pd.DataFrame, *, draws: int = 1000, seed: int = 1
) -> Score:
    """Score predictions against labels, with 95 % intervals that resample speakers.

    Parameters
    ----------
    predictions
        As `Model.predict` gives them, or a frame of the form of `Predictions.to_frame`.
    labels
        One row per utterance: `id`, and of `emotion` (the consensus; empty without one), a column of votes for each
        class (counts or shares), attributes by name, `speaker`, `gender` and `duration` (seconds) those that are
        known.
    draws, seed
        Resamples of speakers for the intervals, and their seed.

    Returns
    -------
    Score
        Metrics by name, each with its interval; classes; confusions.

    Raises
    ------
    DataError
        For a frame without ids or with an id twice, and where nothing can be scored.
    LabelError
        For a class that the predictions do not have.
    """
    predicted = predictions if isinstance(predictions, Predictions) else Predictions.from_frame(predictions)
    return score_case(align(_truth(labels, predicted), predicted), draws=draws, seed=seed)


def _truth(frame: pd.DataFrame, predicted: Predictions) -> Truth:
    if "id" not in frame.columns:
        raise DataError(f"the labels have no column `id`; columns: {', '.join(map(str, frame.columns))}")
    rows: list[dict[str, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    ids = tuple(str(row["id"]) for row in rows)
    if len(set(ids)) != len(ids):
        raise DataError("an id occurs twice in the labels: ids must be unique")
    names, attributes = predicted.labels, [name for name in predicted.attribute_names if name in frame.columns]
    lacking = [name for name in names.names if name not in frame.columns]
    if lacking and len(lacking) < len(names):
        raise DataError(f"the labels have votes for some classes only: no column for {', '.join(lacking)}")
    votes = np.full((len(ids), len(names)), np.nan)
    for number, row in enumerate(rows):
        shares = None if lacking else soft_target({name: _number(row, name) or 0.0 for name in names.names}, names)
        if shares is not None:
            votes[number] = shares
    values = [[_number(row, name) for name in attributes] for row in rows]
    return Truth(
        ids=ids,
        labels=names,
        consensus=np.array([consensus_index(row.get("emotion"), names) for row in rows], dtype=np.int64),
        votes=votes,
        attributes=np.array(values, dtype=np.float64).reshape(len(ids), len(attributes)),
        attribute_names=tuple(attributes),
        speakers=tuple(None if row.get("speaker") is None else str(row["speaker"]) for row in rows),
        genders=tuple(row.get("gender") for row in rows),
        seconds=np.array([_number(row, "duration") for row in rows], dtype=np.float64),
    )


def _number(row: dict[str, Any], column: str) -> float | None:
    """A cell; None where it is empty. Raises DataError for what is not a number."""
    cell = row.get(column)
    try:
        return None if cell is None else float(cell)
    except (TypeError, ValueError):
        raise DataError(f"{row['id']}: {column} is not a number: {cell!r}") from None
