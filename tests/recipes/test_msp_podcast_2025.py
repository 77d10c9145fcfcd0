"""The recipe itself, on a made-up corpus small enough for every test run."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
RECIPE = REPOSITORY / "recipes" / "msp_podcast_2025"
SERTK = [str(Path(sys.executable).with_name("sertk"))]
SYSTEMS = ["members-01", "members-02", "members-03", "ensembles-vote", "ensembles-soft_vote", "ensembles-soup"]

pytestmark = pytest.mark.plugins


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished run of all stages: its experiment folder and what it printed."""
    exp = tmp_path_factory.mktemp("recipe") / "exp"
    return exp, _run(exp)


def test_every_stage_runs_and_results_have_every_system_with_an_interval(done: tuple[Path, str]) -> None:
    exp, output = done
    for number, name in enumerate(
        ("prepare", "transcribe", "extract", "train", "posteriors", "meta", "soup", "predict", "score"), start=1
    ):
        assert f"stage {number} {name}" in output
        assert (exp / "logs" / f"stage-{number:02d}-{name}.log").stat().st_size
    results = (exp / "RESULTS.md").read_text()
    for system in [*SYSTEMS, "ensembles-prior_corrected", *(f"ensembles-meta-seed-{seed}" for seed in range(1, 7))]:
        row = next(line for line in results.splitlines() if line.startswith(f"| {system} "))
        assert re.search(r"0\.\d{3}.*0\.\d{3} to 0\.\d{3}|0\.\d+ \[0\.\d+, 0\.\d+\]", row), row


def test_the_submission_has_every_utterance_of_test3(done: tuple[Path, str]) -> None:
    exp, _ = done
    audio = sorted(path.name for path in (exp / "corpus" / "Audios").glob("*test3*"))
    for task in ("task1.csv", "task2.csv"):
        lines = (exp / "submission" / task).read_text().splitlines()
        assert [line.split(",")[0] for line in lines[1:]] == audio


def test_run_again_it_does_nothing_and_says_so(done: tuple[Path, str]) -> None:
    exp, _ = done
    before = _digests(exp)
    output = _run(exp, "--stage", "4", "--stop-stage", "6")
    assert "stage 4 train" in output
    assert "stage 3" not in output
    assert "stage 7" not in output
    summary = output[output.index("stage  name") :]
    assert len(re.findall(r"s  up to date\s*$", summary, flags=re.MULTILINE)) == 3, summary
    assert "Nothing to do" in summary
    assert _digests(exp) == before


@pytest.mark.slow
def test_killed_in_the_middle_of_training_it_ends_with_the_same_weights(done: tuple[Path, str]) -> None:
    exp, _ = done
    before = {name: digest for name, digest in _digests(exp).items() if name.startswith("members/")}
    for member in (exp / "members").iterdir():
        (member / "model.safetensors").unlink()
        (member / "card.json").unlink()
    command = [*SERTK, "run", str(RECIPE / "run.sh"), "--corpus", "toy", "--exp", str(exp), "--device", "cpu"]
    training = [*command, "--stage", "4", "--stop-stage", "4"]
    process = subprocess.Popen(training, env=_environment(), start_new_session=True, stdout=subprocess.DEVNULL)
    waited_until = time.monotonic() + 120
    while not any((exp / "members").glob("*/state/*/progress.json")) and time.monotonic() < waited_until:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert any((exp / "members").glob("*/state/*/progress.json"))
    time.sleep(1)  # what the killed run had started ends with it
    output = _run(exp, "--stage", "4", "--stop-stage", "4")
    assert "trained" in output
    after = _digests(exp)
    assert {name: after[name] for name in before} == before


def test_without_a_corpus_it_says_what_to_type(tmp_path: Path) -> None:
    command = [*SERTK, "run", str(RECIPE / "run.sh"), "--exp", str(tmp_path)]
    result = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "--corpus toy" in result.stdout + result.stderr


def test_without_its_plugins_the_check_names_each_missing_component_once() -> None:
    members = sorted(str(path) for path in (RECIPE / "conf" / "members").glob("*.toml"))
    environment = {**_environment(), "SERTK_PLUGINS": ""}
    result = subprocess.run(
        [*SERTK, "check", *members[:1], str(RECIPE / "conf" / "soup.toml")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    for kind, name in (
        ("fusion", "deepser"),
        ("sampler", "balanced"),
        ("regularizer", "manifold_mixup"),
        ("aggregator", "soup"),
    ):
        assert result.stderr.count(f"There is no {kind} '{name}'") == 1, result.stderr


def _run(exp: Path, *options: str) -> str:
    command = [
        *SERTK,
        "run",
        str(RECIPE / "run.sh"),
        "--corpus",
        "toy",
        "--exp",
        str(exp),
        "--device",
        "cpu",
        *options,
    ]
    result = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name != "MSP_PODCAST"}
    return {**environment, "TOY_UTTERANCES": "240", "TRAIN_JOBS": "1", "OMP_NUM_THREADS": "1"}


def _digests(exp: Path) -> dict[str, str]:
    """Content by relative path, of what is a result (logs aside)."""
    paths = [
        p for p in sorted(exp.rglob("*")) if p.is_file() and "logs" not in p.parts and not p.name.startswith(".")
    ]
    kept = [p for p in paths if p.name in {"model.safetensors", "card.json", "RESULTS.md"} or p.suffix == ".csv"]
    return {
        str(p.relative_to(exp)): hashlib.sha256(p.read_bytes()).hexdigest() for p in kept if p.name != "metadata.csv"
    }
