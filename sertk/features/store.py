"""Reading feature stores by memory map: one tensor an utterance, found by id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sertk.errors import StoreError, did_you_mean
from sertk.features.card import StoreCard, read_card
from sertk.features.frames import DTYPES
from sertk.features.index import AGAIN, SCALE, Shard, read_contents, read_shards
from sertk.features.read import read_padded, tensor_places
from sertk.features.writer import StoreWriter
from sertk.files import sha256_file, sha256_json
from sertk.tensors import Padded

__all__ = ["FeatureStore", "StoreCard", "StoreWriter"]


@dataclass(frozen=True)
class FeatureStore:
    """A folder of features on disk. Open one with `FeatureStore.open`; it can be pickled, and maps afresh there.

    lengths: frames by id, sorted by id. sources: the digest of what they were computed from, by id, as sorted.
    """

    folder: Path
    card: StoreCard
    lengths: Mapping[str, int]
    sources: Mapping[str, str] = field(repr=False)
    _places: Mapping[str, Shard] = field(repr=False)
    _handles: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _tensors: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict, repr=False, compare=False)

    @staticmethod
    def open(folder: Path) -> FeatureStore:
        """Open a store by reading its index and the headers of its shards, not their content.

        Raises StoreError for a folder that is no store, and for missing, cut or doubled shards, naming them.
        """
        card = read_card(folder)
        places = sorted(read_contents(folder, card).places.items())
        return FeatureStore(
            folder,
            card,
            {key: place.frames for key, place in places},
            {key: place.source for key, place in places},
            {key: place.shard for key, place in places},
        )

    @property
    def dim(self) -> int:
        """D, the width of a frame."""
        return self.card.dim

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[str]:
        return iter(self.lengths)

    def __contains__(self, utterance: object) -> bool:
        return utterance in self.lengths

    def __getitem__(self, utterance: str) -> Tensor:
        """(T, dim) of one utterance, a view of the file in the stored dtype; int8 is scaled back to float32.

        The view is a torch inference tensor, so that torch raises where it is changed in place (which would reach
        later reads of this process, though never the file) or saved for a backward pass. Copy it for either
        (`clone`, or padding into a batch). Raises StoreError for an unknown id.
        """
        file = self._file(utterance)
        try:
            with torch.inference_mode():
                if file not in self._handles:
                    self._handles[file] = safe_open(self.folder / file, framework="pt")
                frames: Tensor = self._handles[file].get_tensor(utterance)  # (T, D)
                if self.card.dtype == "int8":
                    scale: Tensor = self._handles[file].get_tensor(utterance + SCALE)  # (T,)
                    frames = frames.float() * scale[:, None]
        except (OSError, SafetensorError) as error:
            raise StoreError(f"{self.folder / file} is damaged: {error}. {AGAIN}") from None
        return frames

    def padded(self, utterances: Sequence[str], *, pin: bool = False) -> Padded:
        """Several utterances as one (B, T, dim) tensor of the caller's own, in the stored type; int8 as float32.

        Read straight into its place, it is the quickest way to a batch. pin: into page-locked memory, for a GPU.
        Raises StoreError for an unknown id or a damaged file.
        """
        if self.card.dtype == "int8":
            return Padded.of([self[utterance] for utterance in utterances])
        places = []
        for utterance in utterances:
            file = self._file(utterance)
            if file not in self._tensors:
                self._tensors[file] = tensor_places(self.folder / file)
            places.append((self.folder / file, *self._tensors[file][utterance]))
        lengths = [self.lengths[utterance] for utterance in utterances]
        return read_padded(places, lengths, dim=self.dim, dtype=DTYPES[self.card.dtype], pin=pin)

    def _file(self, utterance: str) -> str:
        if utterance not in self._places:
            hint = did_you_mean(utterance, list(self.lengths)[:1000])
            raise StoreError(f"{self.folder} has no utterance {utterance!r}. {hint}It has {len(self)} utterances.")
        return self._places[utterance].file

    @cached_property
    def fingerprint(self) -> str:
        """`fingerprint_of` all utterances."""
        return self.fingerprint_of(self.lengths)

    def fingerprint_of(self, utterances: Iterable[str]) -> str:
        """SHA-256 of what the store holds of some utterances: the card's key, and (id, source) sorted by id.

        Utterances that the store has not are left out. The frames' bits are left out on purpose: they may differ in
        the last place with the batch that an utterance was encoded in, so with interruptions, parts and machines,
        while the content is the same by the encoder's own fingerprint. Damage to the bits is found by `verify`.
        """
        ids = sorted({*utterances} & self.lengths.keys())
        return sha256_json([self.card.key, [[id, self.sources[id]] for id in ids]])

    def verify(self) -> None:
        """Read every shard whole and compare it with its hash. Raises StoreError naming all that are damaged."""
        try:
            shards = [(shard, sha256_file(self.folder / shard.file)) for shard in read_shards(self.folder)]
        except OSError as error:
            raise StoreError(f"{self.folder}: a shard cannot be read: {error}. {AGAIN}") from None
        damaged = [shard.file for shard, found in shards if found != shard.sha256]
        if damaged:
            raise StoreError(f"{self.folder}: damaged, by their hashes: {', '.join(damaged)}. {AGAIN}")

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_handles": {}, "_tensors": {}}
