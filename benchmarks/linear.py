"""Six linear models on stored features: a stage with a solver, and a plain scikit-learn script on the same arrays.

Both standardise by the training part, fit a logistic regression for each of five penalties, keep the one with the
best recall on the dev part, and predict the dev part. Files are read and modules imported before the clock starts.
Then the classes that both give are compared.

    python benchmarks/linear.py                                  made-up features in the shape of EMO-DB's
    python benchmarks/linear.py --features DIR --manifest FILE   a store with seven states of Whisper, and its corpus
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common.clock import Clock
from common.results import keep, machine, shown, spread
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.preprocessing import StandardScaler

from sertk.config.schema import Experiment
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.experiment import new_classifier
from sertk.features.store import FeatureStore, StoreCard, StoreWriter
from sertk.inputs import Inputs, read_inputs
from sertk.training.evaluate import infer
from sertk.training.solver import solve

PENALTIES = [0.003, 0.01, 0.03, 0.1, 0.3]
STATES, WIDTH, CLASSES = 7, 1024, 7
READ = range(1, 7)
"""The states that have a model each."""
Classes = NDArray[np.int64]


def write_made_up(folder: Path) -> tuple[Path, Path]:
    """428 training and 58 dev utterances, seven classes, 7 x 1024 values."""
    random = np.random.default_rng(1)
    labels = LabelSet(tuple(f"class {number}" for number in range(CLASSES)))
    centres = random.standard_normal((CLASSES, STATES * WIDTH)) * 0.15
    utterances, card = (
        [],
        StoreCard("made_up", {}, "made up", "speech", STATES * WIDTH, 0.0, "float16", reads=["audio"]),
    )
    with StoreWriter(folder / "features", card) as writer:
        for number in range(486):
            label, split = int(random.integers(CLASSES)), "train" if number < 428 else "held_out"
            values = centres[label] + random.standard_normal(STATES * WIDTH)
            name = labels.names[label]
            utterances.append(Utterance(f"u{number}", "none.wav", speaker=split, split=split, emotion=name))
            writer.add(f"u{number}", torch.from_numpy(values[None]).half(), "made up")
    Manifest("made up", labels, {}, tuple(utterances)).write(folder / "manifest.jsonl")
    return folder / "features", folder / "manifest.jsonl"


def experiment(features: Path, manifest: Path, state: int) -> Experiment:
    """A linear model on one state."""
    solver = {"penalty": PENALTIES, "blocks": STATES, "subsets": [[state]]}
    return Experiment.model_validate(
        {
            "data": {"manifest": str(manifest)},
            "features": {"speech": str(features)},
            "standardise": ["speech"],
            "fusion": {"use": "concat"},
            "head": {"activation": "none"},
            "selection": {"metric": "uar"},
            "stage": [{"name": "linear", "solver": solver}],
        }
    )


def by_sertk(asked: list[Experiment], inputs: Inputs) -> list[Classes]:
    """What `sertk train` does of it, once features are read."""
    found = []
    for each in asked:
        model = new_classifier(each, inputs)
        assert model.scale is not None
        model.scale.fit({"speech": (inputs.train.sources["speech"][id] for id in inputs.train.table.ids)})
        solve(model, inputs.train, inputs.dev, each.stage[0], each.selection, seed=1)
        found.append(infer(model, inputs.dev, device=torch.device("cpu")).argmax(dim=1).numpy())
    return found


def plain(train: NDArray[np.float32], truth: Classes, dev: NDArray[np.float32], dev_truth: Classes) -> list[Classes]:
    """What everybody writes."""
    found = []
    for state in READ:
        columns = slice(state * WIDTH, (state + 1) * WIDTH)
        scaler = StandardScaler().fit(train[:, columns])
        x, x_dev = scaler.transform(train[:, columns]), scaler.transform(dev[:, columns])
        best, predicted = -1.0, np.zeros(len(dev), dtype=np.int64)
        for penalty in PENALTIES:
            model = LogisticRegression(C=1 / (penalty * len(x)), max_iter=2000).fit(x, truth)
            recall = recall_score(dev_truth, model.predict(x_dev), average="macro", zero_division=0)
            if recall >= best:  # ties to the larger penalty, which comes last
                best, predicted = recall, model.predict(x_dev)
        found.append(predicted)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        features, manifest = given.features, given.manifest
        if features is None or manifest is None:
            features, manifest = write_made_up(Path(place))
        asked = [experiment(features, manifest, state) for state in READ]
        inputs, store = read_inputs(asked[0]), FeatureStore.open(features)
        arrays = [
            np.stack([store[id][0].float().numpy() for id in part.table.ids]) for part in (inputs.train, inputs.dev)
        ]
        truths = [part.table.consensus for part in (inputs.train, inputs.dev)]
        ways: dict[str, Callable[[], list[Classes]]] = {
            "sertk": lambda: by_sertk(asked, inputs),
            "scikit-learn": lambda: plain(arrays[0], truths[0], arrays[1], truths[1]),
        }
        took: dict[str, list[float]] = {way: [] for way in ways}
        predicted: dict[str, list[Classes]] = {}
        warnings.simplefilter("ignore")
        for number in range(given.rounds + 1):  # the first one warms up
            for way, run in ways.items():
                clock = Clock()
                predicted[way] = run()
                if number:
                    took[way].append(clock.read()[1])
    ratios = [ours / theirs for ours, theirs in zip(took["sertk"], took["scikit-learn"], strict=True)]
    same = float(np.mean(np.concatenate(predicted["sertk"]) == np.concatenate(predicted["scikit-learn"])))
    print(f"six linear models, CPU seconds: sertk {shown(took['sertk'])}, scikit-learn {shown(took['scikit-learn'])}")
    print(f"ratio {shown(ratios)}; the same class for {same:.1%} of the dev part's answers")
    result = {
        "claim": "six linear models on stored features, against scikit-learn on the same arrays",
        "machine": machine(),
        "cpu_seconds": took,
        "ratio": spread(ratios),
        "same_class": same,
    }
    keep(given.out, result)


if __name__ == "__main__":
    main()
