"""A trained model as an encoder: its posteriors are one-frame features, like any other's.

It reads recordings, by the encoders at the leaves of its tree, or the feature stores that their frames were kept in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from sertk import registry
from sertk.cards import EncoderSpec, not_installed, refuse_external
from sertk.checkpoint import Checkpoint
from sertk.config.build import build
from sertk.config.schema import Use
from sertk.contracts import Encoder
from sertk.data.recording import Recording
from sertk.encoders.tree import ModelTree, load_tree, stored_tree
from sertk.errors import AudioError, CheckpointError, UnknownNameError
from sertk.features.frames import DTYPES
from sertk.features.sources import Read, default_reads, joined_digests
from sertk.features.store import FeatureStore
from sertk.hub import before_weights
from sertk.models.classifier import Classifier
from sertk.revisions import revision
from sertk.tensors import Padded


def build_encoder(spec: EncoderSpec) -> Encoder:
    """Build the encoder of a specification. Raises CheckpointError where it is no longer the same."""
    refuse_external(spec)
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
        self.store_folders = [str(store.folder) for store in stores.values()]
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
        return joined_digests([(store.card.key, store.sources) for store in self.stores.values()], utterances)

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
    """A trained model: one frame of class probabilities and attributes per utterance.

    Parameters
    ----------
    folder
        Of a trained model.
    from_stores
        Read the feature stores that its experiment names instead of recordings.

    Raises
    ------
    CheckpointError
        For a folder that is no model, or whose stores were made by other encoders.
    """
    before_weights()
    if from_stores:
        tree, sources = stored_tree(Checkpoint.load(Path(folder)))
        if tree.by_speaker:
            raise CheckpointError(
                f"{folder}: standardises by speaker, so its posteriors hang on the speaker's other recordings "
                f"and are not kept in a store: give the model itself to `sertk combine` and `sertk predict`"
            )
        return CheckpointEncoder(tree, {}, {k: s for k, s in sources.items() if isinstance(s, FeatureStore)}).eval()
    tree, specs = load_tree(Path(folder))
    return CheckpointEncoder(tree, specs, {}).eval()


def _tensor(prepared: Tensor | Mapping[str, Tensor], key: str) -> Tensor:
    if not isinstance(prepared, Tensor):
        raise CheckpointError(f"the encoder {key[:12]} prepares several tensors: only models can be nested")
    return prepared


def _reads(encoders: Iterable[Encoder]) -> tuple[Read, ...]:
    read = (getattr(encoder, "reads", ()) or default_reads(encoder.modality) for encoder in encoders)
    return tuple(sorted({each for reads in read for each in reads}))


def _classifiers(tree: ModelTree) -> list[Classifier]:
    members = [child for child in tree.inputs.values() if isinstance(child, ModelTree)]
    return [tree.classifier, *(classifier for member in members for classifier in _classifiers(member))]
