"""One encoder over one batch: fed as it must be fed, in mixed precision, in halves where memory runs out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from sertk.data.recording import Recording
from sertk.errors import AudioError, EncoderError, StoreError
from sertk.features.card import Precision, StoreCard
from sertk.features.frames import DTYPES
from sertk.tensors import Padded

if TYPE_CHECKING:
    from sertk.contracts import Encoder

Input: TypeAlias = Tensor | Mapping[str, Tensor]
"""What an encoder's `prepare` gives of one utterance."""


@dataclass(frozen=True)
class Prepared:
    """What `prepare` gave, by id, or why it gave nothing; remarks: what it did to whom it gave something for."""

    inputs: dict[str, Input] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)

    def add(self, encoder: Encoder, recording: Recording) -> None:
        """Let an encoder prepare a recording of its own; a bad one is kept as a failure."""
        recording.remarks.clear()  # of the encoder before
        try:
            self.inputs[recording.id] = encoder.prepare(recording)
        except (AudioError, EncoderError) as error:
            self.failed[recording.id] = str(error)
        else:
            if recording.remarks:
                self.remarks[recording.id] = "; ".join(recording.remarks)


class BatchEncoder:
    """Gives the frames of a batch on the CPU, by id; counts the halvings.

    Once memory has run out on a batch of some padded size, later batches stay below half of it.
    """

    def __init__(
        self,
        encoder: Encoder,
        card: StoreCard,
        device: torch.device,
        precision: Precision,
    ) -> None:
        self.halvings = 0
        self._encoder = encoder
        self._card = card
        self._device = device
        self._precision = precision
        self._largest: float = float("inf")
        encoder.to(device)

    def __call__(self, prepared: Prepared) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Give (T, D) by id, and the reason where there is none. Raises StoreError for a shape unlike the card's."""
        frames: dict[str, Tensor] = {}
        failed: dict[str, str] = {}
        waiting = list(_groups(prepared.inputs, self._encoder.batching))[::-1]
        while waiting:
            ids = waiting.pop()
            halves = [ids[len(ids) // 2 :], ids[: len(ids) // 2]]
            size = len(ids) * max(_length(prepared.inputs[key]) for key in ids)
            if len(ids) > 1 and size > self._largest:
                waiting += halves
                continue
            try:
                self._run({key: prepared.inputs[key] for key in ids}, frames, failed)
                continue
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
                message = f"out of memory: {type(error).__name__}"
            except EncoderError as error:
                if len(ids) > 1:  # one of them: find it
                    waiting += [[key] for key in reversed(ids)]
                    continue
                failed[ids[0]] = str(error)
                continue
            # Out of memory. Behind the handler, so that no traceback holds on to what filled it.
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            if len(ids) > 1:
                self.halvings += 1
                self._largest = min(self._largest, size / 2)
                waiting += halves
            else:
                failed[ids[0]] = f"{message}, even alone: cut the recording up, or set the encoder's window"
        return frames, failed

    def _run(self, inputs: Mapping[str, Input], frames: dict[str, Tensor], failed: dict[str, str]) -> None:
        with torch.inference_mode(), self._autocast():
            output = self._encoder(_collate(list(inputs.values()), self._device))
        if output.data.ndim != 3 or len(output) != len(inputs) or output.data.shape[2] != self._card.dim:
            raise StoreError(
                f"encoder {self._card.encoder!r} gave {tuple(output.data.shape)} for {len(inputs)} utterances, "
                f"its card says (B, T, {self._card.dim})"
            )
        lengths = output.lengths.tolist()
        stored = output.data.to(DTYPES.get(self._card.dtype, torch.float32))  # (B, T, D)
        finite = [tensor.isfinite().flatten(1).all(1).tolist() for tensor in (output.data, stored)]
        stored = stored.cpu()
        for row, key in enumerate(inputs):
            if not finite[0][row]:
                failed[key] = f"encoder {self._card.encoder!r} gave NaN or infinite values"
            elif not finite[1][row]:
                failed[key] = f"values too large for {self._card.dtype}: store as bfloat16 or float32"
            else:
                frames[key] = stored[row, : lengths[row]]  # (T, D)

    def _autocast(self) -> torch.autocast:
        dtype = DTYPES[self._precision]
        return torch.autocast(self._device.type, dtype=dtype, enabled=self._precision != "float32")


def _groups(inputs: Mapping[str, Input], batching: str) -> Iterator[list[str]]:
    """The ids of each call: all, those of one length, or one."""
    if batching == "padded":
        groups = [list(inputs)] if inputs else []
    elif batching == "single":
        groups = [[key] for key in inputs]
    else:
        by_length: dict[int, list[str]] = {}
        for key, value in inputs.items():
            by_length.setdefault(_length(value), []).append(key)
        groups = list(by_length.values())
    yield from groups


def _length(value: Input) -> int:
    return len(value) if isinstance(value, Tensor) else max(len(tensor) for tensor in value.values())


def _collate(inputs: list[Input], device: torch.device) -> Padded | dict[str, Padded]:
    first = inputs[0]
    if isinstance(first, Tensor):
        return Padded.of([value for value in inputs if isinstance(value, Tensor)]).to(device)
    return {
        name: Padded.of([value[name] for value in inputs if not isinstance(value, Tensor)]).to(device)
        for name in first
    }


def _out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on an accelerator or (where torch says so in words alone) on the CPU."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)
