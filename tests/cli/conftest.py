"""A corpus, its manifests, predictions, and what the verbs make of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sertk.cli import main
from sertk.data.manifest import Manifest
from sertk.ensemble.predictions import Predictions


def sertk(line: str) -> int:
    return main(line.split())


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, its manifests, predictions from elsewhere, and what is made of them."""
    folder = tmp_path_factory.mktemp("why") / "finished"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert sertk("data toy corpus --utterances 64 --no-audio") == 0
        assert sertk("data prepare msp_podcast corpus --no-audio --out corpus.jsonl") == 0
        assert sertk("data split corpus.jsonl --share 0.3 --out split.jsonl") == 0
        assert sertk("transcribe split.jsonl --out m.jsonl") == 0
        assert sertk("data fix m.jsonl --no-audio --out fixed.jsonl") == 0
        assert sertk("data audit m.jsonl --no-audio --html audit.html") == 0
        manifest = Manifest.read(Path("m.jsonl"))
        for split, name in (("development", "predictions/development/one.csv"), ("test3", "test3.csv")):
            ids = tuple(u.id for u in manifest.split(split))
            emotion = np.random.default_rng(1).dirichlet(np.ones(8), len(ids))
            attributes = np.full((len(ids), 3), 4.0)
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            said = Predictions(ids, manifest.labels, emotion, attributes, ("arousal", "valence", "dominance"))
            said.write(Path(name))
        one = "predictions/development/one.csv --manifest m.jsonl --split development --draws 9"
        assert sertk(f"score {one} --output scores.json --results RESULTS.md") == 0
        assert sertk("report . --manifest m.jsonl --clips 0 --draws 9") == 0
        assert sertk("submit test3.csv --manifest m.jsonl --out submission") == 0
    return folder
