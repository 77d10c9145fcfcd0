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


@revision(1)
@dataclass(frozen=True, kw_only=True)
class ModalityDropout:
    """Drop each modality of an utterance with a probability, but never all of them.

    A dropped modality is one zero frame, which is also what an empty transcript is.

    Parameters
    ----------
    probability
        That a modality of an utterance is dropped.
    """

    probability: Share = 0.2

    def on_batch(self, features: Features, targets: Targets, generator: Generator) -> tuple[Features, Targets]:
        """Replace whole modalities of some utterances by one zero frame."""
        batch, modalities = len(targets.emotion), len(features)
        keep = torch.rand(batch, modalities, generator=generator) >= self.probability  # (B, modalities)
        always = torch.randint(modalities, (batch, 1), generator=generator)
        keep.scatter_(1, always, keep.gather(1, always) | ~keep.any(dim=1, keepdim=True))
        return {name: _only(padded, keep[:, m]) for m, (name, padded) in enumerate(features.items())}, targets


@revision(1)
@dataclass(frozen=True, kw_only=True)
class SpecAugment:
    """Set random runs of frames and of features to zero (SpecAugment without warping).

    Each mask of an utterance hides between 0 and `time_share` of its frames, or `feature_share` of its features;
    length and start are drawn uniformly.

    Parameters
    ----------
    time_masks, feature_masks
        How many of each an utterance gets.
    time_share, feature_share
        The largest share of frames, or of features, that one mask hides.
    modalities
        The names to act on; none names all.

    Raises
    ------
    TrainingError
        In training, for a name that no modality has.

    References
    ----------
    Park et al., SpecAugment, 2019.
    """

    time_masks: Count = 2
    time_share: Share = 0.1
    feature_masks: Count = 2
    feature_share: Share = 0.05
    modalities: Sequence[str] = ()

    def on_batch(self, features: Features, targets: Targets, generator: Generator) -> tuple[Features, Targets]:
        """Set runs of frames and of features to zero."""
        unknown = sorted(set(self.modalities) - set(features))
        if unknown:
            raise TrainingError(f"spec_augment: no modality {', '.join(unknown)}. Known: {', '.join(features)}.")
        chosen = self.modalities or tuple(features)
        masked = {name: self._masked(features[name], generator) for name in features if name in chosen}
        return {**features, **masked}, targets

    def _masked(self, padded: Padded, generator: Generator) -> Padded:
        batch, frames, dim = padded.data.shape
        dims = torch.full((batch,), dim)
        time = _runs(padded.lengths.cpu(), frames, self.time_masks, self.time_share, generator)  # (B, T)
        feature = _runs(dims, dim, self.feature_masks, self.feature_share, generator)  # (B, D)
        hidden = time[:, :, None] | feature[:, None, :]  # (B, T, D)
        return replace(padded, data=padded.data.masked_fill(hidden.to(padded.data.device), 0))


@revision(1)
@dataclass(frozen=True, kw_only=True)
class AnnotationDropout:
    """Train on a random sample of an utterance's votes (annotation dropout, after SAILER, 2025).

    SAILER drops some raters' rows. Targets are shares without the number of raters, so this draws `raters` votes from
    them, with replacement: the same target on average, with about the noise of a panel of that size. Unanimous
    targets stay as they are, and attributes are untouched.

    Parameters
    ----------
    probability
        That an utterance's target is drawn.
    raters
        Votes that are drawn for it.
    """

    probability: Share = 0.5
    raters: Positive = 4

    def on_batch(self, features: Features, targets: Targets, generator: Generator) -> tuple[Features, Targets]:
        """Replace the class targets of some utterances by a sample of votes."""
        emotion = targets.emotion.cpu()  # (B, C)
        chosen = torch.rand(len(emotion), 1, generator=generator) < self.probability  # (B, 1)
        votes = torch.multinomial(emotion, self.raters, replacement=True, generator=generator)  # (B, raters)
        sampled = torch.zeros_like(emotion).scatter_add_(1, votes, torch.full(votes.shape, 1 / self.raters))
        changed = torch.where(chosen, sampled, emotion).to(targets.emotion)
        return features, replace(targets, emotion=changed)


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
