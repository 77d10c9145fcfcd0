"""Files of predictions beside the labels of a manifest, as they are and calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sertk.data.copies import seen_in, with_origins
from sertk.data.manifest import Manifest
from sertk.ensemble.by_ending import under_ids
from sertk.ensemble.predictions import Predictions, some
from sertk.errors import DataError
from sertk.scoring.calibration import temperature_scaling, vector_scaling
from sertk.scoring.truth import AlignedPredictions, align, truth_of


def align_file(corpus: Manifest, split: Sequence[str], path: Path) -> AlignedPredictions:
    """Predictions of a file beside the labels of some splits. Raises DataError, naming the file."""
    try:
        return align(truth_of(corpus, corpus.split(*split)), Predictions.read(path, labels=corpus.labels))
    except DataError as error:
        raise error if str(path) in str(error) else type(error)(f"{path}: {error}") from None


def calibrated(corpus: Manifest, name: str, aligned: AlignedPredictions, path: Path) -> dict[str, AlignedPredictions]:
    """The aligned with its probabilities calibrated in two ways on held-out predictions."""
    held_out, _ = under_ids(Predictions.read(path, labels=corpus.labels), [u.id for u in corpus])
    ids, scored = set(held_out.ids), set(aligned.truth.ids)
    both = seen_in((u for u in corpus if u.id in scored), with_origins(corpus, ids))
    if both:
        raise DataError(
            f"{path}: calibration must be fitted on other utterances than those scored; both have {some(both)}"
        )
    fit_on = align(truth_of(corpus, [u for u in corpus if u.id in ids]), held_out)
    fits = {"temperature": temperature_scaling(fit_on), "vector": vector_scaling(fit_on)}
    return {f"{name} + {kind}": replace(aligned, predictions=fit(aligned.predictions)) for kind, fit in fits.items()}
