"""Randomness from one seed: named seeds derived from it, and torch's global state lent for a while."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, *labels: str | int) -> int:
    """A 63-bit seed of its own for each use of `seed`: equal for equal labels, unrelated for others."""
    digest = hashlib.sha256(json.dumps([seed, *labels]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global random state inside, and give the caller's back afterwards.

    CUDA's states are given back too where CUDA is in use on entry.
    """
    in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if in_use else ()
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
