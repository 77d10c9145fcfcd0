"""Core's regularizers: they change batches in training, never in evaluation. All draws are made on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor

from sertk.config.schema import Count, Positive
from sertk.errors import TrainingError
from sertk.revisions import revision
from sertk.tensors import Features, Padded, Targets

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class ModalityDropout:
    """See `modality_dropout`."""

    probability: float

    def on_batch(self, features: Features, targets: Targets, generator: Generator) -> tuple[Features, Targets]:
        """Replace whole modalities of some utterances by one zero frame."""
        batch, modalities = len(targets.emotion), len(features)
        keep = torch.rand(batch, modalities, generator=generator) >= self.probability  # (B, modalities)
        always = torch.randint(modalities, (batch, 1), generator=generator)
        keep.scatter_(1, always, keep.gather(1, always) | ~keep.any(dim=1, keepdim=True))
        return {name: _only(padded, keep[:, m]) for m, (name, padded) in enumerate(features.items())}, targets

    def on_fused(self, fused: Tensor, targets: Targets, generator: Generator) -> tuple[Tensor, Targets]:
        """Change nothing."""
        return fused, targets


@revision(1)
def modality_dropout(*, probability: Share = 0.2) -> ModalityDropout:
    """Drop each modality of an utterance with a probability, but never all of them.

    probability: for each modality of an utterance. A dropped modality is one zero frame, which is also what an empty
    transcript is.
    """
    return ModalityDropout(probability)


@dataclass(frozen=True)
class SpecAugment:
    """See `spec_augment`."""

    time_masks: int
    time_share: float
    feature_masks: int
    feature_share: float
    modalities: tuple[str, ...]

    def on_batch(self, features: Features, targets: Targets, generator: Generator) -> tuple[Features, Targets]:
        """Set runs of frames and of features to zero."""
        unknown = sorted(set(self.modalities) - set(features))
        if unknown:
            raise TrainingError(f"spec_augment: no modality {', '.join(unknown)}. Known: {', '.join(features)}.")
        chosen = self.modalities or tuple(features)
        masked = {name: self._masked(features[name], generator) for name in features if name in chosen}
        return {**features, **masked}, targets

    def on_fused(self, fused: Tensor, targets: Targets, generator: Generator) -> tuple[Tensor, Targets]:
        """Change nothing."""
        return fused, targets

    def _masked(self, padded: Padded, generator: Generator) -> Padded:
        batch, frames, dim = padded.data.shape
        dims = torch.full((batch,), dim)
        time = _runs(padded.lengths.cpu(), frames, self.time_masks, self.time_share, generator)  # (B, T)
        feature = _runs(dims, dim, self.feature_masks, self.feature_share, generator)  # (B, D)
        hidden = time[:, :, None] | feature[:, None, :]  # (B, T, D)
        return replace(padded, data=padded.data.masked_fill(hidden.to(padded.data.device), 0))


@revision(1)
def spec_augment(
    *,
    time_masks: Count = 2,
    time_share: Share = 0.1,
    feature_masks: Count = 2,
    feature_share: Share = 0.05,
    modalities: Sequence[str] = (),
) -> SpecAugment:
    """Set random runs of frames and of features to zero (SpecAugment without warping, Park et al., 2019).

    Each of the masks of an utterance hides between 0 and `time_share` of its frames, or `feature_share` of its
    features, drawn uniformly as is the beginning. time_masks, feature_masks: how many of each an utterance gets.
    modalities: the names to act on; none names all.
    Raises TrainingError in training for a name that no modality has.
    """
    return SpecAugment(time_masks, time_share, feature_masks, feature_share, tuple(modalities))


@dataclass(frozen=True)
class AnnotationDropout:
    """See `annotation_dropout`."""

    probability: float
    raters: int

    def on_batch(self, features: Features, targets: Targets, generator: Generator) -> tuple[Features, Targets]:
        """Replace the class targets of some utterances by a sample of votes."""
        emotion = targets.emotion.cpu()  # (B, C)
        chosen = torch.rand(len(emotion), 1, generator=generator) < self.probability  # (B, 1)
        votes = torch.multinomial(emotion, self.raters, replacement=True, generator=generator)  # (B, raters)
        sampled = torch.zeros_like(emotion).scatter_add_(1, votes, torch.full(votes.shape, 1 / self.raters))
        changed = torch.where(chosen, sampled, emotion).to(targets.emotion)
        return features, replace(targets, emotion=changed)

    def on_fused(self, fused: Tensor, targets: Targets, generator: Generator) -> tuple[Tensor, Targets]:
        """Change nothing."""
        return fused, targets


@revision(1)
def annotation_dropout(*, probability: Share = 0.5, raters: Positive = 4) -> AnnotationDropout:
    """Train on a random sample of an utterance's votes (annotation dropout, after SAILER, 2025).

    probability: that an utterance's target is drawn. SAILER drops some raters' rows. Targets are shares without the
    number of raters, so this draws `raters` votes from them, with replacement: the same target on average, with about
    the noise of a panel of that size. Unanimous targets stay as they are. Attributes are untouched.
    """
    return AnnotationDropout(probability, raters)


def _only(padded: Padded, keep: Tensor) -> Padded:
    """Rows that are not kept, keep: (B,) bool, become one zero frame."""
    keep = keep.to(padded.data.device)
    data = torch.where(keep[:, None, None], padded.data, 0)  # (B, T, D)
    return Padded(data, torch.where(keep, padded.lengths, 1))


def _runs(lengths: Tensor, size: int, masks: int, share: float, generator: Generator) -> Tensor:
    """(B, size) bool, true inside `masks` random runs, each of 0 to share * lengths (B,) positions."""
    longest = (lengths * share).floor()[:, None]  # (B, 1)
    draws = torch.rand(2, len(lengths), masks, generator=generator)
    widths = (draws[0] * (longest + 1)).floor().clamp(max=longest)  # (B, masks)
    starts = (draws[1] * (lengths[:, None] - widths + 1)).floor()
    steps = torch.arange(size)[None, None, :]
    inside = (steps >= starts[:, :, None]) & (steps < (starts + widths)[:, :, None])  # (B, masks, size)
    return inside.any(dim=1)
