from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution, version
from pathlib import Path

import pytest

import sertk

PACKAGE = Path(sertk.__file__).parent
AUTHOR = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
ALONE = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, env=ALONE | AUTHOR, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with a commit, which holds a copy of sertk in the folder `packages`."""
    folder = tmp_path / "somebody's work"
    shutil.copytree(PACKAGE, folder / "packages" / "sertk", ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def install(packages: Path, editable_from: Path | None = None) -> None:
    """Note in a folder of packages that sertk is installed there, as pip does."""
    noted = packages / f"sertk-{version('sertk')}.dist-info"
    noted.mkdir(parents=True)
    (noted / "METADATA").write_text(distribution("sertk").read_text("METADATA") or "")
    if editable_from:
        noted.joinpath("direct_url.json").write_text(
            json.dumps({"dir_info": {"editable": True}, "url": editable_from.as_uri()})
        )


def made_by(packages: Path, **environment: str) -> str:
    words = [sys.executable, "-c", "from sertk.reports.made_by import made_by; print(made_by())"]
    here = ALONE | environment | {"PYTHONPATH": str(packages)}
    done = subprocess.run(words, env=here, cwd=packages, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_an_installed_sertk_never_names_the_commit_of_the_repository_around_it(repository: Path) -> None:
    install(repository / "packages")
    assert made_by(repository / "packages") == f"sertk {version('sertk')}"


def test_a_copy_within_somebodys_repository_has_no_commit_of_its_own(repository: Path) -> None:
    install(repository / "packages", editable_from=repository / "packages")
    assert made_by(repository / "packages") == f"sertk {version('sertk')}"


def test_an_editable_checkout_names_its_commit_and_whether_files_differ(repository: Path) -> None:
    install(repository / "packages", editable_from=repository)
    commit = git(repository, "rev-parse", "--short=12", "HEAD")
    assert made_by(repository / "packages") == f"sertk {version('sertk')}, commit {commit}"
    with open(repository / "packages" / "sertk" / "errors.py", "a") as file:
        file.write("\n")
    assert made_by(repository / "packages") == f"sertk {version('sertk')}, commit {commit}+"


def test_within_a_hook_of_another_repository_it_is_still_sertks_own_commit(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "other")
    install(repository / "packages", editable_from=repository)
    commit = git(repository, "rev-parse", "--short=12", "HEAD")
    assert made_by(repository / "packages", GIT_DIR=str(tmp_path / "other/.git")).endswith(f"commit {commit}")
