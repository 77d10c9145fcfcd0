"""Members of an ensemble side by side against one after another, on one device.

    OMP_NUM_THREADS=1 python benchmarks/members.py --out benchmarks/results/members.json
    python benchmarks/members.py --device cuda --members 4 --width 1024 --batches 32

Side by side: processes on one CPU or GPU that train at the same time, as `sertk train --jobs N` does. Each member
has one thread and reads the same store. The clock starts when all have loaded and built what they train.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import torch
from common.corpus import draw_lengths, label_table, write_corpus
from common.results import keep, machine, shown, spread


def train(seed: int, folder: Path, options: argparse.Namespace, ready: Barrier, ended: Barrier) -> None:
    """Train one member when all are ready."""
    from train import member, ours

    from sertk.batching.dataset import FeatureSet
    from sertk.batching.samplers import ByLength
    from sertk.features.store import FeatureStore

    torch.set_num_threads(1)
    device = torch.device(options.device)
    table = label_table(draw_lengths(options.batches * 16))
    data = FeatureSet(table, {name: FeatureStore.open(folder / "store" / name) for name in ("speech", "text")})
    model = member(options.width, seed=seed).to(device)
    run = ours(model, data, ByLength(table, seed, batch_size=16), device, options.precision, lr=1e-5, epochs=1)
    if device.type == "cuda":
        run()
        torch.cuda.synchronize(device)
    ready.wait()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    ended.wait()


def seconds(seeds: list[int], folder: Path, options: argparse.Namespace) -> float:
    """Of the clock, for members that train at the same time."""
    context = multiprocessing.get_context("spawn")
    ready, ended = context.Barrier(len(seeds) + 1), context.Barrier(len(seeds) + 1)
    members = [context.Process(target=train, args=(seed, folder, options, ready, ended)) for seed in seeds]
    for one in members:
        one.start()
    ready.wait()
    began = time.perf_counter()
    ended.wait()
    took = time.perf_counter() - began
    for one in members:
        one.join()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--members", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lengths = draw_lengths(options.batches * 16)
    ratios, rows = [], []
    with tempfile.TemporaryDirectory() as place:
        write_corpus(Path(place), lengths, label_table(lengths))
        for repeat in range(options.repeats):
            apart = sum(seconds([seed], Path(place), options) for seed in range(options.members))
            together = seconds(list(range(options.members)), Path(place), options)
            ratios.append(apart / together)
            rows.append({"one_after_another_seconds": apart, "side_by_side_seconds": together})
            print(f"{repeat + 1}  one after another {apart:.1f} s  side by side {together:.1f} s", flush=True)
    where = machine(options.device)
    print(f"{options.members} members side by side: {shown(ratios)} times as fast on {where['cores']} cores")
    result = {
        "claim": "members side by side against one after another",
        "machine": where,
        "arguments": vars(options),
        "repeats": rows,
        "ratio": spread(ratios),
    }
    keep(options.out, result)


if __name__ == "__main__":
    main()
