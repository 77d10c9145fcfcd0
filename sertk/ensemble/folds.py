"""Out-of-fold posteriors: what a member's fold models say of the utterances that they were not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sertk.checkpoint import Checkpoint
from sertk.ensemble.members import checkpoint_of
from sertk.errors import EnsembleError
from sertk.features.store import FeatureStore


@dataclass(frozen=True)
class OutOfFold:
    """The posteriors of M fold models read as one member: each utterance from the model that never saw it.

    train_ids: all that some fold model was trained on.
    """

    places: Mapping[str, FeatureStore]
    dim: int
    train_ids: frozenset[str]

    @property
    def lengths(self) -> Mapping[str, int]:
        """One frame each."""
        return dict.fromkeys(self.places, 1)

    def __contains__(self, id: object) -> bool:
        return id in self.places

    def __getitem__(self, id: str) -> Tensor:
        return self.places[id][id]


def fold_folders(folder: Path) -> list[Path]:
    """The stores `fold-*` of a folder. Raises EnsembleError for fewer than two."""
    found = sorted(path for path in folder.glob("fold-*") if path.is_dir())
    if len(found) < 2:
        raise EnsembleError(f"{folder} needs two or more posterior stores fold-0, fold-1, ...; it has {len(found)}")
    return found


def out_of_fold(folder: Path, member: Checkpoint, ids: frozenset[str]) -> OutOfFold:
    """Read the stores `fold-*` of a member for some utterances, never from a model that was trained on one.

    Utterances that every fold model was trained on (such as those of unknown speakers) are not in it. Raises
    EnsembleError for fold models of another kind than the member, for an utterance that is new to two of them,
    and where there is none left.
    """
    places: dict[str, FeatureStore] = {}
    trained: set[str] = set()
    seen = 0
    dim = 0
    for path in fold_folders(folder):
        model, store = checkpoint_of(path), FeatureStore.open(path)
        assert model is not None  # it is a folder
        _refuse_other_kind(path, model, member)
        dim = store.dim
        trained |= model.train_ids
        for id in ids & store.lengths.keys():
            if id in model.train_ids:
                seen += 1
            elif id in places:
                raise EnsembleError(
                    f"{id} is new to the models of {places[id].folder} and of {path}: every utterance to fit on must "
                    f"be left out by exactly one fold"
                )
            else:
                places[id] = store
    if not places:
        raise EnsembleError(
            f"{folder}: no utterance to fit on has posteriors of a model that was not trained on it "
            f"({seen} posteriors leak): train with data.folds and data.fold, and extract each model's own fold"
        )
    return OutOfFold(places, dim, frozenset(trained))


def _refuse_other_kind(path: Path, fold: Checkpoint, member: Checkpoint) -> None:
    pairs = {
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
