"""Reading many utterances of a store straight into one padded tensor, without a copy between."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import torch

from sertk.errors import StoreError
from sertk.features.index import AGAIN
from sertk.files import parse_json
from sertk.tensors import Padded


def tensor_places(path: Path) -> dict[str, tuple[int, int]]:
    """The first byte and the number of bytes of each tensor of a shard, by key. Raises StoreError for damage."""
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = parse_json(file.read(min(length, path.stat().st_size)))
        spans = {key: entry["data_offsets"] for key, entry in header.items() if key != "__metadata__"}
        return {key: (8 + length + int(begin), int(end) - int(begin)) for key, (begin, end) in spans.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise StoreError(f"{path} is damaged: its header cannot be read ({error}). {AGAIN}") from None


def read_padded(
    places: Sequence[tuple[Path, int, int]], lengths: Sequence[int], *, dim: int, dtype: torch.dtype, pin: bool
) -> Padded:
    """Read sequences of frames from files into one (B, T, dim) tensor of the stored type, zero behind their ends.

    places: file, first byte and bytes of each. lengths: frames of each. pin: into page-locked memory, from which
    a GPU copies while the caller goes on. Raises StoreError for a file that ends before it should.
    """
    data = torch.empty(len(places), max(lengths), dim, dtype=dtype, pin_memory=pin)  # (B, T, D)
    rows = data.flatten(1).view(torch.uint8).numpy()  # (B, bytes)
    for row, (path, first, count) in enumerate(places):
        target = memoryview(rows[row])[:count]
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            read = 0
            while read < count:
                got = os.preadv(descriptor, [target[read:]], first + read)
                if got == 0:
                    raise StoreError(f"{path} is damaged: it ends before byte {first + count}. {AGAIN}")
                read += got
        finally:
            os.close(descriptor)
        rows[row, count:] = 0
    return Padded(data, torch.tensor(lengths, dtype=torch.int64, pin_memory=pin))
