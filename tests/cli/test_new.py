from __future__ import annotations

import ast
import os
import tomllib
from pathlib import Path

import pytest

from sertk.cli import main
from sertk.config.files import load_combination, load_encoder_file, load_experiment
from sertk.errors import TemplateError, UnknownNameError
from sertk.recipes.stages import read_stages
from sertk.registry import REGISTRIES
from sertk.templates.write import write_plugin, write_recipe


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_plugin_has_all_that_a_distribution_needs(kind: str, tmp_path: Path) -> None:
    folder = write_plugin("sertk-my-thing", kind, tmp_path)
    written = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert set(written) == {
        ".github/workflows/ci.yml",
        ".gitignore",
        "README.md",
        "sertk_my_thing/__init__.py",
        "pyproject.toml",
        "tests/test_contract.py",
    }
    project = tomllib.loads(written["pyproject.toml"])["project"]
    factory = "MyThing" if kind in ("segmenter", "fusion", "sampler", "regularizer", "optimizer") else "my_thing"
    assert project["entry-points"] == {
        f"sertk_{REGISTRIES[kind].namespace[-1]}": {"my_thing": f"sertk_my_thing:{factory}"}
    }
    assert project["license"] == "Apache-2.0"
    assert "Licence: Apache-2.0." in written["README.md"]
    assert not any("$" in text for text in written.values())
    assert "@revision(" in written["sertk_my_thing/__init__.py"]
    functions = {
        node.name: node
        for node in ast.parse(written["sertk_my_thing/__init__.py"]).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    assert (ast.get_docstring(functions[factory]) or "").splitlines()[0].endswith(".")


def test_a_recipe_is_valid_and_its_stages_are_declared(tmp_path: Path) -> None:
    folder = write_recipe("first", tmp_path)
    assert [stage.number for stage in read_stages(folder / "run.sh")] == list(range(1, 9))
    assert os.access(folder / "run.sh", os.X_OK)
    for member in (folder / "conf" / "members").glob("*.toml"):
        load_experiment(member)
    for encoder in (folder / "conf" / "encoders").glob("*.toml"):
        load_encoder_file(encoder)
    load_combination(folder / "conf" / "ensemble.toml")
    assert not any(path.suffix == ".template" for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My_Thing", "'my-thing' would do"),
        ("9lives", "'lives' would do"),
        ("../thing", "'thing' would do"),
        ("", "not a valid plugin name"),
        ("late", "the fusion 'late' belongs to sertk"),
        ("sertk-late", "the fusion 'late' belongs to sertk"),
        ("torch", "the name 'torch' is taken"),
        ("statistics", "a module 'statistics' is there already"),
        ("lambda", "a word of its code"),
        ("features", "a word of its code"),
        ("len", "a word of its code"),
    ],
)
def test_a_name_that_will_not_do_is_refused_and_nothing_written(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=message):
        write_plugin(name, "fusion", tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_kind_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no kind 'fusio'.*Did you mean 'fusion'"):
        write_plugin("my-thing", "fusio", tmp_path)


def test_a_folder_that_exists_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("mine")
    for write in (lambda: write_recipe("mine", tmp_path), lambda: write_plugin("mine", "loss", tmp_path)):
        with pytest.raises(TemplateError, match="is there already"):
            write()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["note.txt"]


def test_a_recipe_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="not a valid recipe name"):
        write_recipe("my recipe", tmp_path)


def test_the_verb_says_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "plugin", "my-thing", "--kind", "sampler", "--into", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert f"pip install -e '{tmp_path}/my-thing[dev]'" in said
    assert "sertk show my_thing" in said
    assert main(["new", "plugin", "my-thing", "--kind", "sampler", "--into", str(tmp_path)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert main(["new", "recipe", "mine", "--into", str(tmp_path)]) == 0
    assert f"sertk run {tmp_path}/mine/run.sh --corpus toy" in capsys.readouterr().out
