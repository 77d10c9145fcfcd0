"""What the pages say is so: commands and options exist, code runs, configurations pass, links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tomli_w
from sertk_lab.ablation.config import load_ablations

from sertk.recipes.options import read_options
from sertk.recipes.run import script_of
from sertk.registry import REGISTRIES, corpora, models

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("plugins/*/README.md")),
    *sorted(ROOT.glob("recipes/*/README.md")),
]
MODEL = Path("recipes/msp_podcast_2025/exp/toy/ensembles/soup")
"""The model that the pages predict with."""
FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.M | re.S)
OURS = re.compile(r"`((?:docs|benchmarks|recipes|plugins|sertk|tests)/[\w./-]+\.(?:md|py|toml|sh))`")


@dataclass(frozen=True)
class Block:
    """A fenced block of code. title: the file that it is to become."""

    language: str
    title: str
    text: str


def blocks(page: Path, *languages: str) -> list[Block]:
    found = []
    for language, rest, text in FENCE.findall(page.read_text()):
        title = re.search(r'title="([^"]+)"', rest)
        if not languages or language in languages:
            found.append(Block(language, title[1] if title else "", text))
    return found


def commands(page: Path) -> Iterator[list[str]]:
    """Each call of sertk: lines of code that have one, and words in backticks that begin with it."""
    for block in blocks(page, "", "bash", "sh", "text", "console"):
        for line in block.text.replace("\\\n", " ").splitlines():
            for called in re.findall(r"(?:^|[\s;&|(])(sertk [^;&|]+)", line.split(" #")[0]):
                yield words_of(called)
    for span in re.findall(r"`(sertk [^`]+)`", FENCE.sub("", page.read_text())):
        yield words_of(" ".join(span.split()))


def words_of(line: str) -> list[str]:
    try:
        return shlex.split(line)[1:]
    except ValueError:  # an apostrophe in words about it
        return line.split()[1:]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.plugins if name(page).startswith("plugins/") else ()) for page in PAGES],
    ids=name,
)


@pytest.mark.plugins
@every_page
def test_every_verb_and_option_exists(page: Path, generate: ModuleType) -> None:
    for words in commands(page):
        known = generate.commands(words)
        if words[0].startswith("-") or words[0] == "VERB":
            continue
        ours = words[: words.index("--")] if "--" in words else words
        verb = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
        under = [one for one in known if one.split()[0] == verb]
        assert verb in known or (len(words) == 1 and under), f"there is no verb in: sertk {' '.join(words)}"
        taken = (
            {word for option in generate.options(known[verb]) for word in option.words} if verb in known else set()
        )
        if verb == "run" and len(words) > 1 and (ROOT / words[1]).exists():
            taken |= {f"--{option.name}" for option in read_options(script_of(ROOT / words[1]))}
        given = {word.split("=")[0] for word in ours if word.startswith("--")}
        assert given <= taken | {"--help", "--debug"}, f"sertk {' '.join(words)}"
    every = [command for name in corpora.names() for command in generate.commands(["prepare", name]).values()]
    anywhere = {word for command in every for option in generate.options(command) for word in option.words}
    recipes = " ".join(script.read_text() for script in ROOT.glob("recipes/*/run.sh"))
    for word in re.findall(r"`(--[a-z][a-z-]*)[^`]*`", FENCE.sub("", page.read_text())):
        assert word in anywhere | {"--help", "--debug", "--version"} or word in recipes, f"nothing has {word}"


@every_page
def test_every_piece_of_python_runs(
    page: Path, request: pytest.FixtureRequest, workplace: Callable[[], Path]
) -> None:
    pieces = blocks(page, "python")
    if not pieces:
        return
    monkeypatch = request.getfixturevalue("monkeypatch")
    monkeypatch.chdir(workplace())
    namespace: dict[str, Any] = {"__name__": "page"}
    for piece in pieces:
        exec(compile(piece.text, name(page), "exec", dont_inherit=True), namespace)
    for test in [one for key, one in namespace.items() if key.startswith("test_")]:
        (mark,) = test.pytestmark
        for case in mark.args[1]:
            test(*getattr(case, "values", (case,)))


@every_page
def test_every_configuration_passes(page: Path, tmp_path: Path) -> None:
    from sertk.config.files import load_any

    text = page.read_text()
    for number, block in enumerate(blocks(page, "toml")):
        data = tomllib.loads(block.text)
        if "project" in data:
            assert set(data["project"].get("entry-points", {})) <= {
                "sertk_" + r.namespace[-1] for r in (*REGISTRIES.values(), models)
            }
            continue
        used = [str(data[key].get("use")) for key in ("fusion", "encoder") if key in data]
        if any(f"def {name}(" in text or f"class {name.title()}(" in text for name in used):
            data["fusion"] = {"use": "concat"}  # the page's own component, which is not installed here
        path = tmp_path / f"{number}.toml"
        if "arm" in data:
            path.write_text(block.text, encoding="utf-8")
            load_ablations(path)
            continue
        path.write_bytes(tomli_w.dumps(_completed(data)).encode())
        load_any(path)


def _completed(data: dict[str, Any]) -> dict[str, Any]:
    """A part of a file with what it leaves to the rest."""
    data.pop("extends", None)
    if "encoder" in data:
        return data
    place = {"data": {"manifest": "manifest.jsonl.gz"}}
    if "aggregator" in data:
        return place | data
    data["data"] = place["data"] | data.get("data", {})
    stages = data.get("stage", [])
    left = [{"name": f"stage-{n}"} | ({} if "solver" in one else {"epochs": 1}) for n, one in enumerate(stages)]
    data["stage"] = [given | one for given, one in zip(left, stages, strict=True)]
    return {"features": {"speech": "features/speech"}, "fusion": {"use": "concat"}} | data


@every_page
def test_every_piece_of_json_is_read(page: Path, tmp_path: Path) -> None:
    from sertk.data.manifest import Manifest

    for block in blocks(page, "json", "jsonl"):
        if block.text.startswith('{"sertk_manifest"'):
            (tmp_path / "manifest.jsonl").write_text(block.text)
            assert len(Manifest.read(tmp_path / "manifest.jsonl"))
        else:
            json.loads(block.text)


@every_page
def test_no_link_is_dead(page: Path, generate: ModuleType) -> None:
    text = FENCE.sub("", page.read_text())
    made = {(ROOT / "docs" / place).resolve() for place in generate.PAGES}
    for words, target in re.findall(r"\[([^\]]*)\]\(([^)\s]+)\)", text):
        assert words.strip(), f"{target} has no words"
        if not re.match(r"https?:|mailto:|#", target):
            path = (page.parent / target.partition("#")[0]).resolve()
            assert path.exists() or path in made, f"{words}: {target}"
    for place in (one for one in OURS.findall(text) if "/exp/" not in one):  # which running the recipe makes
        assert (ROOT / place).exists() or (page.parent / place).exists(), place


@pytest.fixture
def workplace(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], Path]:
    """Makes a folder with what the pages speak of: the recipes, a trained model, recordings with their words."""

    def make() -> Path:
        corpus: Path = request.getfixturevalue("toy_corpus")
        shutil.copytree(ROOT / "recipes", tmp_path / "recipes", ignore=shutil.ignore_patterns("exp"))
        shutil.copytree(request.getfixturevalue("trained"), tmp_path / MODEL)
        audio = sorted((corpus / "Audios").glob("*.wav"))[:3]
        (tmp_path / "folder").mkdir()
        for path in audio[1:]:
            shutil.copy(path, tmp_path / "folder")
            (tmp_path / "folder" / f"{path.stem}.txt").write_text("made up words")
        shutil.copy(audio[0], tmp_path / "recording.wav")
        return tmp_path

    return make


def follow(page: Path, place: Path, environment: dict[str, str]) -> str:
    """Do what a page says, block by block: write files that have a title, run the rest. Gives what was printed."""
    said = ""
    for block in blocks(page, "bash", "python", "toml", "json"):
        if block.title:
            (place / block.title).write_text(block.text)
            continue
        if block.language not in ("bash", "python"):
            continue
        program = ["bash", "-euo", "pipefail", "-c"] if block.language == "bash" else ["python", "-c"]
        done = subprocess.run(
            [*program, block.text], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block.text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        said += done.stdout
    return said


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Variables for programs of an environment."""
    path = os.pathsep.join([str(folder), "/usr/local/bin", "/usr/bin", "/bin"])
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHON", "MSP_"))}
    return {**kept, "PATH": path, "OMP_NUM_THREADS": "1", "TOY_UTTERANCES": "240", **more}


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", ["start/first_run", "start/first_prediction", "start/first_recipe", "howto/my_corpus"]
)
def test_a_page_can_be_followed(page: str, workplace: Callable[[], Path]) -> None:
    place = workplace()
    if page == "start/first_run":
        shutil.rmtree(place / MODEL.parents[2])
    here = environment(Path(sys.executable).parent)
    said = follow(ROOT / "docs" / f"{page}.md", place, here)
    if page == "start/first_run":
        assert (place / MODEL.parents[1] / "RESULTS.md").is_file()
    if page == "start/first_prediction":
        assert len((place / "predictions.csv").read_text().splitlines()) == 3
    if page == "start/first_recipe":
        assert (place / "my_recipe" / "exp" / "toy" / "RESULTS.md").is_file()
    if page == "howto/my_corpus":
        assert "held_out" in said


@pytest.mark.slow
def test_the_page_about_plugins_can_be_followed_in_a_fresh_environment(
    fresh: Callable[..., Any], tmp_path: Path
) -> None:
    needed = ("sertk-toy", "sertk-msp-podcast")  # which write and read the corpus of a recipe
    made = fresh(*(ROOT / "plugins" / name for name in needed))
    programs = made.folder / "bin"
    for program in ("pip", "pytest"):  # what a virtual environment has, and this one shares
        (programs / program).write_text(f'#!/bin/sh\nexec "{programs}/python" -m {program} "$@"\n')
        (programs / program).chmod(0o755)
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    here = environment(
        programs, SERTK_PLUGINS=",".join(("sertk-attentive", *needed)), VIRTUAL_ENV=str(made.folder), **offline
    )

    said = follow(ROOT / "docs" / "start" / "first_plugin.md", tmp_path, here)

    assert said.count(" passed") == 2
    assert "Weights the frames of each modality by learnt attention" in said
    card = json.loads((tmp_path / "mine" / "exp" / "toy" / "members" / "02" / "card.json").read_text())
    assert card["versions"]["sertk-attentive"] == "0.1.0"
    assert "| 02 " in (tmp_path / "mine" / "exp" / "toy" / "RESULTS.md").read_text().replace("members-", "")
