"""Six meta-classifiers trained at once against six plain DataLoader loops, on 80,000 rows of 154 inputs.

    OMP_NUM_THREADS=1 python benchmarks/meta_classifier.py --out benchmarks/results/meta_classifier.json

The loop is how one writes it first: TensorDataset, DataLoader with its default collate, nn.Linear, AdamW. Both sides
take the same number of steps of batch 128 over shuffled rows with the same two losses; they alternate within a run.
Times are CPU seconds of the process on one thread, so that a busy machine does not decide.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from sertk_meta.together import fit_together
from sertk_msp_podcast.labels import MSP_PODCAST
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from sertk.batching.collate import targets_of
from sertk.batching.samplers import Shuffle
from sertk.config.schema import Head
from sertk.data.labels import LabelTable
from sertk.models.head import LinearHead
from sertk.tensors import Targets
from sertk.training.losses import attribute_mse, cross_entropy

CLASSES, ATTRIBUTES, MEMBERS, MODELS, BATCH = 8, 3, 14, 6, 128
NAMES = ("arousal", "valence", "dominance")
RANGES = ((1.0, 7.0),) * ATTRIBUTES


def make_data(rows: int) -> tuple[Tensor, Targets, LabelTable]:
    """Standardised posteriors (N, D) of made-up members, their targets, and the table."""
    random = np.random.default_rng(1)
    emotion = random.dirichlet(np.full(CLASSES, 0.3), rows)
    attributes = random.uniform(1, 7, (rows, ATTRIBUTES))
    table = LabelTable(
        ids=tuple(f"utterance-{row}" for row in range(rows)),
        labels=MSP_PODCAST,
        targets=emotion,
        consensus=emotion.argmax(axis=1),
        attributes=attributes,
        attribute_names=NAMES,
        ranges=RANGES,
        frames=np.ones(rows, dtype=np.int64),
        speakers=(None,) * rows,
    )
    said = []
    for _ in range(MEMBERS):
        logits = np.log(emotion + 0.05) + random.normal(0, 1, emotion.shape)
        said += [np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)]
        said += [attributes + random.normal(0, 1, attributes.shape)]
    inputs = torch.from_numpy(np.concatenate(said, axis=1)).float()
    return (inputs - inputs.mean(dim=0)) / inputs.std(dim=0), targets_of(table, range(rows)), table


def at_once(inputs: Tensor, targets: Targets, table: LabelTable, epochs: int) -> float:
    head = Head(activation="none", attribute_output="linear", attributes=list(NAMES))
    began = time.process_time()
    samplers = [Shuffle(table, seed, batch_size=BATCH) for seed in range(MODELS)]
    heads = [LinearHead(head, width=inputs.shape[1], classes=CLASSES, ranges=RANGES) for _ in samplers]
    fit_together(
        heads,
        inputs,
        targets,
        samplers=samplers,
        losses=[(1.5, cross_entropy(table)), (0.4, attribute_mse(table))],
        lr=1e-3,
        weight_decay=0.01,
        steps=epochs * len(samplers[0]),
    )
    return time.process_time() - began


def one_by_one(inputs: Tensor, targets: Targets, epochs: int) -> float:
    began = time.process_time()
    dataset = TensorDataset(inputs, targets.emotion, targets.attributes)
    for seed in range(MODELS):
        torch.manual_seed(seed)
        model = nn.Linear(inputs.shape[1], CLASSES + ATTRIBUTES)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for _ in range(epochs):
            for x, emotion, attributes in DataLoader(dataset, batch_size=BATCH, shuffle=True):
                outputs = model(x)
                loss = 1.5 * F.cross_entropy(outputs[:, :CLASSES], emotion)
                loss = loss + 0.4 * F.mse_loss(outputs[:, CLASSES:], attributes)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=80_000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    inputs, targets, table = make_data(arguments.rows)
    few = make_data(4 * BATCH)
    at_once(*few, 1), one_by_one(*few[:2], 1)  # what is imported or planned once
    rows = []
    for repeat in range(arguments.repeats):
        loops = one_by_one(inputs, targets, arguments.epochs)
        together = at_once(inputs, targets, table, arguments.epochs)
        rows.append({"one_by_one_seconds": loops, "at_once_seconds": together, "ratio": loops / together})
        print(f"{repeat + 1}  one by one {loops:6.2f} s  at once {together:6.2f} s  {loops / together:5.2f} times")
    ratios = sorted(row["ratio"] for row in rows)
    median = statistics.median(ratios)
    print(f"six at once: {median:.2f} times as fast (lowest {ratios[0]:.2f}, highest {ratios[-1]:.2f})")
    result = {
        "claim": "six meta-classifiers at once against six plain DataLoader loops, seconds for all six",
        "rows": arguments.rows,
        "epochs": arguments.epochs,
        "threads": 1,
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "repeats": rows,
        "ratio": {"median": median, "lowest": ratios[0], "highest": ratios[-1]},
    }
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
