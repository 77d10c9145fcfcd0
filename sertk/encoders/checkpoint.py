"""A trained model as an encoder: its posteriors are one-frame features, like any other's.

A model is a tree: a checkpoint whose modalities come from encoders or from other checkpoints, its members. At the
leaves are encoders, or the feature stores that their frames were kept in; one that several members share is built,
run or read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from sertk import registry
from sertk.batching.dataset import FeatureSource
from sertk.cards import EncoderSpec, not_installed
from sertk.checkpoint import Checkpoint, is_checkpoint
from sertk.config.build import build
from sertk.config.schema import Use
from sertk.contracts import Encoder
from sertk.data.recording import Recording
from sertk.errors import AudioError, CheckpointError, UnknownNameError
from sertk.features.frames import DTYPES
from sertk.features.sources import Read, default_reads, joined_digests
from sertk.features.store import FeatureStore
from sertk.hub import before_weights
from sertk.models.classifier import Classifier
from sertk.revisions import revision
from sertk.tensors import Features, Padded


@dataclass(frozen=True)
class ModelTree:
    """A checkpoint with its network, and for each modality the key of a leaf or a member's tree."""

    checkpoint: Checkpoint
    classifier: Classifier
    inputs: Mapping[str, str | ModelTree]

    def posteriors(self, leaves: Mapping[str, Padded], /) -> Tensor:
        """Frames by leaf key to (B, C + A): probabilities, then attributes."""
        features: Features = {}
        for name, source in self.inputs.items():
            if isinstance(source, str):
                features[name] = leaves[source]
            else:
                rows = source.posteriors(leaves)  # (B, C + A)
                lengths = torch.ones(len(rows), dtype=torch.int64, device=rows.device)
                features[name] = Padded(rows[:, None, :], lengths)  # (B, 1, C + A)
        return self.classifier.posteriors(features)

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
            path = Path(checkpoint.experiment.features[name])
            if spec.use == "checkpoint" and (is_checkpoint(path) or not path.exists()):
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


def build_encoder(spec: EncoderSpec) -> Encoder:
    """Build the encoder of a specification. Raises CheckpointError where it is no longer the same."""
    try:
        encoder: Encoder = build(registry.encoders, Use(use=spec.use, **spec.options))
    except UnknownNameError as error:
        raise CheckpointError(f"{error} {not_installed([spec.owner])}".strip()) from None
    if encoder.fingerprint != spec.fingerprint:
        raise CheckpointError(
            f"the encoder {spec.use!r} {spec.options} is not the one the model was trained with: its fingerprint is "
            f"{encoder.fingerprint[:12]}, the model's {spec.fingerprint[:12]}. Use the same weights and versions."
        )
    return encoder


class CheckpointEncoder(nn.Module):
    """See `checkpoint`."""

    modality = "posterior"
    frames_per_second = 0.0
    batching = "padded"
    unkeyed = ("folder",)

    def __init__(self, tree: ModelTree, specs: Mapping[str, EncoderSpec], stores: Mapping[str, FeatureStore]) -> None:
        super().__init__()
        self.tree = tree
        self.specs = dict(specs)
        self.encoders = {key: build_encoder(spec) for key, spec in specs.items()}
        self.stores = dict(stores)
        self.classifiers = nn.ModuleList(_classifiers(tree))
        card = tree.checkpoint.card
        self.dim = len(card.labels) + len(card.ranges)
        self.reads = _reads(self.encoders.values()) if not stores else ("stores",)
        self.store_folders = [*stores]
        self.fingerprint = tree.checkpoint.fingerprint
        self.challenge_legal = card.challenge_legal
        self.requires_grad_(False)

    def prepare(self, recording: Recording) -> Mapping[str, Tensor]:
        """The features of an utterance from the stores, else the prepared input of each leaf encoder."""
        if not self.stores:
            return {key: _tensor(encoder.prepare(recording), key) for key, encoder in self.encoders.items()}
        for store in self.stores.values():
            if recording.id not in store:
                raise AudioError(f"{recording.id}: no features in {store.folder}; its report.jsonl may say why")
        return {key: store[recording.id].float() for key, store in self.stores.items()}

    def source_digests(self, utterances: Iterable[str]) -> dict[str, str]:
        """The digest of what each utterance has in the stores that are read, by id."""
        stores = [store for store in self.stores.values() if isinstance(store, FeatureStore)]
        return joined_digests([(store.card.key, store.sources) for store in stores], utterances)

    def forward(self, inputs: Mapping[str, Padded]) -> Padded:
        """What `prepare` gave, padded, to (B, 1, C + A)."""
        leaves = inputs if self.stores else {key: self._frames(key, value) for key, value in inputs.items()}
        rows = self.tree.posteriors(leaves)  # (B, C + A)
        return Padded(rows[:, None, :], torch.ones(len(rows), dtype=torch.int64, device=rows.device))

    def _frames(self, key: str, inputs: Padded) -> Padded:
        """The frames of a leaf, rounded as they are in the stores that the model was trained on."""
        frames = self.encoders[key](inputs)
        dtype = DTYPES.get(self.specs[key].dtype, torch.float32)
        return Padded(frames.data.to(dtype).float(), frames.lengths)

    def to(self, device: torch.device) -> CheckpointEncoder:  # type: ignore[override]
        """Move the networks, and the leaf encoders, which need not be modules."""
        super().to(device)
        self.encoders = {key: encoder.to(device) for key, encoder in self.encoders.items()}
        return self


@revision(1)
def checkpoint(*, folder: str, from_stores: bool = False) -> CheckpointEncoder:
    """A trained model: one frame of class probabilities and attributes an utterance.

    folder: a checkpoint. from_stores: read the feature stores that its experiment names instead of recordings.
    Raises CheckpointError for a folder that is none, or whose stores were made by other encoders.
    """
    before_weights()
    if from_stores:
        tree, sources = stored_tree(Checkpoint.load(Path(folder)))
        return CheckpointEncoder(tree, {}, {k: s for k, s in sources.items() if isinstance(s, FeatureStore)}).eval()
    tree, specs = load_tree(Path(folder))
    return CheckpointEncoder(tree, specs, {}).eval()


def _tensor(prepared: Tensor | Mapping[str, Tensor], key: str) -> Tensor:
    if not isinstance(prepared, Tensor):
        raise CheckpointError(f"the encoder {key[:12]} prepares several tensors: only models can be nested so")
    return prepared


def _reads(encoders: Iterable[Encoder]) -> tuple[Read, ...]:
    read = (getattr(encoder, "reads", ()) or default_reads(encoder.modality) for encoder in encoders)
    return tuple(sorted({each for reads in read for each in reads}))


def _classifiers(tree: ModelTree) -> list[Classifier]:
    members = [child for child in tree.inputs.values() if isinstance(child, ModelTree)]
    return [tree.classifier, *(classifier for member in members for classifier in _classifiers(member))]
