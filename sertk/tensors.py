"""What travels through the straight line: padded sequences that carry their lengths, targets, batches, outputs.

The legend of letters, used in every shape: B batch, T frames, D features, C classes, A attributes, M members.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor


@dataclass(frozen=True)
class Padded:
    """Sequences of unequal length in one tensor, with the lengths that tell content from padding.

    data: (B, T, D), or (B, T) for waveforms; what stands behind a sequence's end is zero.
    lengths: (B,) int64, at least 1 each.
    """

    data: Tensor
    lengths: Tensor

    @property
    def mask(self) -> Tensor:
        """(B, T) bool, true where there is content."""
        steps = torch.arange(self.data.shape[1], device=self.data.device)
        return steps[None, :] < self.lengths[:, None]  # (B, T)

    def to(self, device: torch.device) -> Padded:
        """The same sequences on another device."""
        return Padded(self.data.to(device, non_blocking=True), self.lengths.to(device, non_blocking=True))

    def __len__(self) -> int:
        return int(self.data.shape[0])

    def sequence(self, index: int) -> Tensor:
        """One sequence without its padding, (T, D) or (T,)."""
        return self.data[index, : int(self.lengths[index])]

    @staticmethod
    def of(sequences: Sequence[Tensor]) -> Padded:
        """Pad sequences, each (T, D) or (T,), to the longest with zeros."""
        lengths = torch.tensor([len(sequence) for sequence in sequences], dtype=torch.int64)
        first = sequences[0]
        data = first.new_zeros((len(sequences), int(lengths.max()), *first.shape[1:]))
        for row, sequence in enumerate(sequences):
            data[row, : len(sequence)] = sequence
        return Padded(data, lengths)


Features = dict[str, Padded]
"""One padded batch a modality, by the name it has in the experiment's [features]."""


@dataclass(frozen=True)
class Targets:
    """What is to be predicted.

    emotion: (B, C) probabilities that sum to 1. attributes: (B, A) on their own scale, NaN where missing.
    """

    emotion: Tensor
    attributes: Tensor

    def to(self, device: torch.device) -> Targets:
        """The same targets on another device."""
        return Targets(self.emotion.to(device, non_blocking=True), self.attributes.to(device, non_blocking=True))

    def pin(self) -> Targets:
        """The same targets in page-locked memory, from which a GPU copies without making anybody wait."""
        return Targets(self.emotion.pin_memory(), self.attributes.pin_memory())


@dataclass(frozen=True)
class Batch:
    """Utterances on their way to a model. ids: B utterance ids, in the order of the rows."""

    ids: tuple[str, ...]
    features: Features
    targets: Targets

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device, its features in float32 whatever a store has."""
        features = {name: padded.to(device) for name, padded in self.features.items()}
        features = {name: Padded(padded.data.float(), padded.lengths) for name, padded in features.items()}
        return Batch(self.ids, features, self.targets.to(device))

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Outputs:
    """What a model says. emotion: (B, C) logits. attributes: (B, A) on their own scale."""

    emotion: Tensor
    attributes: Tensor

    @property
    def posteriors(self) -> Tensor:
        """(B, C + A) softmax probabilities, then attributes: one row an utterance of a posterior store."""
        return torch.cat([self.emotion.float().softmax(-1), self.attributes.float()], dim=-1)


def features_to(features: Mapping[str, Padded], device: torch.device) -> Features:
    """All modalities on another device."""
    return {name: padded.to(device) for name, padded in features.items()}


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file: the same tensors and metadata give the same bytes.

    The library's own writer puts the metadata in any order, and writes to a temporary file of its own naming, which a
    killed process leaves for good.
    """
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))  # so that all are aligned
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    end = 0
    for name, tensor in ordered:
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    packed = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    packed += b" " * (-len(packed) % 8)
    with open(path, "wb") as file:
        file.write(len(packed).to_bytes(8, "little") + packed)
        for _, tensor in ordered:
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            file.write(flat.view(torch.uint8).numpy().data)


_NAMES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
}
"""What safetensors calls a type."""
