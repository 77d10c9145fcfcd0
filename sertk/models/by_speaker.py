"""Features standardised by speaker: a voice is compared with itself, by recordings that need no label.

A model keeps the statistics of its training part. What it reads of a speaker is moved and scaled until the speaker's
statistics are those, so that the model's own standardising gives (x - the speaker's mean) / the speaker's deviation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from torch import Tensor

from sertk.batching.dataset import FeatureSource
from sertk.data.speakers import Speakers
from sertk.models.standardise import Moments, moments

FEWEST = 2
"""Recordings of a speaker with fewer are standardised by the training part: one says little of a voice."""


class BySpeaker:
    """A source whose frames are moved from their speaker's statistics to those of the training part.

    training: gives the latter, when they are needed. The statistics of a speaker are those of all recordings that
    the source has, whichever are asked for: no answer depends on what else is predicted.
    """

    def __init__(self, source: FeatureSource, speakers: Speakers, training: Callable[[], Moments]) -> None:
        self.source = source
        self.speakers = speakers
        self._give_training = training
        self._known: dict[str, Moments | None] = {}

    @property
    def dim(self) -> int:
        """D."""
        return self.source.dim

    @property
    def lengths(self) -> Mapping[str, int]:
        """Frames by id."""
        return self.source.lengths

    def __contains__(self, id: object) -> bool:
        return id in self.source

    def __getitem__(self, id: str) -> Tensor:
        speaker = self.speakers.of(id)
        own = None if speaker is None else self._moments(speaker)
        return self.source[id] if own is None else moved(self.source[id].float(), own, self._training)

    @cached_property
    def _training(self) -> Moments:
        return self._give_training()

    def _moments(self, speaker: str) -> Moments | None:
        """The statistics of a speaker, None with too few recordings."""
        if speaker not in self._known:
            ids = [id for id in self.speakers.ids(speaker) if self.source.lengths.get(id)]
            self._known[speaker] = moments(self.source[id] for id in ids) if len(ids) >= FEWEST else None
        return self._known[speaker]


def moved(frames: Tensor, own: Moments, training: Moments) -> Tensor:
    """Frames (..., D) of a speaker as if the speaker's statistics were those of the training part."""
    return (frames - own[0]) / own[1] * training[1] + training[0]
