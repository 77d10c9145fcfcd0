"""Out-of-fold posteriors: what models of a cross-validation say of utterances that they were not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sertk.cards import is_checkpoint
from sertk.checkpoint import Checkpoint
from sertk.data.copies import seen_in
from sertk.data.manifest import Utterance
from sertk.ensemble.members import Rows, Shape, read_rows
from sertk.errors import EnsembleError


@dataclass(frozen=True)
class FoldModel:
    """A member in one fold of `sertk crossval`: the folder of its model, and its predictions of the tested part."""

    model: Path
    predictions: Path


def fold_models(folder: Path, name: str) -> list[FoldModel]:
    """A member in each fold of a cross-validation. Raises EnsembleError for fewer than two."""
    every = [
        FoldModel(fold / "members" / name, fold / "predictions" / f"{name}.csv")
        for fold in sorted(folder.glob("fold_*"))
    ]
    found = [one for one in every if is_checkpoint(one.model) and one.predictions.is_file()]
    if len(found) < 2:
        raise EnsembleError(
            f"{folder} is no cross-validation of the member {name!r}: {len(found)} folds have "
            f"fold_*/members/{name} and fold_*/predictions/{name}.csv. `sertk crossval --split train` makes them; "
            f"members have the names of their files there."
        )
    return found


def out_of_fold(
    folder: Path, name: str, member: Checkpoint, shape: Shape, utterances: Sequence[Utterance]
) -> tuple[Rows, frozenset[str]]:
    """Read the folds of a member for some utterances, never from a model that was trained on one.

    Gives the posteriors, and all that some fold's model was trained on. Utterances that no fold tests (such as those
    of unknown speakers) are not in it. Raises EnsembleError for models of another kind than the member, for an
    utterance that is new to two of them, and where there is none left.
    """
    ids = {utterance.id for utterance in utterances}
    frames: dict[str, Tensor] = {}
    trained: frozenset[str] = frozenset()
    seen = 0
    for fold in fold_models(folder, name):
        model = Checkpoint.load(fold.model)
        _refuse_other_kind(fold.model, model, member)
        trained |= model.train_ids
        rows, known = read_rows(fold.predictions, shape), {*seen_in(utterances, model.train_ids)}
        for id in ids & rows.frames.keys():
            if id in known:
                seen += 1
            elif id in frames:
                raise EnsembleError(
                    f"{id} is in {fold.predictions} and in those of another fold: every utterance to fit on must be "
                    f"tested by exactly one fold"
                )
            else:
                frames[id] = rows[id]
    if not frames:
        raise EnsembleError(
            f"{folder}: no utterance to fit on has posteriors of a model that was not trained on it "
            f"({seen} posteriors leak): cross-validate the split to fit on, such as `sertk crossval --split train`"
        )
    return Rows(frames, shape.width), trained


def _refuse_other_kind(path: Path, fold: Checkpoint, member: Checkpoint) -> None:
    pairs: Mapping[str, tuple[object, object]] = {
        "classes": (fold.card.labels, member.card.labels),
        "attributes": (fold.attribute_names, member.attribute_names),
        "fusion": (fold.experiment.fusion, member.experiment.fusion),
        "encoders": (_encoders(fold), _encoders(member)),
    }
    for what, (of_fold, of_member) in pairs.items():
        if of_fold != of_member:
            raise EnsembleError(
                f"{path}: the {what} of the fold model are {of_fold}, those of the member {member.card.name} "
                f"{of_member}: fold models must be trained as the member was"
            )


def _encoders(checkpoint: Checkpoint) -> dict[str, str]:
    return {name: spec.fingerprint for name, spec in checkpoint.card.encoders.items()}
