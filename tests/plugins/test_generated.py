"""A generated plugin of every kind: installs in a fresh environment, passes its checks, is listed, and works in a recipe."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sertk.data.manifest import Manifest
from sertk.registry import REGISTRIES

pytestmark = pytest.mark.slow
BASE = "conf/base.toml"
FIRST_STAGE = {"transcriber": 2, "encoder": 3, "aggregator": 6}
"""The first stage that a component of a kind changes; 4, training, for all others."""
EDITS = {
    "fusion": (BASE, 'use     = "late"\nwidth   = 32\ninner   = 64', 'use     = "NAME"\nwidth   = 32'),
    "encoder": ("conf/members/02.toml", 'words  = "features/words"', 'NAME = "features/made_up"'),
    "sampler": (BASE, 'use = "by_length"', 'use = "NAME"'),
    "regularizer": (BASE, 'use = "modality_dropout", probability = 0.1', 'use = "NAME"'),
    "loss": (BASE, 'use = "cross_entropy", weight = 1.0, class_weight_power = 0.5', 'use = "NAME"'),
    "aggregator": ("conf/ensemble.toml", 'use = "soft_vote"', 'use = "NAME"'),
    "transcriber": ("conf/settings.sh", "transcriber=(--use corpus)", "transcriber=(--use NAME)"),
}
"""In which file of the generated recipe which words make way for the generated component."""


@pytest.fixture(scope="module")
def alone(fresh: Callable[..., Any]) -> Any:
    """An environment with sertk alone."""
    return fresh()


@pytest.fixture(scope="module")
def recipe(alone: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated recipe that has run once on the toy corpus, with sertk alone."""
    place = tmp_path_factory.mktemp("recipe")
    alone.run("sertk", "new", "recipe", "mine", cwd=place)
    settings = place / "mine" / "conf" / "settings.sh"
    settings.write_text(settings.read_text().replace("TOY_UTTERANCES:-300", "TOY_UTTERANCES:-120"))
    base = place / "mine" / BASE
    base.write_text(base.read_text().replace("epochs       = 15", "epochs       = 2"))
    alone.run("sertk", "run", "mine/run.sh", "--corpus", "toy", cwd=place)
    assert (place / "mine" / "exp" / "toy" / "RESULTS.md").is_file()
    again = alone.run("sertk", "run", "mine/run.sh", "--corpus", "toy", cwd=place)
    assert "everything is up to date" in again
    corpus = place / "mine" / "exp" / "toy" / "corpus"
    for words in (corpus / "Transcripts").glob("*.txt"):  # for the generated transcriber, which looks there
        shutil.copy(words, corpus / "Audios")
    return place / "mine"


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_generated_plugin_works(
    kind: str, alone: Any, fresh: Callable[..., Any], recipe: Path, tmp_path: Path
) -> None:
    distribution, name = f"sertk-made-up-{kind}", f"made_up_{kind}"
    alone.run("sertk", "new", "plugin", distribution, "--kind", kind, cwd=tmp_path)
    environment = fresh(tmp_path / distribution)

    assert " passed" in environment.run(
        "pytest", "-p", "no:cacheprovider", str(tmp_path / distribution), cwd=tmp_path
    )

    listed = json.loads(environment.run("sertk", "list", kind, "--json", cwd=tmp_path))
    (found,) = [each for each in listed if each["name"] == name]
    assert found["distribution"] == distribution
    assert found["summary"].endswith(".")
    assert name in environment.run("sertk", "show", name, cwd=tmp_path)

    mine = Path(shutil.copytree(recipe, tmp_path / "mine"))
    file, before, after = EDITS[kind]
    text = (mine / file).read_text()
    assert before in text
    (mine / file).write_text(text.replace(before, after.replace("NAME", name)))
    experiment = mine / "exp" / "toy"
    if kind == "encoder":
        (mine / "conf" / "encoders" / "made_up.toml").write_text(f'[encoder]\nuse = "{name}"\n')
    if kind != "aggregator":
        shutil.rmtree(experiment / "posteriors")  # of models that are trained anew: a store does not mix two
    if kind == "transcriber":
        shutil.rmtree(experiment / "features" / "words")  # features of other words are not gone on with
    stages = ("--stage", str(FIRST_STAGE.get(kind, 4)), "--stop-stage", "6")
    environment.run("sertk", "run", "mine/run.sh", "--corpus", "toy", *stages, cwd=tmp_path)

    if kind == "transcriber":
        sources = {utterance.text_source for utterance in Manifest.read(experiment / "data" / "manifest.jsonl.gz")}
        assert name in sources
        return
    card = json.loads(
        (experiment / ("ensembles/all" if kind == "aggregator" else "members/02") / "card.json").read_text()
    )
    if kind == "encoder":
        assert card["encoders"][name]["use"] == name
    else:
        assert card["versions"][distribution] == "0.1.0"
