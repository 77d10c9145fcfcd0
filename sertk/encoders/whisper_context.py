"""Whisper's encoder at the length of an utterance: fewer positions in place of 30 s of padding."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

from torch import nn

Context: TypeAlias = Literal["window", "utterance"]

GRID_SECONDS = 0.24
"""Contexts are rounded up to multiples of this, so that utterances of about one length can share a batch."""


def context_samples(samples: int, *, margin: int, window: int, sample_rate: int, stride: int) -> int:
    """The samples that the encoder is given for an utterance: its own and a margin of silence, at most the window.

    It depends on the utterance alone, so that its frames do not depend on its neighbours in a batch.
    """
    grid = round(GRID_SECONDS * sample_rate / stride) * stride  # whole frames
    return min(window, math.ceil((samples + margin) / grid) * grid)


@contextmanager
def positions(encoder: Any, count: int) -> Iterator[None]:
    """Let Whisper's encoder take `count` positions, the first ones it was trained with; transformers wants all."""
    embedding, config = encoder.embed_positions, encoder.config
    whole = config.max_source_positions
    if count == whole:
        yield
        return
    shorter = nn.Embedding(count, embedding.embedding_dim, _weight=embedding.weight[:count])
    encoder.embed_positions = shorter
    config.max_source_positions = count
    try:
        yield
    finally:
        encoder.embed_positions, config.max_source_positions = embedding, whole
