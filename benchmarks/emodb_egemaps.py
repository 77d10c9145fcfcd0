"""Whether our openSMILE store gives what openSMILE gives: eGeMAPSv02 functionals and a linear SVM on EMO-DB.

    SERTK_EMODB=/data/emodb python benchmarks/emodb_egemaps.py [--out benchmarks/results/emodb_egemaps.json]

Leaves one of the ten speakers out at a time. The unweighted average recall of all 535 clips is printed for features
standardised over the training speakers, and for features that are first standardised by speaker (which looks at all
clips of the speaker that is tested, without its labels, as the published figures do); from the store that
`sertk extract` writes, and from openSMILE called directly. C = 0.01 everywhere: the best of five values that were
tried on these same clips, so the recalls lean high. That store and openSMILE agree does not depend on it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import opensmile
import soundfile
import torch
from numpy.typing import NDArray
from sertk_corpora.emodb import read_emodb
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sertk import registry
from sertk.config.build import build
from sertk.config.schema import Use
from sertk.data.recording import Recording
from sertk.features.card import store_card
from sertk.features.extract import Target, extract
from sertk.features.store import FeatureStore

OPTIONS: dict[str, Any] = {"features": "eGeMAPSv02", "level": "functionals"}
PENALTY = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write the figures here")
    asked = parser.parse_args()
    folder = os.environ.get("SERTK_EMODB")
    if not folder:
        parser.error("set SERTK_EMODB to the folder of EMO-DB")
    manifest, _ = read_emodb(Path(folder))
    utterances = manifest.located()
    emotions = np.array([utterance.emotion for utterance in utterances])
    speakers = np.array([utterance.speaker for utterance in utterances])
    with tempfile.TemporaryDirectory() as temporary:
        ours = from_store(Path(temporary) / "egemaps", [Recording(utterance) for utterance in utterances])
    direct = from_opensmile([Path(utterance.audio) for utterance in utterances])
    figures: dict[str, Any] = {
        "largest_relative_difference": float(np.max(np.abs(ours - direct) / np.maximum(np.abs(direct), 1e-6)))
    }
    for what, features in (("store", ours), ("openSMILE", direct)):
        figures[what] = {
            "uar": uar(features, emotions, speakers),
            "uar_speaker_normalised": uar(by_speaker(features, speakers), emotions, speakers),
        }
    print(f"{'':10}  {'UAR':>6}  {'UAR, by speaker':>16}")
    for what in ("store", "openSMILE"):
        row = figures[what]
        print(f"{what:10}  {row['uar']:6.3f}  {row['uar_speaker_normalised']:16.3f}")
    print(f"largest relative difference of a value: {figures['largest_relative_difference']:.2g}")
    if asked.out:
        asked.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def from_store(folder: Path, recordings: list[Recording]) -> NDArray[np.float64]:
    """(N, 88) as `sertk extract` stores them."""
    encoder = build(registry.encoders, Use.model_validate({"use": "opensmile", **OPTIONS}))
    card = store_card("opensmile", OPTIONS, encoder, dtype="float32")
    extract([Target(folder, card, encoder)], recordings, device=torch.device("cpu"))
    store = FeatureStore.open(folder)
    return np.stack([store[recording.id][0].double().numpy() for recording in recordings])


def from_opensmile(paths: list[Path]) -> NDArray[np.float64]:
    """(N, 88) by openSMILE's own package."""
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    rows = []
    for path in paths:
        samples, sample_rate = soundfile.read(path, dtype="float32")
        rows.append(smile.process_signal(samples, sample_rate).to_numpy(np.float64)[0])
    return np.stack(rows)


def by_speaker(features: NDArray[np.float64], speakers: NDArray[np.str_]) -> NDArray[np.float64]:
    """Each speaker's features at mean 0 and deviation 1."""
    normalised = features.copy()
    for speaker in np.unique(speakers):
        normalised[speakers == speaker] = StandardScaler().fit_transform(features[speakers == speaker])
    return normalised


def uar(features: NDArray[np.float64], emotions: NDArray[np.str_], speakers: NDArray[np.str_]) -> float:
    """Unweighted average recall of all clips, each predicted without its speaker."""
    predicted = np.empty_like(emotions)
    for speaker in np.unique(speakers):
        train = speakers != speaker
        model = make_pipeline(StandardScaler(), SVC(kernel="linear", C=PENALTY, class_weight="balanced"))
        predicted[~train] = model.fit(features[train], emotions[train]).predict(features[~train])
    return float(recall_score(emotions, predicted, average="macro"))


if __name__ == "__main__":
    main()
