"""A trained model is a tree: a checkpoint whose modalities come from encoders or from other checkpoints, its members.

At the leaves are encoders, or the feature stores that their frames were kept in; one that several members share is
built, run or read once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from sertk.batching.dataset import FeatureSource
from sertk.cards import LARGEST_TEXT, Card, EncoderSpec, is_checkpoint, refuse_irregular
from sertk.checkpoint import Checkpoint
from sertk.config.schema import Experiment
from sertk.data.speakers import read_speakers
from sertk.errors import CheckpointError
from sertk.features.store import FeatureStore
from sertk.models.by_speaker import BySpeaker, moved
from sertk.models.classifier import Classifier
from sertk.models.standardise import Moments
from sertk.tensors import Features, Padded


@dataclass(frozen=True)
class ModelTree:
    """A checkpoint with its network, and for each modality the key of a leaf or a member's tree."""

    checkpoint: Checkpoint
    classifier: Classifier
    inputs: Mapping[str, str | ModelTree]
    own: Mapping[str, Moments] = field(default_factory=dict)
    """By leaf key the statistics of the one speaker of all recordings, where they are known."""

    @property
    def by_speaker(self) -> frozenset[str]:
        """The keys of the leaves that some model in the tree standardises by speaker."""
        experiment = self.checkpoint.experiment
        names = experiment.standardise if experiment.standardise_by else []
        mine = frozenset(source for name in names if isinstance(source := self.inputs[name], str))
        return mine.union(*(source.by_speaker for source in self.inputs.values() if isinstance(source, ModelTree)))

    @property
    def trained_s(self) -> float | None:
        """The longest `trained_s` that a card in the tree notes: 99 % of its training recordings are no longer."""
        mine = self.checkpoint.card.notes.get("trained_s")
        inside = [source.trained_s for source in self.inputs.values() if isinstance(source, ModelTree)]
        return max((s for s in (mine, *inside) if isinstance(s, int | float)), default=None)

    def of_speaker(self, own: Mapping[str, Moments]) -> ModelTree:
        """The same tree for recordings of one speaker. own: statistics of these recordings, by leaf key."""
        inputs = {
            name: source if isinstance(source, str) else source.of_speaker(own)
            for name, source in self.inputs.items()
        }
        return replace(self, inputs=inputs, own=own)

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
                features[name] = self._of_own_speaker(name, source, leaves[source])
            else:
                rows = source.posteriors(leaves)  # (B, C + A)
                lengths = torch.ones(len(rows), dtype=torch.int64, device=rows.device)
                features[name] = Padded(rows[:, None, :], lengths)  # (B, 1, C + A)
        return features

    def _of_own_speaker(self, name: str, source: str, frames: Padded) -> Padded:
        experiment, scale = self.checkpoint.experiment, self.classifier.scale
        if source not in self.own or not experiment.standardise_by or scale is None or name not in scale.names:
            return frames
        mean, std = (each.to(frames.data.device) for each in self.own[source])
        return Padded(moved(frames.data.float(), (mean, std), scale.moments(name)), frames.lengths)

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
                specs[spec.fingerprint] = _placed(spec, cast(Path, checkpoint.folder) / "encoders" / name)
        return ModelTree(checkpoint, checkpoint.classifier(), inputs)

    return load(Checkpoint.load(folder)), specs


def _placed(spec: EncoderSpec, place: Path) -> EncoderSpec:
    """The specification of an encoder, with its place where it is inside the checkpoint.

    Raises CheckpointError for files in that place that are not regular, or are far too large for settings.
    """
    if not spec.inside(place.name):
        return spec
    for path in place.glob("*"):
        refuse_irregular(path)
        if path.suffix != ".safetensors" and path.stat().st_size > LARGEST_TEXT:
            raise CheckpointError(f"{path}: larger than {LARGEST_TEXT >> 20} MiB: not a file of a checkpoint")
    inside = f"encoders/{place.name}"
    return replace(spec, options={k: str(place) if value == inside else value for k, value in spec.options.items()})


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
        classifier, own = checkpoint.classifier(), checkpoint.experiment.standardise_by
        for name, spec in checkpoint.card.encoders.items():
            path = stored_at(checkpoint.experiment, checkpoint.card, name)
            if path is None:
                inputs[name] = load(checkpoint.member(name), f"{above}{name}/")
                continue
            relative = own is not None and name in checkpoint.experiment.standardise
            place = (path, checkpoint.fingerprint if relative else spec.fingerprint)
            inputs[name] = key = keys.setdefault(place, f"{above}{name}")
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
            sources[key] = _by_speaker(source, checkpoint, classifier, name) if relative else source
        return ModelTree(checkpoint, classifier, inputs)

    return load(checkpoint, ""), sources


def _by_speaker(source: FeatureSource, checkpoint: Checkpoint, classifier: Classifier, name: str) -> FeatureSource:
    """A store standardised by the speakers of the manifest that the checkpoint's experiment names."""
    scale, experiment = classifier.scale, checkpoint.experiment
    assert scale is not None  # the experiment has seen to it
    assert experiment.standardise_by is not None
    speakers = read_speakers(Path(experiment.data.manifest), experiment.standardise_by)
    return BySpeaker(source, speakers, lambda: scale.moments(name))


def stored_at(experiment: Experiment, card: Card, name: str) -> Path | None:
    """Where the features of a modality are kept; None for those of a member that is read from inside.

    Raises CheckpointError for those of an encoder that is inside the checkpoint, which no store has.
    """
    if card.encoders[name].inside(name):
        raise CheckpointError(
            f"the model {card.name} has its encoder inside and reads recordings, no feature stores: "
            f"`sertk extract` gives a store of its posteriors"
        )
    path = Path(experiment.features[name])
    inside = card.encoders[name].use == "checkpoint" and (is_checkpoint(path) or not path.exists())
    return None if inside else path
