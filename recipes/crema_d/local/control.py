"""The plain control: a linear model on one-frame features, fitted on the split and the votes of the members.

Multinomial logistic regression by scikit-learn on functionals standardised over the training part; soft targets as
sample weights, every utterance once a class with the share of the votes that it got. The penalty and the power of the
class weights are chosen by macro-F1 on the held-out part, as the members' epochs are. The attributes by ridge
regression. Writes predictions that `sertk score` reads.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sertk.batching.dataset import FeatureSet, feature_set
from sertk.data.manifest import Manifest
from sertk.ensemble.predictions import Predictions
from sertk.features.store import FeatureStore
from sertk.files import sha256_file
from sertk.outputs import making
from sertk.provenance import Provenance, is_current

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
POWERS = (0.0, 0.5, 1.0)


def main() -> None:
    """Read the arguments, fit, choose, predict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=Path, required=True, help="a store of one-frame features")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--split", default="test", help="what is predicted; train and held_out are fitted on")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--force", action="store_true")
    asked = parser.parse_args()
    store = FeatureStore.open(asked.features)
    parts = {
        "script": sha256_file(Path(__file__)),
        "features": store.fingerprint,
        "manifest": sha256_file(asked.manifest),
        "split": asked.split,
    }
    made = Provenance("control", parts)
    if not asked.force and is_current(asked.output, made):
        print(f"up to date  {asked.output}")
        return
    manifest = Manifest.read(asked.manifest)
    names = tuple(manifest.ranges)

    def part(split: str) -> FeatureSet:
        utterances, labels = manifest.split(split), manifest.labels
        return feature_set(utterances, labels, manifest.ranges, {"features": store}, attributes=names)[0]

    train, held_out, asked_for = part("train"), part("held_out"), part(asked.split)
    models = {(c, power): fit(train, c, power) for c, power in product(PENALTIES, POWERS)}
    scores = {choice: macro_f1(model, held_out) for choice, model in models.items()}
    best = max(scores, key=lambda choice: scores[choice])
    attributes = np.empty((len(asked_for), 0))
    if names:
        known = ~np.isnan(train.table.attributes).any(axis=1)
        ridge = make_pipeline(StandardScaler(), Ridge(alpha=100.0))
        ridge.fit(matrix(train)[known], train.table.attributes[known])
        attributes = ridge.predict(matrix(asked_for)).reshape(-1, len(names))
    said = Predictions(
        asked_for.table.ids, manifest.labels, models[best].predict_proba(matrix(asked_for)), attributes, names
    )
    with making(asked.output, made):
        said.write(asked.output)
    print(f"{asked.output}  C {best[0]:g}  class weight power {best[1]:g}  held_out macro_f1 {scores[best]:.3f}")


def fit(data: FeatureSet, c: float, power: float) -> Pipeline:
    """Logistic regression on soft targets, class c weighted by (N / (C f_c)) ** power as the members' loss is."""
    targets = data.table.targets  # (N, C)
    weights = targets * (len(targets) / (targets.shape[1] * targets.sum(axis=0))) ** power
    rows, classes = np.nonzero(weights)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000))
    model[0].fit(matrix(data))
    model[1].fit(model[0].transform(matrix(data))[rows], classes, sample_weight=weights[rows, classes])
    return model


def macro_f1(model: Pipeline, data: FeatureSet) -> float:
    """On the utterances with a consensus."""
    agreed = data.table.consensus >= 0
    predicted = model.predict(matrix(data)[agreed])
    return float(f1_score(data.table.consensus[agreed], predicted, average="macro"))


def matrix(data: FeatureSet) -> NDArray[np.float64]:
    """(N, D), in the order of the table."""
    store = data.sources["features"]
    return np.stack([store[name][0].double().numpy() for name in data.table.ids])


if __name__ == "__main__":
    main()
