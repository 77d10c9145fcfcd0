"""Which hidden states of a transformers model become features."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from sertk.errors import EncoderError

Layers: TypeAlias = Literal["last", "last4_sum", "all"] | int


def states(layers: Layers, count: int) -> tuple[int, ...]:
    """The indices of the states that are read, of `count` + 1. Raises EncoderError for one that is not there.

    State 0 is what enters the first layer; the last one is the model's output, behind its final layer norm.
    """
    if layers == "all":
        return tuple(range(count + 1))
    if layers == "last":
        return (count,)
    if layers == "last4_sum":
        if count < 3:
            raise EncoderError(f"layers = 'last4_sum' needs four states, this model has {count + 1}: use 'last'")
        return tuple(range(count - 3, count + 1))
    if not -count - 1 <= layers <= count:
        raise EncoderError(f"layers = {layers}: this model has states 0 to {count} (or -{count + 1} to -1)")
    return (layers % (count + 1),)


def pick(output: Any, layers: Layers, count: int) -> Tensor:
    """(B, T, D) float32 of a model's output; for `all` the states side by side, (B, T, (count + 1) D).

    The last state is taken from `last_hidden_state`, as everywhere in transformers 4 but for ModernBERT:
    transformers 5 gives `hidden_states[-1]` of WavLM, HuBERT and wav2vec 2.0 large before the final layer norm, and
    features must not change with the version of a library.
    """
    chosen = states(layers, count)
    found = [output.last_hidden_state if n == count else output.hidden_states[n] for n in chosen]
    if layers == "last4_sum":
        return torch.stack([state.float() for state in found]).sum(0)  # (B, T, D)
    return torch.cat([state.float() for state in found], dim=-1)  # (B, T, n D)
