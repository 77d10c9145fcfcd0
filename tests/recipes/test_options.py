"""The options that a `run.sh` declares in its header: read, checked, shown, and handed over as shell variables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sertk.cli import main
from sertk.errors import RecipeError
from sertk.recipes.options import RecipeOption, parse_options, read_options, recipe_shell

HEADER = """# stage 1: one - First
# stage 2: two - Second
# option --corpus FOLDER = $MY_CORPUS: the folder of the corpus
# option --batch-size N = 8: utterances in a batch
# option --dry: only say what would be done
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A recipe that writes its variables, one per line."""
    shown = 'recipe=$(sertk recipe-shell "${BASH_SOURCE[0]}" -- "$@")\neval "$recipe"\n'
    shown += 'printf \'%s\\n\' "$stage-$stop_stage" "$corpus" "$batch_size" "${dry[*]}" "$exp"\n'
    (tmp_path / "run.sh").write_text(f"{HEADER}set -euo pipefail\n{shown}")
    (tmp_path / "db.sh").write_text("MY_CORPUS=${MY_CORPUS:-}\n")
    return tmp_path / "run.sh"


def bash(script: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, **environment}
    return subprocess.run(["bash", str(script), *words], env=env, capture_output=True, text=True, check=False)


def test_declared_options_become_variables_with_their_defaults(script: Path) -> None:
    done = bash(script, "--corpus", "a b;$HOME'")
    assert (done.stderr, done.stdout.splitlines()) == ("", ["1-2", "a b;$HOME'", "8", "", ""])
    words = ("--stage", "2", "--batch-size=16", "--dry", "--exp", "out")
    assert bash(script, *words, MY_CORPUS="of db").stdout.splitlines() == ["2-2", "of db", "16", "--dry", "out"]


def test_an_option_that_has_no_value_anywhere_is_asked_for(script: Path) -> None:
    done = bash(script)
    assert done.returncode == 2
    assert (
        done.stderr
        == "run.sh: no corpus. Give --corpus FOLDER (or set MY_CORPUS in db.sh): the folder of the corpus\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batchsize", "4"], r"unknown option --batchsize. Did you mean '--batch-size'\? Options: --stage"),
        (["corpus"], "unknown option corpus"),
        (["--batch-size"], "--batch-size needs a value: --batch-size N, utterances in a batch"),
        (["--batch-size", "--dry"], "--batch-size needs a value"),
        (["--dry=yes"], "--dry takes no value, got 'yes'"),
    ],
)
def test_what_is_typed_wrongly_is_refused(script: Path, words: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_options(read_options(script), words)
    assert bash(script, *words).returncode == 2


def test_a_stage_is_a_number(script: Path) -> None:
    with pytest.raises(RecipeError, match="--stage must be a number of a stage, got '1; rm'"):
        recipe_shell(script, ["--stage", "1; rm"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("# option batch: without dashes", "'# option batch: without dashes' declares no option: write `# option"),
        ("# option --dry: again", "--dry is declared more than once"),
        ("# option --force: of every recipe", "--force is declared more than once, or is one of every recipe"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(script: Path, line: str, message: str) -> None:
    script.write_text(f"{HEADER}{line}\n")
    with pytest.raises(RecipeError, match=message):
        read_options(script)


def test_a_recipe_lists_its_options_and_stages(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read_options(script)[1] == RecipeOption("batch-size", "N", "8", "utterances in a batch")
    assert main(["run", str(script), "--options"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["--batch-size", "N", "8", "utterances", "in", "a", "batch"] in rows
    assert ["2", "two", "Second"] in rows


def test_sertk_run_refuses_an_unknown_option_before_anything_runs(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(script), "--corpus", "toy", "--dyr"]) == 1
    assert "unknown option --dyr. Did you mean '--dry'?" in capsys.readouterr().err
    assert not (script.parent / "exp").exists()


@pytest.mark.parametrize("before", [[], ["--"]])
def test_sertk_run_hands_the_recipes_own_options_over(script: Path, before: list[str]) -> None:
    assert main(["run", str(script), "--corpus", "toy", "--stop-stage", "1", *before, "--batch-size", "32"]) == 0
    log = (script.parent / "exp/toy/logs/stage-01-one.log").read_text().splitlines()
    assert log[1:] == ["1-1", "toy", "32", "", "exp/toy"]
