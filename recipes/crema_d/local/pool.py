"""Put the test predictions of several folds into one file a system: every utterance once, by a model that never heard
its speaker."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from sertk.ensemble.predictions import Predictions


def main() -> None:
    """Read the arguments and write a file a system."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folds", nargs="+")
    parser.add_argument("--exp", type=Path, required=True, help="the experiment folder, which has fold1, fold2, ...")
    parser.add_argument("--into", required=True, help="the folder in it that gets the files")
    asked = parser.parse_args()
    parts = [asked.exp / f"fold{fold}" / "predictions" / "test" for fold in asked.folds]
    systems = [
        path.name for path in sorted(parts[0].glob("*.csv")) if all((part / path.name).is_file() for part in parts)
    ]
    for name in systems:
        pooled([Predictions.read(part / name) for part in parts]).write(asked.exp / asked.into / name)
    print(f"{asked.exp / asked.into}  {len(systems)} systems, the test parts of folds {', '.join(asked.folds)}")


def pooled(parts: list[Predictions]) -> Predictions:
    """One after the other; all have the same classes and attributes."""
    first = parts[0]
    parts = [part.reordered(first.labels) for part in parts]
    return Predictions(
        tuple(name for part in parts for name in part.ids),
        first.labels,
        np.concatenate([part.emotion for part in parts]),
        np.concatenate([part.attributes for part in parts]),
        first.attribute_names,
    )


if __name__ == "__main__":
    main()
