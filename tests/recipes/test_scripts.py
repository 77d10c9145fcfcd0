"""What every `run.sh` does with its options before its first stage: those of the recipes here and of `sertk new recipe`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sertk.templates.write import write_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
NAMES = [*sorted(script.parent.name for script in RECIPES.glob("*/run.sh")), "new"]


@pytest.fixture(params=NAMES)
def script(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = RECIPES / request.param if request.param != "new" else write_recipe("new", tmp_path)
    return folder / "run.sh"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The caller's folder: it has a file of the caller's and nothing else."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "notes").write_text("mine")
    return folder


def bash(script: Path, *words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["bash", str(script), *words],
        cwd=cwd,
        env={**os.environ, "PATH": path, "EMODB": ".", **environment},  # which `ready` needs beside --corpus
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_experiment_folder_that_cannot_be_made_ends_the_script(script: Path, here: Path) -> None:
    done = bash(script, "--corpus", ".", "--exp", "notes/exp", cwd=here)
    assert done.returncode == 1
    assert "run.sh: the folder notes/exp cannot be made or entered" in done.stderr
    assert "Not a directory" in done.stderr
    assert [path.name for path in here.iterdir()] == ["notes"]
    assert (here / "notes").read_text() == "mine"


def test_the_experiment_folder_is_the_one_named_whatever_cdpath_has(script: Path, here: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "exp").mkdir(parents=True)
    none = ("--stage", "99", "--stop-stage", "99")  # no stage at all
    done = bash(script, "--corpus", ".", "--exp", "exp", *none, cwd=here, CDPATH=str(tmp_path / "elsewhere"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (here / "exp").is_dir()
    assert list((tmp_path / "elsewhere" / "exp").iterdir()) == []


def test_an_unknown_option_ends_the_script_though_nobody_reads_what_it_says(script: Path, here: Path) -> None:
    done = bash(script, "--corpsu", "toy", cwd=here)
    assert done.returncode == 2
    assert "unknown option --corpsu. Did you mean '--corpus'? Options: --stage --stop-stage" in done.stderr
    closed = ["bash", "-c", 'exec 2>&-; timeout 20 bash "$@"', "bash", str(script), "--corpsu", "toy"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    assert subprocess.run(closed, cwd=here, env={**os.environ, "PATH": path}).returncode in (1, 2)
    assert [path.name for path in here.iterdir()] == ["notes"]


def test_an_option_without_its_value_ends_the_script(script: Path, here: Path) -> None:
    done = bash(script, "--corpus", ".", "--exp", cwd=here)
    assert done.returncode == 2
    assert "--exp needs a value: --exp DIR, the folder of the results" in done.stderr
    assert [path.name for path in here.iterdir()] == ["notes"]


def test_what_the_scripts_share_is_in_one_place(script: Path) -> None:
    text = script.read_text()
    assert 'recipe=$(sertk recipe-shell "${BASH_SOURCE[0]}" -- "$@")\neval "$recipe"\n' in text
    assert not [word for word in ("while [ $#", "want()", "enter()", "OMP_NUM_THREADS") if word in text]
