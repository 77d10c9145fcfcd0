"""A trained model is a tree: a checkpoint whose modalities come from encoders or from other checkpoints, its members.

At the leaves are encoders, or the feature stores that their frames were kept in; one that several members share is
built, run or read once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from sertk.batching.dataset import FeatureSource
from sertk.cards import (
    Card,
    EncoderSpec,
    is_checkpoint,
    model_fingerprint,
    not_installed,
    read_card,
    read_experiment,
)
from sertk.checkpoint import Checkpoint
from sertk.config.schema import Experiment
from sertk.data.manifest import Utterance
from sertk.errors import CheckpointError, UnknownNameError
from sertk.features.stale import refuse_stale
from sertk.features.store import FeatureStore
from sertk.files import sha256_file
from sertk.models.classifier import Classifier
from sertk.revisions import component_parts
from sertk.tensors import Features, Padded


@dataclass(frozen=True)
class ModelTree:
    """A checkpoint with its network, and for each modality the key of a leaf or a member's tree."""

    checkpoint: Checkpoint
    classifier: Classifier
    inputs: Mapping[str, str | ModelTree]

    def posteriors(self, leaves: Mapping[str, Padded], /) -> Tensor:
        """Frames by leaf key to (B, C + A): probabilities, then attributes."""
        return self.classifier.posteriors(self._features(leaves))

    def embeddings(self, leaves: Mapping[str, Padded], /) -> Tensor:
        """Frames by leaf key to the fused vectors (B, width) of the classifier at the root."""
        return self.classifier.embeddings(self._features(leaves))

    def _features(self, leaves: Mapping[str, Padded]) -> Features:
        features: Features = {}
        for name, source in self.inputs.items():
            if isinstance(source, str):
                features[name] = leaves[source]
            else:
                rows = source.posteriors(leaves)  # (B, C + A)
                lengths = torch.ones(len(rows), dtype=torch.int64, device=rows.device)
                features[name] = Padded(rows[:, None, :], lengths)  # (B, 1, C + A)
        return features

    def to(self, device: torch.device) -> ModelTree:
        """Move the networks of the whole tree."""
        self.classifier.to(device)
        for source in self.inputs.values():
            if isinstance(source, ModelTree):
                source.to(device)
        return self


def load_tree(folder: Path) -> tuple[ModelTree, dict[str, EncoderSpec]]:
    """Load a checkpoint and its members; give the tree and the distinct encoders at its leaves by key."""
    specs: dict[str, EncoderSpec] = {}

    def load(checkpoint: Checkpoint) -> ModelTree:
        inputs: dict[str, str | ModelTree] = {}
        for name, spec in checkpoint.card.encoders.items():
            if spec.use == "checkpoint":
                inputs[name] = load(checkpoint.member(name))
            else:
                inputs[name] = spec.fingerprint
                specs[spec.fingerprint] = spec
        return ModelTree(checkpoint, checkpoint.classifier(), inputs)

    return load(Checkpoint.load(folder)), specs


def _no_files(path: Path, checkpoint: Checkpoint) -> tuple[str, FeatureSource]:
    raise CheckpointError(f"{checkpoint.folder} reads {path}, which is no feature store: `sertk predict` can read it")


def stored_tree(
    checkpoint: Checkpoint, *, read_file: Callable[[Path, Checkpoint], tuple[str, FeatureSource]] = _no_files
) -> tuple[ModelTree, dict[str, FeatureSource]]:
    """The tree of a checkpoint with what its experiment names at the leaves: feature stores, each once.

    Leaves have the name of their modality; those of a member that is named by its own folder, and read from inside,
    have it behind the member's name: `member/speech`.
    read_file: gives the fingerprint and the content of a file, such as predictions. Raises CheckpointError for
    features of another encoder than the one that the checkpoint was trained on.
    """
    sources: dict[str, FeatureSource] = {}
    keys: dict[tuple[Path, str], str] = {}

    def load(checkpoint: Checkpoint, above: str) -> ModelTree:
        inputs: dict[str, str | ModelTree] = {}
        for name, spec in checkpoint.card.encoders.items():
            path = _stored(checkpoint.experiment, checkpoint.card, name)
            if path is None:
                inputs[name] = load(checkpoint.member(name), f"{above}{name}/")
                continue
            inputs[name] = key = keys.setdefault((path, spec.fingerprint), f"{above}{name}")
            if key in sources:
                continue
            if path.is_file():
                fingerprint, source = read_file(path, checkpoint)
            else:
                store = FeatureStore.open(path)
                fingerprint, source = store.card.fingerprint, cast(FeatureSource, store)
            if fingerprint != spec.fingerprint:
                raise CheckpointError(
                    f"{path} is not what {checkpoint.folder} was trained on: {spec.use!r} {spec.fingerprint[:12]}, "
                    f"there is {fingerprint[:12]}. Extract it again."
                )
            sources[key] = source
        return ModelTree(checkpoint, checkpoint.classifier(), inputs)

    return load(checkpoint, ""), sources


def _stored(experiment: Experiment, card: Card, name: str) -> Path | None:
    """Where the features of a modality are kept; None for those of a member that is read from inside."""
    path = Path(experiment.features[name])
    inside = card.encoders[name].use == "checkpoint" and (is_checkpoint(path) or not path.exists())
    return None if inside else path


@dataclass(frozen=True)
class Reads:
    """What decides the posteriors of a checkpoint beside its weights. uses: the components that are run, by kind.

    leaves: by key as in `stored_tree`, the stores and files that are read. modalities: of the encoders at the leaves.
    owners: the components' distributions.
    """

    fingerprint: str
    uses: tuple[tuple[str, str], ...]
    leaves: Mapping[str, Path]
    modalities: frozenset[str]
    owners: tuple[str, ...]


def reads_of(folder: Path, *, stored: bool) -> Reads:
    """What a checkpoint and the members inside read. Cheap: no weights are loaded.

    stored: from what their experiments name, not from recordings by encoders.
    """
    uses: list[tuple[str, str]] = []
    owners: list[str] = []
    leaves: dict[str, Path] = {}
    modalities: set[str] = set()

    def walk(folder: Path, above: str) -> str:
        card, experiment = read_card(folder), read_experiment(folder)
        uses.append(("fusion", experiment.fusion.use))
        owners.append(card.fusion_version)
        for name, spec in card.encoders.items():
            path = _stored(experiment, card, name) if stored else None
            if path is not None:
                leaves[f"{above}{name}"] = path
            elif spec.use == "checkpoint":
                walk(folder / "members" / name, f"{above}{name}/")
            else:
                uses.append(("encoder", spec.use))
                modalities.add(spec.modality)
                owners.append(spec.owner)
        return model_fingerprint(card, experiment)

    return Reads(walk(folder, ""), tuple(uses), leaves, frozenset(modalities), tuple(owners))


def model_parts(name: str, folder: Path, ids: Collection[str] | None) -> dict[str, str]:
    """What decides the posteriors of a checkpoint, as parts of a key. name: how the parts begin.

    ids: the utterances that are read from stores; None for recordings, which are read by encoders. Raises
    CheckpointError for a component that is not installed.
    """
    reads = reads_of(folder, stored=ids is not None)
    parts = {name: reads.fingerprint}
    for key, path in reads.leaves.items():
        parts[f"{name}.{key}"] = (
            sha256_file(path) if path.is_file() else FeatureStore.open(path).fingerprint_of(ids or ())
        )
    try:
        return parts | component_parts(reads.uses)
    except UnknownNameError as error:
        raise CheckpointError(f"{folder}: {error} {not_installed(reads.owners)}".strip()) from None


def refuse_stale_leaves(folder: Path, utterances: Sequence[Utterance]) -> None:
    """Raise StoreError where a store that a checkpoint reads was computed from other content than there is now.

    utterances: as `Manifest.located` gives them.
    """
    for path in reads_of(folder, stored=True).leaves.values():
        if not path.is_file():
            refuse_stale(FeatureStore.open(path), utterances)
