"""`slurm` of cmd.sh against an `sbatch` that checks its options and runs the job, as `sbatch --wait` would."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

CMD = Path(__file__).parents[2] / "recipes" / "msp_podcast_2025" / "cmd.sh"
SBATCH = """#!/usr/bin/env bash
printf '%s\\n' "$@" > "$RECORD"
for word in "$@"; do case $word in
  --wrap=*) script=${word#--wrap=} ;; --chdir=*) folder=${word#--chdir=} ;; --output=*) log=${word#--output=} ;;
esac; done
cd "$folder" && bash -c "$script" > "${log//%j/7}" 2>&1
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    fake = tmp_path / "bin" / "sbatch"
    fake.parent.mkdir()
    fake.write_text(SBATCH)
    fake.chmod(0o755)
    return {**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}", "RECORD": str(tmp_path / "options")}


def slurm(line: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    script = f'set -euo pipefail\n. "{CMD}"\n{line}'
    return subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)


def test_a_job_runs_the_words_as_they_were_given_where_they_were_given(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    done = slurm("""slurm printf '%s|' "a b" '$HOME' "it's" """, tmp_path, environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "slurm-7.log").read_text() == "a b|$HOME|it's|"
    options = (tmp_path / "options").read_text().splitlines()
    assert options[0] == "--wait"
    assert "--gres=gpu:1" in options
    assert f"--chdir={tmp_path}" in options


def test_options_of_the_user_take_the_place_of_ours(tmp_path: Path, environment: dict[str, str]) -> None:
    given = {**environment, "SLURM_OPTIONS": "--partition=big --gres=gpu:8", "SLURM_LOG": "here.log"}
    slurm("slurm echo done", tmp_path, given)
    options = (tmp_path / "options").read_text().splitlines()
    assert "--partition=big" in options
    assert "--gres=gpu:1" not in options
    assert (tmp_path / "here.log").read_text() == "done\n"


def test_the_status_of_the_job_is_given_on(tmp_path: Path, environment: dict[str, str]) -> None:
    assert slurm("slurm bash -c 'exit 3'", tmp_path, environment).returncode == 3
