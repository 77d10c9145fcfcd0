"""The recipe that `sertk new recipe` writes: what one stage writes the next one reads, on any corpus that has what it asks for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sertk_corpora.emodb import EMODB, SENTENCES, SPEAKERS

from sertk.templates.write import write_recipe

NOT_MINE = "import sys; from sertk.cli import main; sys.exit(main(sys.argv[1:]))"


def sertk(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOY_UTTERANCES": "120"}
    command = [sys.executable, "-c", NOT_MINE, *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A generated recipe that trains for one epoch."""
    folder = write_recipe("mine", tmp_path)
    base = folder / "conf" / "base.toml"
    base.write_text(base.read_text().replace("epochs       = 15", "epochs       = 1"))
    return folder


@pytest.fixture(scope="module")
def emodb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up EMO-DB, which has no attributes and no split `development`: two sentences in all emotions by all speakers."""
    folder = tmp_path_factory.mktemp("emodb")
    (folder / "wav").mkdir()
    random = np.random.default_rng(1)
    for speaker in SPEAKERS:
        for sentence in list(SENTENCES)[:2]:
            for letter in EMODB.letters:
                noise = 0.1 * random.standard_normal(8_000)
                soundfile.write(folder / "wav" / f"{speaker}{sentence}{letter}a.wav", noise, 16_000)
    return folder


def on_emodb(recipe: Path) -> None:
    settings = recipe / "conf" / "settings.sh"
    settings.write_text(settings.read_text().replace("reader=(msp_podcast)", "reader=(emodb --allow-partial)"))


@pytest.mark.plugins
def test_a_corpus_that_lacks_what_the_recipe_asks_for_is_refused_before_any_long_work(
    recipe: Path, emodb: Path
) -> None:
    on_emodb(recipe)
    done = sertk("run", recipe / "run.sh", "--corpus", emodb, cwd=recipe)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "split development  no utterance is in split 'development'" in said
    assert "Splits: held_out, test, train." in said
    for member in ("01", "02"):
        assert f"conf/members/{member}.toml: 3 faults" in said
    assert "head.attributes  the corpus has no attribute 'arousal'. It has none: attributes = []." in said
    assert "stage 1 prepare failed" in said
    exp = recipe / "exp" / "paper"
    assert {path.name for path in exp.iterdir()} <= {"data", "logs", ".lock"}


@pytest.mark.slow
def test_once_the_recipe_asks_for_what_there_is_all_stages_run_and_the_report_has_every_system(
    recipe: Path, emodb: Path
) -> None:
    on_emodb(recipe)
    for name, before, after in (
        ("settings.sh", "scored_split=development", "scored_split=test"),
        ("base.toml", 'attributes = ["arousal", "valence", "dominance"]', "attributes = []"),
    ):
        path = recipe / "conf" / name
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))
    done = sertk("run", recipe / "run.sh", "--corpus", emodb, cwd=recipe)
    assert done.returncode == 0, done.stdout + done.stderr
    check_results(recipe / "exp" / "paper", "test")


@pytest.mark.slow
def test_on_the_made_up_corpus_what_each_stage_writes_the_next_one_reads(recipe: Path) -> None:
    done = sertk("run", recipe / "run.sh", "--corpus", "toy", cwd=recipe)
    assert done.returncode == 0, done.stdout + done.stderr
    exp = recipe / "exp" / "toy"
    check_results(exp, "development")
    again = sertk("run", recipe / "run.sh", "--corpus", "toy", cwd=recipe)
    assert "Nothing to do: everything is up to date." in again.stdout
    for words in (
        ("report", exp, "--output", exp / "again.html"),
        ("predict", "members/01", "ensembles/all", "--manifest", "data/manifest.jsonl.gz", "--split", "development",
         "--into", "predictions"),
        ("report", ".", "--output", "flat.html"),
    ):  # fmt: skip
        done = sertk(*words, cwd=exp)
        assert done.returncode == 0, done.stderr
    assert "ensembles-all" in (exp / "flat.html").read_text()


def check_results(exp: Path, split: str) -> None:
    for page in ("RESULTS.md", "report.html"):
        text = (exp / page).read_text()
        assert all(system in text for system in ("members-01", "members-02", "ensembles-all")), page
    assert (exp / "predictions" / split / "ensembles-all.csv").is_file()
