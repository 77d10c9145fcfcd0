"""`sertk why` on each result of a whole experiment, before and behind a changed transcript."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sertk.data.manifest import Manifest

pytestmark = pytest.mark.faults

SPEECH = ["features/logmel"]
WORDS = ["features/words"]
MODELS = ["members/one", "members/two", "posteriors/one", "posteriors/two", "ensembles/vote"]
PREDICTIONS = [
    f"predictions/{name}.csv" for name in ("development/ensembles-vote", "development/members-one", "test3/vote")
]
SCORES = ["submission", "scores.json", "RESULTS.md"]
MANIFESTS = ["data/corpus.jsonl.gz", "data/split.jsonl.gz", "data/manifest.jsonl.gz"]
RESULTS = [*MANIFESTS, *SPEECH, *WORDS, *MODELS, *PREDICTIONS, *SCORES]


def why(server: Any, folder: Path, result: str) -> tuple[int, dict[str, Any]]:
    status, shown = server.run(("why", result, "--json"), folder)
    return status, json.loads(shown)


def test_each_result_of_an_experiment_says_what_differs_and_what_runs_again(
    site: Any, server: Any, tmp_path: Path
) -> None:
    shutil.copytree(site.folder.parent, tmp_path / "moved")
    folder = tmp_path / "moved" / "site"
    for result in RESULTS:
        assert why(server, folder, result)[0] == 0, result

    words = {name: verb.words for name, verb in site.verbs.items()}
    corpus = str(site.folder.parent / "corpus")
    words["data prepare"] = tuple("../corpus" if word == corpus else word for word in words["data prepare"])
    assert server.run((*words["data prepare"], "--force"), folder)[0] == 0
    manifest = folder / MANIFESTS[2]
    changed = Manifest.read(manifest).split("train")[0].id
    (folder.parent / "corpus" / "Transcripts" / f"{changed}.txt").write_text("quite other words")
    for result in RESULTS:
        status, found = why(server, folder, result)
        assert status == 1, result
        assert found["would_run_again"][0] == {"verb": "data prepare", "out": MANIFESTS[0], "differs": True}
        assert found["would_run_again"][-1]["out"] == result

    for name in ("data prepare", "data split", "transcribe"):
        assert server.run(words[name], folder)[0] == 0
    assert why(server, folder, SPEECH[0])[0] == 0
    for result in (*WORDS, *MODELS, *PREDICTIONS, *SCORES):
        status, found = why(server, folder, result)
        assert status == 1, result
        again = found["would_run_again"]
        assert again[0] == {"verb": "extract", "out": WORDS[0], "differs": True}, result
        assert SPEECH[0] not in [each["out"] for each in again]
    store = why(server, folder, WORDS[0])[1]
    assert store["changes"] == [{"part": "utterances changed", "before": "0", "now": "1"}]

    for name in ("extract", "train", "extract posteriors", "combine", "predict", "predict test3", "submit", "score"):
        status, shown = server.run(words[name], folder)
        assert status == 0, shown
    for result in RESULTS:
        assert why(server, folder, result)[0] == 0, result
