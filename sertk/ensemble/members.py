"""What each member of an ensemble says of some utterances, from wherever it lies.

A member is a path: a store of a checkpoint's posteriors, a checkpoint (its posteriors are inferred from the stores
that its own experiment names), or a predictions file of any system.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from sertk.batching.dataset import FeatureSet, FeatureSource
from sertk.cards import EncoderSpec, is_checkpoint, owner_of, spec_of
from sertk.checkpoint import Checkpoint, checkpoint_of_store
from sertk.data.labels import LabelSet, unlabelled_table
from sertk.data.manifest import Utterance
from sertk.encoders.reads import model_parts, refuse_stale_leaves
from sertk.encoders.tree import ModelTree, stored_tree
from sertk.ensemble.predictions import Predictions, some
from sertk.errors import EnsembleError, LabelError
from sertk.features.stale import refuse_stale
from sertk.features.store import FeatureStore
from sertk.files import sha256_file
from sertk.training.evaluate import infer


@dataclass(frozen=True)
class Rows:
    """One frame an utterance, held in memory: id to (1, dim).

    lacking: for utterances without one, where they have no features.
    """

    frames: Mapping[str, Tensor]
    dim: int
    lacking: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def lengths(self) -> Mapping[str, int]:
        """One frame each."""
        return dict.fromkeys(self.frames, 1)

    def __contains__(self, id: object) -> bool:
        return id in self.frames

    def __getitem__(self, id: str) -> Tensor:
        return self.frames[id]


@dataclass(frozen=True)
class Member:
    """A system with its posteriors, one frame of C + A features an utterance.

    spec: what makes the posteriors again. checkpoint: None for a system from elsewhere. train_ids: the utterances
    that whoever made the posteriors was trained on, as far as is known.
    """

    name: str
    path: Path
    posteriors: FeatureSource
    spec: EncoderSpec
    checkpoint: Checkpoint | None
    train_ids: frozenset[str]


@dataclass(frozen=True)
class Shape:
    """What all members say: classes in order, and attributes with their ranges."""

    labels: LabelSet
    ranges: Mapping[str, tuple[float, float]]

    @property
    def width(self) -> int:
        """C + A."""
        return len(self.labels) + len(self.ranges)


def is_file_of_predictions(path: Path) -> bool:
    """Whether a path is named as a predictions file is."""
    return path.suffix in (".csv", ".jsonl")


def model_folder(path: Path) -> Path | None:
    """The folder of the checkpoint behind a member's path, None for a predictions file.

    Raises EnsembleError for a store of other features than posteriors.
    """
    if is_file_of_predictions(path):
        return None
    if is_checkpoint(path):
        return path
    card = FeatureStore.open(path).card
    if card.encoder != "checkpoint":
        raise EnsembleError(
            f"{path} holds features of the encoder {card.encoder!r}: a member is a store of a checkpoint's "
            f"posteriors, a checkpoint, or a predictions file (*.csv, *.jsonl)"
        )
    return Path(card.options["folder"])


def checkpoint_of(path: Path) -> Checkpoint | None:
    """The checkpoint behind a member's path, None for a predictions file.

    Raises EnsembleError for a store of other features than posteriors, CheckpointError for one whose checkpoint has
    changed.
    """
    folder = model_folder(path)
    if folder is None or folder == path:
        return None if folder is None else Checkpoint.load(folder)
    return checkpoint_of_store(FeatureStore.open(path))


def member_parts(name: str, path: Path, ids: Collection[str]) -> dict[str, str]:
    """What a member says of some utterances, as parts of a key: cheap, for no posteriors are inferred."""
    folder = model_folder(path)
    if folder is None:
        return {name: sha256_file(path)}
    if folder == path:
        parts = model_parts(name, folder, ids)
    else:
        parts = {name: FeatureStore.open(path).fingerprint_of(ids)}
    return parts | {f"{name}.train_ids": sha256_file(folder / "train_ids.txt.gz")}


def refuse_stale_member(path: Path, utterances: Sequence[Utterance]) -> None:
    """Raise StoreError for posteriors, or features of a checkpoint, that are of other content than there is now.

    utterances: as `Manifest.located` gives them.
    """
    if is_checkpoint(path):
        refuse_stale_leaves(path, utterances)
    elif not is_file_of_predictions(path):
        refuse_stale(FeatureStore.open(path), utterances)


def open_member(
    name: str, path: Path, checkpoint: Checkpoint | None, shape: Shape, ids: Sequence[str], device: torch.device
) -> Member:
    """Open what a member says of some utterances. Raises SertkError for one that cannot be read or does not fit."""
    if checkpoint is None:
        rows = read_rows(path, shape)
        if not any(id in rows for id in ids):
            raise EnsembleError(
                f"{path}: none of its ids is one of the utterances to combine on: it has {some([*rows.frames])}, the "
                f"manifest {some(ids)}. Give the ids as the manifest has them."
            )
        return Member(name, path, rows, _foreign(path, shape), None, frozenset())
    if not is_checkpoint(path):
        store = FeatureStore.open(path)
        return Member(name, path, store, spec_of(name, store.card)[0], checkpoint, checkpoint.train_ids)
    spec = EncoderSpec(
        use="checkpoint",
        options={"folder": f"members/{name}"},
        fingerprint=checkpoint.fingerprint,
        modality="posterior",
        dim=shape.width,
        frames_per_second=0.0,
        challenge_legal=checkpoint.card.challenge_legal,
        owner=owner_of("checkpoint"),
    )
    return Member(name, path, infer_rows(checkpoint, ids, device), spec, checkpoint, checkpoint.train_ids)


def inputs_of(checkpoint: Checkpoint, ids: Sequence[str], device: torch.device) -> dict[str, FeatureSource]:
    """What a checkpoint reads: the stores that its experiment names, or what the checkpoints named there say.

    Raises CheckpointError for a store that another encoder filled.
    """
    tree, sources = stored_tree(checkpoint, read_file=_read_file)
    return {
        name: sources[source] if isinstance(source, str) else _infer(source, sources, ids, device)
        for name, source in tree.inputs.items()
    }


def infer_rows(checkpoint: Checkpoint, ids: Sequence[str], device: torch.device) -> Rows:
    """What a checkpoint says of those of the utterances that all it reads has, in the order given.

    Raises EnsembleError where no utterance has features.
    """
    tree, sources = stored_tree(checkpoint, read_file=_read_file)
    return _infer(tree, sources, ids, device)


def _infer(tree: ModelTree, sources: Mapping[str, FeatureSource], ids: Sequence[str], device: torch.device) -> Rows:
    checkpoint, leaves = tree.checkpoint, {key: sources[key] for key in _leaves(tree)}
    places = {key: str(getattr(source, "folder", key)) for key, source in leaves.items()}
    lacking = {id: [places[key] for key, source in leaves.items() if id not in source] for id in ids}
    known = [id for id in ids if not lacking[id]]
    if not known:
        where = ", ".join(places.values())
        raise EnsembleError(
            f"{checkpoint.folder}: none of {len(ids)} utterances has features in {where}: extract them"
        )
    frames = [max(source.lengths[id] for source in leaves.values()) for id in known]
    data = FeatureSet(unlabelled_table(known, checkpoint.label_set, frames), leaves)
    batch_size = checkpoint.experiment.compute.eval_batch_size
    posteriors = infer(tree.to(device), data, batch_size=batch_size, device=device)  # (N, C + A)
    frames_of = dict(zip(known, posteriors[:, None], strict=True))
    return Rows(frames_of, posteriors.shape[1], {id: names for id, names in lacking.items() if names})


def _leaves(tree: ModelTree) -> list[str]:
    """The keys of a tree's leaves, each once."""
    found = [[source] if isinstance(source, str) else _leaves(source) for source in tree.inputs.values()]
    return list(dict.fromkeys(key for keys in found for key in keys))


def _read_file(path: Path, checkpoint: Checkpoint) -> tuple[str, FeatureSource]:
    """A predictions file that a checkpoint reads, by its digest."""
    return sha256_file(path), read_rows(path, Shape(checkpoint.label_set, checkpoint.card.ranges))


def read_rows(path: Path, shape: Shape) -> Rows:
    """What a predictions file says, in the order of the shape; NaN for attributes that it does not have."""
    try:
        predictions = Predictions.read(path, labels=shape.labels)
    except LabelError as error:
        raise EnsembleError(f"{path}: {error}") from None
    frames = torch.full((len(predictions), 1, shape.width), float("nan"))  # (N, 1, C + A)
    frames[:, 0, : len(shape.labels)] = torch.from_numpy(predictions.emotion).float()
    for column, name in enumerate(shape.ranges, start=len(shape.labels)):
        if name in predictions.attribute_names:
            values = predictions.attributes[:, predictions.attribute_names.index(name)]
            frames[:, 0, column] = torch.from_numpy(values).float()
    return Rows(dict(zip(predictions.ids, frames, strict=True)), shape.width)


def _foreign(path: Path, shape: Shape) -> EncoderSpec:
    """Posteriors from elsewhere: nobody can make them again, nor vouch for how they were made."""
    return EncoderSpec(
        use="posteriors",
        options={"file": path.name},
        fingerprint=sha256_file(path),
        modality="posterior",
        dim=shape.width,
        frames_per_second=0.0,
        challenge_legal=False,
    )
