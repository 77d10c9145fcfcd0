"""`sertk run` on a small recipe: order, range, logs, failures, idle stages, one run at a time, signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sertk.cli import main
from sertk.errors import RecipeError
from sertk.recipes.stages import choose_stages, read_stages

SCRIPT = r"""#!/usr/bin/env bash
# A small recipe.
# stage 2: train - Train it
# stage 1: prepare - Read the corpus
# stage 3: score
# option --corpus FOLDER: or toy
# option --device NAME = auto: where to compute
set -euo pipefail
recipe=$(sertk recipe-shell "${BASH_SOURCE[0]}" -- "$@")
eval "$recipe"
if want 1; then
  [ -z "${force[*]}" ] || echo "forced ${force[*]}"
  if [ -e "$exp/corpus" ]; then echo "up to date  $exp/corpus"; else echo "$corpus" | tee "$exp/corpus"; fi
fi
if want 2; then
  if [ -e mend_me ]; then echo "reading"; echo "it broke" >&2; exit 3; fi
  if [ -e wait_here ]; then echo "waiting"; sleep 60 & echo $! > sleeper; wait; fi
  echo "up to date  $exp/model"; echo; echo "up to date  $exp/log"
fi
if want 3; then command -v sertk python; fi
"""

Run = Callable[..., int]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "recipe"
    folder.mkdir()
    (folder / "run.sh").write_text(SCRIPT, encoding="utf-8")
    return folder


@pytest.fixture
def run(recipe: Path) -> Run:
    def runner(*words: str) -> int:
        return main(["run", str(recipe / "run.sh"), *words])

    return runner


def started(recipe: Path, *words: str) -> subprocess.Popen[str]:
    """A run in a process of its own that has come to the sleep of stage 2."""
    (recipe / "wait_here").touch()
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # ignored in background jobs
    code = f"import sys; from sertk.cli import main; sys.exit(main(['run', {str(recipe)!r}, *{words!r}]))"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{heard}; {code}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: (recipe / "sleeper").is_file() and (recipe / "sleeper").read_text().strip() != "")
    return process


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_alive(recipe: Path) -> bool:
    """Whether the sleep of stage 2 is still there, as more than an entry that nobody has waited for."""
    stat = Path("/proc") / (recipe / "sleeper").read_text().strip() / "stat"
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_stages_run_by_number_each_with_its_log(recipe: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--corpus", "toy") == 0
    said = capsys.readouterr().out
    order = [
        said.index(f"stage {title}") for title in ("1 prepare: Read the corpus", "2 train: Train it", "3 score\n")
    ]
    assert order == sorted(order)
    logs = recipe / "exp/toy/logs"
    assert sorted(log.name for log in logs.iterdir()) == [
        "stage-01-prepare.log",
        "stage-02-train.log",
        "stage-03-score.log",
    ]
    header, line = (logs / "stage-01-prepare.log").read_text().splitlines()
    assert header.endswith("  bash run.sh --stage 1 --stop-stage 1 --exp exp/toy --corpus toy")
    assert line == "toy"


def test_stage_and_stop_stage_choose_a_range(recipe: Path, run: Run) -> None:
    assert run("--corpus", "toy", "--stage", "2", "--stop-stage", "2") == 0
    assert [log.name for log in (recipe / "exp/toy/logs").iterdir()] == ["stage-02-train.log"]


def test_a_stage_that_says_only_up_to_date_is_told_from_one_that_worked(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--corpus", "toy", "--stop-stage", "2")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["1", "prepare"] in [row[:2] for row in rows if row[-1:] == ["done"]]
    assert ["2", "train"] in [row[:2] for row in rows if row[-3:] == ["up", "to", "date"]]
    run("--corpus", "toy", "--stop-stage", "2")
    assert "Nothing to do: everything is up to date." in capsys.readouterr().out


def test_a_failure_names_the_stage_its_last_lines_and_how_to_go_on(
    recipe: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (recipe / "mend_me").touch()
    assert run("--corpus", "toy", "--stop-stage", "3", "--device", "cpu") == 1
    said = capsys.readouterr().err
    assert said.startswith("error stage 2 train failed (exit status 3, after ")
    assert "stage-02-train.log:\n    reading\n    it broke\n" in said
    again = f"sertk run {recipe / 'run.sh'} --stage 2 --stop-stage 3 --corpus toy --device cpu"
    assert said.splitlines()[-1].strip() == again
    (recipe / "mend_me").unlink()
    assert main(again.split()[1:]) == 0


def test_without_a_corpus_the_script_says_what_to_type(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 1
    assert "no corpus. Give --corpus FOLDER: or toy" in capsys.readouterr().err


def test_a_corpus_that_is_not_there_is_refused_before_anything_runs(
    recipe: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--corpus", "no/such/folder") == 1
    assert "there is no folder no/such/folder" in capsys.readouterr().err
    assert not (recipe / "exp").exists()


def test_a_corpus_folder_and_an_exp_folder_are_taken_from_where_one_stands(
    recipe: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "corpus").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run("--corpus", "corpus", "--exp", "mine", "--stop-stage", "1") == 0
    assert (tmp_path / "mine" / "corpus").read_text().strip() == str(tmp_path / "corpus")
    assert not (recipe / "exp").exists()


def test_force_is_passed_on(recipe: Path, run: Run) -> None:
    assert run("--corpus", "toy", "--stop-stage", "1", "--force") == 0
    assert "forced --force" in (recipe / "exp/toy/logs/stage-01-prepare.log").read_text()


def test_the_running_environment_is_found_first(recipe: Path, run: Run) -> None:
    assert run("--corpus", "toy", "--stage", "3") == 0
    found = (recipe / "exp/toy/logs/stage-03-score.log").read_text().splitlines()[1:]
    assert found == [str(Path(sys.executable).parent / "sertk"), str(Path(sys.executable).parent / "python")]


def test_a_second_run_on_the_same_folder_is_refused(
    recipe: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    first = started(recipe, "--corpus", "toy")
    try:
        assert run("--corpus", "toy") == 1
        assert f"(process {first.pid} on " in capsys.readouterr().err
        assert run("--corpus", "toy", "--exp", str(recipe / "other"), "--stop-stage", "1") == 0
    finally:
        first.terminate()
        first.communicate()
    wait_until(lambda: not is_alive(recipe))
    assert run("--corpus", "toy", "--stop-stage", "1") == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_signals_reach_what_the_stage_has_started(recipe: Path, number: signal.Signals, status: int) -> None:
    process = started(recipe, "--corpus", "toy")
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == status
    wait_until(lambda: not is_alive(recipe))
    if number == signal.SIGINT:
        assert "error interrupted in stage 2 train. Continue with:\n    sertk run" in said


def test_nothing_of_a_stage_outlives_a_runner_that_is_killed(recipe: Path, run: Run) -> None:
    process = started(recipe, "--corpus", "toy")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    wait_until(lambda: not is_alive(recipe))
    assert run("--corpus", "toy", "--stop-stage", "1") == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("echo hello\n", "declares no stages: write lines like"),
        ("# stage 1: a\n# stage 1: b\n", "declares stage 1 more than once"),
    ],
)
def test_a_script_without_clear_stages_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run.sh").write_text(text)
    with pytest.raises(RecipeError, match=message):
        read_stages(tmp_path / "run.sh")


def test_a_range_without_stages_names_those_there_are(recipe: Path) -> None:
    stages = read_stages(recipe / "run.sh")
    with pytest.raises(RecipeError, match=r"no stage from 7 on\. The recipe has: 1 prepare, 2 train, 3 score\."):
        choose_stages(stages, 7, None)


def test_a_recipe_names_its_own_folder_of_results(recipe: Path, run: Run, tmp_path: Path) -> None:
    (recipe / "run.sh").write_text(SCRIPT.replace("# A small recipe.", "# results ."), encoding="utf-8")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    assert run("--corpus", str(corpus), "--stage", "1", "--stop-stage", "1") == 0
    assert (recipe / "corpus").read_text() == f"{corpus}\n"
    assert (recipe / "logs" / "stage-01-prepare.log").is_file()
    assert run("--corpus", str(corpus), "--stop-stage", "1", "--exp", str(tmp_path / "other")) == 0
    assert (tmp_path / "other" / "corpus").is_file()
