"""Training a DeepSER member of the paper's size, sertk against the plain way, in turn on the same data.

    OMP_NUM_THREADS=1 python benchmarks/train.py --out benchmarks/results/train.json
    python benchmarks/train.py --device cuda --batches 64

Two modalities of 1024, batches of 16 utterances. sertk trains with its own loop, from a feature store, in batches
as `by_length` draws them from a corpus of 20,480; the batches taken are spread evenly over the lengths. The plain way
trains on the same utterances, shuffled: one .npy file each, a DataLoader, padding masks, torch's own layers, AdamW
with foreach. On a CPU with one thread, times are CPU seconds of the process, so that a busy machine does not decide.

The arithmetic is counted over content alone, so what padding costs lowers the share of the machine's matrix rate.
The loss curves come from a narrower member, with dropout, on another made-up corpus that has something to learn.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common.corpus import DIM, NAMES, RANGES, Fixed, Lengths, draw_lengths, label_table, padding, write_corpus
from common.floor import emptied, matrix_rates, operations, timed
from common.plain import Files, PlainDeepSER, collate, step
from common.results import keep, machine, shown, spread
from torch.utils.data import DataLoader

from sertk.batching.dataset import FeatureSet
from sertk.batching.samplers import ByLength, Shuffle
from sertk.config.schema import Head, Optimizer, Use
from sertk.contracts import Sampler
from sertk.data.labels import LabelTable
from sertk.models.classifier import Classifier, build_classifier
from sertk.tensors import Padded
from sertk.training.fit import fit
from sertk.training.losses import attribute_mse, cross_entropy
from sertk.training.optimizers import build_optimizer
from sertk.training.precision import Precision

BATCH = 16
CORPUS = 20_480


def member(width: int, *, dropout: float = 0.1, seed: int = 1) -> Classifier:
    use = Use.model_validate({"use": "deepser", "width": width, "dropout": dropout})
    head = Head(attributes=list(NAMES))
    return build_classifier(use, head, dims={"speech": DIM, "text": DIM}, classes=8, ranges=RANGES, seed=seed)


def least_operations(lengths: Lengths, width: int) -> float:
    """Floating-point operations of one pass, forward and backward, over content alone; backward costs twice."""
    shapes, total = emptied(member(width)), 0
    for both in zip(lengths.speech.tolist(), lengths.text.tolist(), strict=True):
        features = {
            name: Padded(torch.empty(1, frames, DIM, device="meta"), torch.empty(1, device="meta"))
            for name, frames in zip(("speech", "text"), both, strict=True)
        }
        total += operations(shapes, features)
    return 3.0 * total


def spread_batches(lengths: Lengths, count: int) -> list[list[int]]:
    """Batches of an epoch of `by_length` at evenly spaced places among all, by their mean length."""
    drawn = list(ByLength(label_table(lengths), 1, batch_size=BATCH))
    drawn.sort(key=lambda rows: float(lengths.speech[rows].mean()))
    return [drawn[int((place + 0.5) * len(drawn) / count)] for place in range(count)]


def ours(
    model: Classifier,
    data: FeatureSet,
    sampler: Sampler,
    device: torch.device,
    precision: Precision,
    *,
    lr: float,
    epochs: int,
) -> Callable[[], list[float]]:
    """A call that trains the epochs and gives their mean losses."""
    optimizer = build_optimizer(model, Optimizer.model_validate({"lr": lr}))
    terms = [
        ("cross_entropy", 1.5, cross_entropy(data.table)),
        ("attribute_mse", 0.4, attribute_mse(data.table)),
    ]
    running = fit(
        model, data, sampler=sampler, losses=terms, optimizer=optimizer, epochs=10_000, seed=1, device=device,
        precision=precision,
    )  # fmt: skip
    return lambda: [next(running).losses["total"] for _ in range(epochs)]


def plain(
    model: Classifier, folder: Path, table: LabelTable, device: torch.device, *, lr: float, epochs: int, workers: int
) -> Callable[[], list[float]]:
    network = PlainDeepSER(model).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, foreach=True)
    loader = DataLoader(
        Files(folder, table), batch_size=BATCH, shuffle=True, collate_fn=collate, num_workers=workers,
        pin_memory=device.type == "cuda", persistent_workers=workers > 0,
    )  # fmt: skip

    def one_epoch() -> float:
        losses = [(float(step(network, optimizer, batch, device)), len(batch[1])) for batch in loader]
        return sum(loss * size for loss, size in losses) / len(table)

    return lambda: [one_epoch() for _ in range(epochs)]


def curves(folder: Path, device: torch.device, *, width: int, utterances: int, epochs: int) -> dict[str, Any]:
    """Mean loss of each epoch of both ways, the plain one under two seeds: how far seeds alone part the curves."""
    lengths = draw_lengths(utterances, seed=5)
    table = label_table(lengths, seed=5)
    data = write_corpus(folder, lengths, table)
    found: dict[str, list[float]] = {}
    for seed in (1, 2):
        torch.manual_seed(seed)
        start = member(width, seed=1)
        found[f"plain, seed {seed}"] = plain(
            start, folder / "npy", table, device, lr=1e-4, epochs=epochs, workers=0
        )()
    for precision in ("float32", "bfloat16"):
        sampler = ByLength(table, 1, batch_size=BATCH)
        start = member(width, seed=1).to(device)
        found[f"sertk {precision}"] = ours(start, data, sampler, device, precision, lr=1e-4, epochs=epochs)()  # type: ignore[arg-type]
    for name, losses in found.items():
        print(f"  {name:16} " + " ".join(f"{loss:.3f}" for loss in losses))
    reference = np.array(found["plain, seed 1"])
    apart = {name: float(np.abs(np.array(losses) / reference - 1).max()) for name, losses in found.items()}
    print("  largest distance from plain, seed 1: " + ", ".join(f"{n} {100 * a:.1f} %" for n, a in apart.items()))
    return {"width": width, "utterances": utterances, "losses": found, "largest_relative_distance": apart}


def profile(run: Callable[[], Any], device: torch.device) -> list[dict[str, Any]]:
    """The operators that take most of an epoch themselves, by share."""
    kinds = [torch.profiler.ProfilerActivity.CPU]
    kinds += [torch.profiler.ProfilerActivity.CUDA] if device.type == "cuda" else []
    with torch.profiler.profile(activities=kinds) as profiler:
        run()
    field = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    events = sorted(profiler.key_averages(), key=lambda event: -getattr(event, field))
    total = sum(getattr(event, field) for event in events)
    rows = [{"operator": e.key, "share": getattr(e, field) / total, "calls": e.count} for e in events[:14]]
    for row in rows:
        print(f"  {100 * row['share']:5.1f} %  {row['calls']:6}  {row['operator']}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--width", type=int, default=1024, help="1024 is the paper's: 78.8 M parameters")
    parser.add_argument("--batches", type=int, default=4, help="batches of 16 a turn")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="of the plain way's DataLoader")
    parser.add_argument("--compile", action="store_true", help="torch.compile sertk's fusion")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--curve-width", type=int, default=128)
    parser.add_argument("--curve-utterances", type=int, default=192, help="0 leaves the curves out")
    parser.add_argument("--curve-epochs", type=int, default=4)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    everything = draw_lengths(CORPUS)
    chosen = spread_batches(everything, arguments.batches)
    lengths = everything.take([row for rows in chosen for row in rows])
    batches = [list(range(start, start + BATCH)) for start in range(0, len(lengths.speech), BATCH)]
    table = label_table(lengths)
    frames = {"speech": lengths.speech, "text": lengths.text}
    shuffled = [list(rows) for rows in Shuffle(label_table(lengths), 1, batch_size=BATCH)]
    work = least_operations(lengths, arguments.width)
    rates = matrix_rates(device)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = write_corpus(folder, lengths, table)
        sizes = {"parameters": sum(p.numel() for p in member(arguments.width).parameters()) / 1e6}
        print(
            f"{sizes['parameters']:.1f} M parameters, {len(table)} utterances a turn, "
            f"{lengths.seconds:.0f} s of audio; "
            f"padding: plain {100 * padding(shuffled, frames):.1f} %, sertk {100 * padding(batches, frames):.1f} %; "
            f"{work / 1e12:.2f} T operations; matrix rate "
            + ", ".join(f"{n} {r / 1e9:.0f} G/s" for n, r in rates.items()),
            flush=True,
        )
        runs: dict[str, Callable[[], list[float]]] = {
            "plain": plain(
                member(arguments.width), folder / "npy", table, device, lr=1e-5, epochs=1, workers=arguments.workers
            )
        }
        for precision in ("float32", "bfloat16"):
            model = member(arguments.width).to(device)
            if arguments.compile:
                model.fusion.compile(dynamic=True)
            runs[precision] = ours(model, data, Fixed(batches), device, precision, lr=1e-5, epochs=1)  # type: ignore[arg-type]
        if device.type == "cuda":
            for run in runs.values():
                run()  # what is planned or compiled once
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for repeat in range(arguments.repeats):
            for name, run in runs.items():
                seconds[name].append(timed(run, device))
            print(f"  {repeat + 1}  " + "  ".join(f"{n} {s[-1]:.2f} s" for n, s in seconds.items()), flush=True)
        rates = matrix_rates(device, rates)
        ratios = {n: ratio_of(seconds["plain"], seconds[n]) for n in ("float32", "bfloat16")}
        share = {n: work / min(seconds[n]) / rates[n] for n in ratios}
        share["plain"] = work / min(seconds["plain"]) / rates["float32"]
        for name, values in ratios.items():
            print(
                f"sertk in {name}: {shown(values)} times the plain way; "
                f"{len(table) / min(seconds[name]):.2f} utterances/s; {100 * share[name]:.0f} % of the matrix rate"
            )
        result = {
            "claim": "training a member, sertk against the plain way, utterances a second",
            "machine": machine(arguments.device),
            "arguments": vars(arguments),
            **sizes,
            "matrix_rate_per_second": rates,
            "seconds": seconds,
            "ratio": {name: spread(values) for name, values in ratios.items()},
            "share_of_matrix_rate": share,
        }
        if arguments.profile:
            for name, run in runs.items():
                print(f"profile: {name}")
                result[f"profile_{name}"] = profile(run, device)
        if arguments.curve_utterances:
            print("mean loss an epoch")
            result["curves"] = curves(
                folder / "curves",
                device,
                width=arguments.curve_width,
                utterances=arguments.curve_utterances,
                epochs=arguments.curve_epochs,
            )
        keep(arguments.out, result)


def ratio_of(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    """Turn by turn, so that both sides of a ratio had the machine in about the same state."""
    return [a / b for a, b in zip(slow, fast, strict=True)]


if __name__ == "__main__":
    main()
