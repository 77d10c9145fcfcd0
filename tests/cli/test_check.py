"""`sertk check`: faults of all files, what they resolve to, and where two differ."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from sertk.cli import main

GOOD = """
[data]
manifest = "m"
[features]
speech = "s"
[fusion]
use = "concat"
[[stage]]
name = "full"
epochs = 5
"""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.toml"
    path.write_text(GOOD)
    return path


def test_a_good_file_is_ok(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(good)]) == 0
    assert capsys.readouterr().out == f"ok  {good}\n"


def test_every_file_has_its_faults_told(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(GOOD.replace("epochs = 5", "epochs = 0").replace('"concat"', '"concatt"'))
    assert main(["check", str(bad), str(tmp_path / "none.toml"), str(good)]) == 1
    said = capsys.readouterr().err
    assert (
        f"error {bad}: 2 faults\n  stage.full.epochs  should be at least 1, got 0.\n  fusion             There"
        in said
    )
    assert "none.toml: 1 fault" in said


def test_resolved_is_toml_with_every_default(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--resolved", "--set", "seed=5", str(good)]) == 0
    resolved = tomllib.loads(capsys.readouterr().out)
    assert resolved["seed"] == 5
    assert resolved["stage"][0]["optimizer"]["lr"] == 1e-5
    assert resolved["fusion"]["pooling"] == "mean"


def test_diff_names_what_differs_alone(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.toml"
    other.write_text('extends = "good.toml"\nseed = 3\n')
    assert main(["check", "--diff", str(good), str(other)]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [["seed", "1", "3"]]
