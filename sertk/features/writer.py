"""Writing feature stores shard by shard, so that a kill loses at most the shard at hand."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor

from sertk.errors import StoreError
from sertk.features.card import StoreCard, write_card
from sertk.features.index import (
    SCALE,
    Failure,
    Shard,
    index_value,
    part_suffix,
    read_failures,
    read_index,
    read_report,
    stored_lengths,
)
from sertk.features.repair import remove_damaged
from sertk.files import atomic_path, sha256_file, write_json, write_text
from sertk.locks import locked
from sertk.tensors import save_tensors

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


class StoreWriter:
    """A context manager that adds utterances to a store, which it makes or goes on with.

    part: (number, count) when several processes fill one folder, each with files of its own. shard_bytes: size
    from which a shard is closed. repair: first remove what is damaged (`sertk.features.repair`). Raises StoreError
    for a folder of another card and for a disk that cannot take more, BusyError for a folder that another process
    is writing to.
    """

    def __init__(
        self,
        folder: Path,
        card: StoreCard,
        *,
        shard_bytes: int = 128 << 20,
        part: tuple[int, int] = (0, 1),
        repair: bool = False,
    ) -> None:
        self.folder = folder
        self.card = card
        self.part = part
        self._suffix = part_suffix(part)
        self._shard_bytes = shard_bytes
        self._repair = repair
        self.repaired: list[str] = []
        self._open = ExitStack()
        self._pending: dict[str, Tensor] = {}
        self._pending_ids = 0
        self._pending_bytes = 0
        self._report_changed = False
        self._remarks: dict[str, str] = {}

    def __enter__(self) -> StoreWriter:
        with _disk(self.folder), ExitStack() as opening:
            self.folder.mkdir(parents=True, exist_ok=True)
            opening.enter_context(_locked(self.folder, self.part))
            if self._repair:
                self.repaired = remove_damaged(self.folder, self._suffix)
            write_card(self.folder, self.card)
            self._shards = read_index(self.folder / f"index{self._suffix}.json")
            self._sweep()
            self._done = set(stored_lengths(self.folder, self.card))
            self._failures = read_report(self.folder / f"report{self._suffix}.jsonl")  # this part's own
            self._listed = {k: v for k, v in read_failures(self.folder).items() if k not in self._done}
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open:
            if kind is None:
                self.flush()
            elif not issubclass(kind, StoreError):
                with suppress(StoreError):  # the error that came first is the one to show
                    self.flush()

    @property
    def done(self) -> set[str]:
        """The ids that the store has, this part's and the others' of when it was opened."""
        return set(self._done)

    @property
    def failures(self) -> dict[str, Failure]:
        """What could not be encoded, by id, in any part."""
        return dict(self._listed)

    def add(self, utterance: str, frames: Tensor) -> None:
        """Take (T, dim) of one utterance. Raises StoreError for an id twice, a wrong shape, or NaN."""
        self.add_batch({utterance: frames})

    def add_batch(self, batch: Mapping[str, Tensor]) -> None:
        """Take several utterances and keep them in one shard: shards end where batches end."""
        for utterance, frames in batch.items():
            if utterance in self._done:
                raise StoreError(f"{self.folder} has utterance {utterance} already: ids must be unique")
            for key, tensor in self._encoded(utterance, frames).items():
                self._pending[key] = tensor
                self._pending_bytes += tensor.nbytes
            self._pending_ids += 1
            self._done.add(utterance)
            self._listed.pop(utterance, None)
            self._report_changed |= self._failures.pop(utterance, None) is not None
        if self._pending_bytes >= self._shard_bytes:
            self.flush()

    def fail(self, utterance: str, audio: str, message: str) -> None:
        """List an utterance in the report instead."""
        self._failures[utterance] = self._listed[utterance] = Failure(utterance, audio, message)
        self._report_changed = True

    def remark(self, utterance: str, message: str) -> None:
        """Note in `remarks.jsonl` what was done to an utterance that is stored all the same, such as cutting it."""
        self._remarks[utterance] = message

    def flush(self) -> None:
        """Write remarks, then what is pending as a shard, then the index that lists it, then the report."""
        with _disk(self.folder):
            if self._remarks:
                path = self.folder / f"remarks{self._suffix}.jsonl"
                earlier = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
                lines = [json.dumps({"id": k, "message": v}, ensure_ascii=False) for k, v in self._remarks.items()]
                write_text(path, "".join(f"{line}\n" for line in sorted({*earlier, *lines})))
                self._remarks = {}
            if self._pending:
                path = self._next_shard()
                with atomic_path(path) as temporary:
                    save_tensors(temporary, self._pending)
                shard = Shard(path.name, sha256_file(path), self._pending_ids, path.stat().st_size)
                write_json(self.folder / f"index{self._suffix}.json", index_value([*self._shards, shard]))
                self._shards.append(shard)
                self._pending, self._pending_ids, self._pending_bytes = {}, 0, 0
            if self._report_changed:
                lines = [json.dumps(vars(self._failures[key]), ensure_ascii=False) for key in sorted(self._failures)]
                write_text(self.folder / f"report{self._suffix}.jsonl", "".join(line + "\n" for line in lines))
                self._report_changed = False

    def _next_shard(self) -> Path:
        """The first name that no shard has; a repaired store has gaps."""
        listed = {shard.file for shard in self._shards}
        names = (f"shard{self._suffix}-{number:05d}.safetensors" for number in range(len(listed) + 1))
        return self.folder / next(name for name in names if name not in listed)

    def _encoded(self, utterance: str, frames: Tensor) -> dict[str, Tensor]:
        if frames.ndim != 2 or frames.shape[0] < 1 or frames.shape[1] != self.card.dim:
            raise StoreError(
                f"utterance {utterance}: features of shape {tuple(frames.shape)}, the card says (T, {self.card.dim})"
            )
        if self.card.dtype == "int8":
            if utterance.endswith(SCALE):
                raise StoreError(f"utterance {utterance}: in int8 stores an id cannot end in {SCALE!r}")
            frames = frames.detach().cpu().float()
            scale = frames.abs().amax(dim=1) / 127  # (T,)
            encoded = (frames / scale.clamp_min(torch.finfo().tiny)[:, None]).round().to(torch.int8)  # (T, D)
            tensors = {utterance: encoded, utterance + SCALE: scale}
            finite = bool(scale.isfinite().all())
        else:
            # A copy, so that neither a padded batch nor what the caller does next hangs on it.
            encoded = frames.detach().to(device="cpu", dtype=DTYPES[self.card.dtype], copy=True)
            tensors = {utterance: encoded}
            finite = bool(encoded.isfinite().all())
        if not finite:
            raise StoreError(f"utterance {utterance}: NaN or infinite once stored as {self.card.dtype}")
        return {key: tensor.contiguous() for key, tensor in tensors.items()}

    def _sweep(self) -> None:
        """Remove what a killed run left: temporary files, and shards that the index does not list."""
        listed = {shard.file for shard in self._shards}
        name = re.escape(self._suffix)
        ours = re.compile(
            rf"(\.?shard{name}-\d{{5}}\.safetensors|\.((index|report|remarks){name}|card)\.jsonl?)(\.[\w-]+\.part)?"
        )
        for path in self.folder.iterdir():
            if ours.fullmatch(path.name) and path.name not in listed:
                path.unlink()


@contextmanager
def _locked(folder: Path, part: tuple[int, int]) -> Iterator[None]:
    """Hold a store for one writer, or one part of it; parts share `.lock` and exclude a writer of the whole."""
    with ExitStack() as locks:
        locks.enter_context(locked(folder / ".lock", folder, shared=part[1] > 1))
        if part[1] > 1:
            locks.enter_context(locked(folder / f".lock{part_suffix(part)}", folder))
            for path in folder.glob(".lock-*of*"):
                if not path.name.endswith(f"of{part[1]}"):  # of a process that counts its parts otherwise
                    with locked(path, folder):
                        pass
        yield


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into a StoreError that says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = "make room" if full else f"see that {os.fspath(folder)} can be written"
        raise StoreError(
            f"{folder}: cannot write the store: {error}. What was written before is whole: "
            f"{remedy} and extract again to go on."
        ) from error
