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


BASE = """
[data]
manifest = "m"
[fusion]
use = "late"
width = 8
[[stage]]
name = "full"
epochs = 5
regularizers = [{ use = "spec_augment" }]
"""
MEMBER = 'extends = "../base.toml"\n[features]\nspeech = "s"\n'


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A folder as recipes have it: base.toml, which lacks what members/01.toml and 02.toml have."""
    folder = tmp_path / "conf"
    (folder / "members").mkdir(parents=True)
    (folder / "base.toml").write_text(BASE)
    for name in ("01", "02"):
        (folder / "members" / f"{name}.toml").write_text(MEMBER)
    return folder


def test_a_base_is_told_from_a_file_that_lacks_something(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = conf / "base.toml"
    assert main(["check", str(base)]) == 0
    assert capsys.readouterr().out == f"ok  {base}  (a base of 2)\n"
    for name in ("01", "02"):
        (conf / "members" / f"{name}.toml").unlink()
    assert main(["check", str(base)]) == 1
    assert "features  is missing." in capsys.readouterr().err


def test_a_base_that_files_elsewhere_extend_is_told_when_they_are_named(
    conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = conf.rename(tmp_path / "shared") / "base.toml"
    (tmp_path / "mine").mkdir()
    member = (elsewhere.parent / "members" / "01.toml").rename(tmp_path / "mine" / "01.toml")
    member.write_text(MEMBER.replace("../base.toml", "../shared/base.toml"))
    (elsewhere.parent / "members" / "02.toml").unlink()
    assert main(["check", str(elsewhere)]) == 1
    assert main(["check", str(elsewhere), str(member)]) == 0
    assert capsys.readouterr().out == f"ok  {elsewhere}  (a base of 1)\nok  {member}\n"


def test_the_faults_of_a_base_are_told_where_they_are(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = conf / "base.toml"
    base.write_text(BASE.replace("width = 8", 'width = "8"\nlayrs = 1').replace("epochs = 5", "epochs = 0"))
    assert main(["check", str(base)]) == 1
    said = capsys.readouterr().err
    assert f"error {base}: 3 faults" in said
    for place in ("fusion.width", "fusion.layrs", "stage.full.epochs"):
        assert f"\n  {place} " in said


def test_a_verb_that_is_given_a_base_names_the_files_to_give(
    conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(conf / "base.toml"), "--out", str(tmp_path / "model")]) == 1
    said = capsys.readouterr().err
    assert "features  is missing." in said
    assert f"is a base that {conf}/members/01.toml and 1 more extend: name the files that extend it." in said


@pytest.mark.plugins
def test_all_files_of_all_recipes_pass(capsys: pytest.CaptureFixture[str]) -> None:
    recipes = Path(__file__).parents[2] / "recipes"
    files = sorted(str(path) for path in recipes.glob("*/conf/**/*.toml"))
    assert main(["check", *files]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(files)
    assert sum("(a base of " in line for line in lines) == len(list(recipes.glob("**/base*.toml"))) + 1  # gpu.toml
