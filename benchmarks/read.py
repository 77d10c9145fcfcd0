"""Padded batches from a feature store, against one .npy file an utterance and against a plain read of the bytes.

    OMP_NUM_THREADS=1 python benchmarks/read.py --out benchmarks/results/read.json

The plain way: `np.load` of each file, to float32, `pad_sequence`, in shuffled batches of 16. sertk draws its batches
by length. The floor is one read of each utterance's bytes, back to back, into one buffer a batch, and nothing
else. What sertk reads for a GPU stays in the stored type and becomes float32 there; the second line has that done on
the CPU. All of it lies in the page cache; the sides alternate within a run. Seconds are of the process on one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common.corpus import draw_lengths, label_table, write_corpus
from common.results import keep, machine, shown, spread
from torch.nn.utils.rnn import pad_sequence

from sertk.batching.dataset import FeatureSet
from sertk.batching.samplers import ByLength, Shuffle

BATCH = 16
NAMES = ("speech", "text")


def npy(folder: Path, data: FeatureSet, epoch: int) -> None:
    sampler = Shuffle(data.table, 1, batch_size=BATCH)
    sampler.set_epoch(epoch)
    for rows in sampler:
        for name in NAMES:
            files = [folder / name / f"{data.table.ids[row]}.npy" for row in rows]
            pad_sequence([torch.from_numpy(np.load(file)).float() for file in files], batch_first=True)


def store(data: FeatureSet, epoch: int, *, as_float32: bool) -> None:
    sampler = ByLength(data.table, 1, batch_size=BATCH)
    sampler.set_epoch(epoch)
    for rows in sampler:
        ids = [data.table.ids[row] for row in rows]
        for source in data.sources.values():
            padded = source.padded(ids)  # type: ignore[attr-defined]
            if as_float32:
                padded.data.float()


def bytes_alone(folder: Path, data: FeatureSet, epoch: int) -> None:
    """The same bytes in the same batches, each utterance's behind the other's."""
    sampler = ByLength(data.table, 1, batch_size=BATCH)
    sampler.set_epoch(epoch)
    for rows in sampler:
        for name in NAMES:
            files = [folder / name / f"{data.table.ids[row]}.npy" for row in rows]
            sizes = [data.sources[name].lengths[data.table.ids[row]] * data.sources[name].dim * 2 for row in rows]
            target, start = memoryview(np.empty(sum(sizes), np.uint8)), 0
            for file, size in zip(files, sizes, strict=True):
                with open(file, "rb", buffering=0) as handle:
                    handle.readinto(target[start : start + size])
                start += size


def seconds(work: Callable[[int], None], epoch: int) -> float:
    began = time.process_time()
    work(epoch)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lengths = draw_lengths(arguments.utterances)
    table = label_table(lengths)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = write_corpus(folder, lengths, table)
        sides: dict[str, Callable[[int], None]] = {
            "npy": lambda epoch: npy(folder / "npy", data, epoch),
            "bytes": lambda epoch: bytes_alone(folder / "npy", data, epoch),
            "store": lambda epoch: store(data, epoch, as_float32=False),
            "store, float32": lambda epoch: store(data, epoch, as_float32=True),
        }
        for side in sides.values():
            side(0)
        found: dict[str, list[float]] = {name: [] for name in sides}
        for repeat in range(arguments.repeats):
            for name, side in sides.items():
                found[name].append(seconds(side, repeat + 1))
    size = 2 * sum(sum(source.lengths.values()) * source.dim for source in data.sources.values())
    for name, times in found.items():
        print(f"{name:15} {len(table) / min(times):7.0f} utterances/s  {size / min(times) / 1e9:5.2f} GB/s")
    ratios = {
        f"{name} against {other}": [a / b for a, b in zip(found[other], found[name], strict=True)]
        for name in ("store", "store, float32")
        for other in ("npy", "bytes")
    }
    for name, values in ratios.items():
        print(f"{name}: {shown(values)}")
    result = {
        "claim": "padded batches from a store, utterances a second",
        "machine": machine(),
        "arguments": vars(arguments),
        "bytes": size,
        "seconds": found,
        "ratio": {name: spread(values) for name, values in ratios.items()},
    }
    keep(arguments.out, result)


if __name__ == "__main__":
    main()
