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
TOY, MSP_PODCAST = (Path(__file__).parents[2] / "plugins" / name for name in ("sertk-toy", "sertk-msp-podcast"))
"""They write and read the corpus of a generated recipe."""
EDITS = {
    "fusion": (BASE, 'use     = "late"\nwidth   = 32\nffn_dim = 64', 'use     = "NAME"\nwidth   = 32'),
    "encoder": ("conf/members/02.toml", 'words  = "features/words"', 'NAME = "features/made_up"'),
    "sampler": (BASE, 'use = "by_length"', 'use = "NAME"'),
    "regularizer": (BASE, 'use = "modality_dropout", probability = 0.1', 'use = "NAME"'),
    "loss": (BASE, 'use = "cross_entropy", weight = 1.0, class_weight_power = 0.5', 'use = "NAME"'),
    "optimizer": (BASE, 'use = "adamw", lr = 3e-3', 'use = "NAME"'),
    "aggregator": ("conf/ensemble.toml", 'use = "soft_vote"', 'use = "NAME"'),
    "transcriber": ("conf/settings.sh", "transcriber=(--use corpus)", "transcriber=(--use NAME)"),
}
"""In which file of the generated recipe which words make way for the generated component."""


def distribution(kind: str) -> str:
    return f"sertk-made-up-{kind}"


def component(kind: str) -> str:
    return f"made_up_{kind}"


@pytest.fixture(scope="module")
def alone(fresh: Callable[..., Any]) -> Any:
    """An environment with sertk alone."""
    return fresh()


@pytest.fixture(scope="module")
def generated(
    alone: Any, wheels: Callable[..., list[Path]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The folder of a generated plugin of each kind."""
    place = tmp_path_factory.mktemp("plugins")
    for kind in REGISTRIES:
        alone.run("sertk", "new", "plugin", distribution(kind), "--kind", kind, cwd=place)
    folders = {kind: place / distribution(kind) for kind in REGISTRIES}
    wheels(*folders.values())
    return folders


@pytest.fixture(scope="module")
def used(fresh: Callable[..., Any], generated: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The experiment of a generated recipe in which a generated component of each kind does its work."""
    place = tmp_path_factory.mktemp("recipe")
    everything = fresh(*generated.values(), TOY, MSP_PODCAST)
    everything.run("sertk", "new", "recipe", "mine", cwd=place)
    edits = [
        *EDITS.values(),
        ("conf/settings.sh", "TOY_UTTERANCES:-300", "TOY_UTTERANCES:-120"),
        (BASE, "epochs       = 15", "epochs       = 2"),
    ]
    for kind, (file, before, after) in zip([*EDITS, "", ""], edits, strict=True):
        text = (place / "mine" / file).read_text()
        assert before in text, f"{file} of the generated recipe has no longer: {before}"
        (place / "mine" / file).write_text(text.replace(before, after.replace("NAME", component(kind))))
    encoder = place / "mine" / "conf" / "encoders" / "made_up.toml"
    encoder.write_text(f'[encoder]\nuse = "{component("encoder")}"\n')
    run = ("sertk", "run", "mine/run.sh", "--corpus", "toy")
    everything.run(*run, "--stop-stage", "1", cwd=place)
    corpus = place / "mine" / "exp" / "toy" / "corpus"
    for words in (corpus / "Transcripts").glob("*.txt"):  # for the generated transcriber, which looks there
        shutil.copy(words, corpus / "Audios")
    everything.run(*run, "--stage", "2", cwd=place)
    return place / "mine" / "exp" / "toy"


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_generated_plugin_installs_alone_and_passes_its_checks(
    kind: str, fresh: Callable[..., Any], generated: dict[str, Path], tmp_path: Path
) -> None:
    environment = fresh(generated[kind])

    assert " passed" in environment.run("pytest", "-p", "no:cacheprovider", str(generated[kind]), cwd=tmp_path)

    listed = json.loads(environment.run("sertk", "list", kind, "--json", cwd=tmp_path))
    (found,) = [each for each in listed if each["name"] == component(kind)]
    assert found["distribution"] == distribution(kind)
    assert found["summary"].endswith(".")
    assert component(kind) in environment.run("sertk", "show", component(kind), cwd=tmp_path)


def test_a_generated_reader_reads_its_example(
    fresh: Callable[..., Any], generated: dict[str, Path], tmp_path: Path
) -> None:
    environment = fresh(generated["corpus"])
    code = "from pathlib import Path; from sertk_made_up_corpus import write_example; write_example(Path('copy'))"
    environment.run("python", "-c", code, cwd=tmp_path)
    environment.run("sertk", "data", "prepare", component("corpus"), "copy", "--out", "corpus.jsonl", cwd=tmp_path)
    assert [one.emotion for one in Manifest.read(tmp_path / "corpus.jsonl")] == ["Angry", "Happy", "Neutral", "Sad"]


@pytest.mark.parametrize("kind", [kind for kind in REGISTRIES if kind not in ("corpus", "segmenter")])
def test_a_generated_plugin_works_in_a_recipe(kind: str, used: Path) -> None:
    if kind == "transcriber":
        sources = {utterance.text_source for utterance in Manifest.read(used / "data" / "manifest.jsonl.gz")}
        assert component(kind) in sources
        return
    card = json.loads((used / ("ensembles/all" if kind == "aggregator" else "members/02") / "card.json").read_text())
    if kind == "encoder":
        assert card["encoders"][component(kind)]["use"] == component(kind)
    else:
        assert card["versions"][distribution(kind)] == "0.1.0"
