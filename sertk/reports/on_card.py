"""Put scores on a trained model's card: card.json and README.md carry them, and the checksums cover both."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sertk.cards import read_card
from sertk.checkpoint import Checkpoint
from sertk.data.copies import seen_in
from sertk.data.manifest import Utterance
from sertk.ensemble.predictions import some
from sertk.errors import DataError
from sertk.files import SUMS, atomic_folder, write_json, write_sums, write_text
from sertk.locks import sole_writer
from sertk.model_card import model_card
from sertk.provenance import read_record
from sertk.scoring.bootstrap import LEVEL
from sertk.scoring.names import metric_names
from sertk.scoring.remarks import remarks
from sertk.scoring.resample import RULE
from sertk.scoring.score import Score
from sertk.scoring.truth import AlignedPredictions

SHOWN = tuple(metric_names("micro_f1"))
"""The metrics that a card carries, where the labels allow them."""

CROSS_VALIDATED = "cross-validation"
"""The name of cross-validated scores on a card."""
OF_FOLDS = (
    "the scores are not of this model but of models trained in the same way, each without the speakers that it was "
    "scored on"
)


def on_card(folder: Path, name: str) -> str | None:
    """The fingerprint of what the scores under a name on a checkpoint's card were made from; None without such."""
    scores = read_card(folder).scores.get(name)
    return None if scores is None else str(scores.get("made_from"))


def card_scores(score: Score, made_from: str) -> dict[str, Any]:
    """What a card says of one score, as JSON values. made_from: the fingerprint of what was scored and how."""
    return {
        "made_from": made_from,
        "utterances": score.utterances,
        "speakers": str(score.who),
        "intervals": f"{LEVEL:.0%}, {score.method}" if score.method else "",
        "classes": RULE,
        "remarks": list(remarks(score, by_class=False)),
        "metrics": {name: score.metrics[name].as_dict() for name in SHOWN if name in score.metrics},
    }


def put_on_card(
    folder: Path,
    name: str,
    score: Score,
    aligned: AlignedPredictions,
    *,
    predictions: Path,
    made_from: str,
    utterances: Iterable[Utterance],
    cross_validated: bool = False,
) -> None:
    """Put a score under a name, such as its split, on the card of the checkpoint in `folder`.

    predictions: the file that was scored. utterances: of the corpus. made_from: the fingerprint of what was scored
    and how. cross_validated: the scores are of models trained in the same way, each without what it was scored on,
    and the card says so. The folder is replaced whole or not at all, its weights untouched. Raises DataError for
    predictions that another model made,
    by their record, and for utterances that the model was trained on; CheckpointError for a folder that is no
    checkpoint.
    """
    with sole_writer(folder):
        checkpoint, record = Checkpoint.load(folder), None if cross_validated else read_record(predictions)
        if record is not None and record.made.parts.get("model", checkpoint.fingerprint) != checkpoint.fingerprint:
            raise DataError(
                f"{predictions} was predicted by another model than {folder}, or by an earlier version of it: "
                f"predict again, or name that model"
            )
        trained_on = frozenset() if cross_validated else checkpoint.train_ids
        scored = {*aligned.truth.ids}
        seen = seen_in((u for u in utterances if u.id in scored), trained_on)
        if seen:
            raise DataError(
                f"{folder} was trained on {len(seen)} of the {len(aligned)} scored utterances ({some(seen)}): its "
                f"card carries scores of other utterances only"
            )
        scores = card_scores(score, made_from)
        if cross_validated:
            scores["remarks"] = [OF_FOLDS, *scores["remarks"]]
        card = replace(checkpoint.card, scores={**checkpoint.card.scores, name: scores})
        values: Mapping[str, Any] = asdict(card)
        with atomic_folder(folder) as temporary:
            shutil.copytree(folder, temporary, ignore=shutil.ignore_patterns(".*", SUMS), dirs_exist_ok=True)
            write_json(temporary / "card.json", values)
            write_text(temporary / "README.md", model_card(values, card.challenge_legal, checkpoint.experiment))
            write_sums(temporary)
