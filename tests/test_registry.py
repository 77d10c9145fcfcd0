"""The registry's promises, on real small distributions. Each runs in a process of its own: entry points are scanned once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from sertk.errors import NameConflictError, UnknownNameError
from sertk.registry import Registry, fusions, samplers

GOOD = '''
def mean(dims, /, *, width: int = 4):
    """Average them all.

    More words.
    """
    return width
'''


def distribution(folder: Path, name: str, entry_points: str, source: str) -> None:
    """Write an installed distribution as pip leaves it: a module and its dist-info."""
    (folder / f"{name.replace('-', '_')}.py").write_text(source, encoding="utf-8")
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")


def python(folder: Path, code: str, **environment: str) -> str:
    """What a new process prints that sees the distributions of `folder`. Errors of sertk are printed."""
    script = "from sertk.registry import *\nfrom sertk.errors import *\nimport sys\ntry:\n"
    script += "\n".join(f"    {line}" for line in dedent(code).strip().splitlines())
    script += "\nexcept SertkError as error:\n    print(type(error).__name__, error)\n"
    variables = {key: value for key, value in os.environ.items() if key != "SERTK_PLUGINS"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**variables, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def mean_plugin(tmp_path: Path) -> Path:
    distribution(tmp_path, "acme-mean", "[sertk_fusions]\nacme_mean = acme_mean:mean\n", GOOD)
    return tmp_path


def test_a_component_is_found_by_its_entry_point(mean_plugin: Path) -> None:
    assert python(mean_plugin, "print(fusions.get('acme_mean')({}, width=7))") == "7"


def test_names_owners_and_summaries_are_read_without_importing_the_plugin(mean_plugin: Path) -> None:
    code = """
    component = fusions.components()['acme_mean']
    print('acme_mean' in fusions, component.owner, component.value, component.summary(), 'acme_mean' in sys.modules)
    """
    assert python(mean_plugin, code) == "True acme-mean 1.2 acme_mean:mean Average them all. False"


def test_two_owners_of_one_name_are_both_named(mean_plugin: Path) -> None:
    distribution(mean_plugin, "other-mean", "[sertk_fusions]\nacme_mean = other_mean:mean\n", GOOD)
    said = python(mean_plugin, "fusions.get('acme_mean')")
    assert said.startswith("NameConflictError")
    assert "acme-mean 1.2" in said
    assert "other-mean 1.2" in said


def test_a_conflict_is_settled_by_naming_what_is_to_be_seen(mean_plugin: Path) -> None:
    distribution(mean_plugin, "other-mean", "[sertk_fusions]\nacme_mean = other_mean:mean\n", GOOD)
    code = "print(fusions.components()['acme_mean'].distribution)"
    assert python(mean_plugin, code, SERTK_PLUGINS="Other_Mean") == "other-mean"


def test_a_broken_plugin_fails_only_when_it_is_asked_for_and_is_named(mean_plugin: Path) -> None:
    distribution(
        mean_plugin, "acme-broken", "[sertk_fusions]\nbroken = acme_broken:f\n", "import no_such_module_at_all"
    )
    assert "broken" in python(mean_plugin, "print(fusions.names())")
    assert python(mean_plugin, "print(fusions.get('acme_mean')({}))") == "4"
    assert python(mean_plugin, "fusions.get('acme_meen')").startswith("UnknownNameError")
    said = python(mean_plugin, "fusions.get('broken')")
    assert said.startswith("BrokenPluginError the fusion 'broken' of acme-broken 1.2")
    assert "No module named 'no_such_module_at_all'" in said


def test_an_entry_point_to_a_function_that_is_not_there_is_a_broken_plugin(mean_plugin: Path) -> None:
    distribution(mean_plugin, "acme-typo", "[sertk_losses]\ntypo = acme_typo:lost\n", "x = 1")
    assert python(mean_plugin, "losses.get('typo')").startswith("BrokenPluginError the loss 'typo' of acme-typo 1.2")


def test_an_unknown_name_gets_the_nearest_the_known_names_and_the_hint_to_install(mean_plugin: Path) -> None:
    said = python(mean_plugin, "fusions.get('acme_meen')")
    assert "There is no fusion 'acme_meen'. Did you mean 'acme_mean'? Known: acme_mean, " in said
    assert "installed (again, after a new entry point)" in said


def test_a_name_of_another_kind_says_so(mean_plugin: Path) -> None:
    assert "'acme_mean' is a fusion, not a sampler." in python(mean_plugin, "samplers.get('acme_mean')")


def test_sertk_plugins_hides_what_it_does_not_name(mean_plugin: Path) -> None:
    said = python(mean_plugin, "print('concat' in fusions); fusions.get('acme_mean')", SERTK_PLUGINS="")
    assert said.startswith("True\nUnknownNameError")
    assert "acme-mean registers it but SERTK_PLUGINS hides it" in said
    assert python(mean_plugin, "print('acme_mean' in fusions)", SERTK_PLUGINS="other, acme-mean") == "True"


@pytest.fixture
def scratch() -> Registry:
    return Registry("scratch_kind")


def test_a_notebook_registers_by_decorator(scratch: Registry) -> None:
    @scratch.register("mine")
    def mine() -> int:
        return 1

    assert scratch.get("mine") is mine
    assert scratch.components()["mine"].owner == "registered in this process"

    @scratch.register("mine")  # a cell that is run again
    def mine_again() -> int:
        return 2

    assert scratch.get("mine") is mine_again


def test_a_notebook_cannot_take_a_name_that_has_an_owner() -> None:
    with pytest.raises(NameConflictError, match="the fusion 'concat' belongs to sertk"):
        fusions.register("concat", func=lambda dims: dims)


def test_an_unknown_name_is_not_in_the_registry_and_cannot_be_had() -> None:
    assert "no_such_sampler" not in samplers
    with pytest.raises(UnknownNameError):
        samplers.get("no_such_sampler")


VERB = '''"""A verb of a plugin."""

import sys

import typer


def greet(name: str = typer.Argument(..., help="Whom.")) -> None:
    """Greet somebody."""
    print("hello", name)
'''


def sertk(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line in a new process that sees the distributions of `folder`."""
    code = f"import sys; from sertk.cli import main; sys.exit(main({[*words]!r}))"
    return subprocess.run(
        [sys.executable, "-c", code],
        env={name: value for name, value in os.environ.items() if name != "SERTK_PLUGINS"}
        | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_plugin_adds_a_verb(tmp_path: Path) -> None:
    distribution(tmp_path, "acme-verbs", "[sertk_verbs]\ngreet = acme_verbs:greet\n", VERB)
    assert "Greet somebody." in sertk(tmp_path, "--help").stdout
    assert sertk(tmp_path, "greet", "you").stdout == "hello you\n"


def test_a_verb_of_ours_cannot_be_taken(tmp_path: Path) -> None:
    distribution(tmp_path, "acme-verbs", "[sertk_verbs]\ntrain = acme_verbs:greet\n", VERB)
    failed = sertk(tmp_path, "--help")
    assert failed.returncode == 1
    assert "acme-verbs 1.2 (acme_verbs:greet) adds the verb 'train'" in failed.stderr


def test_a_broken_verb_fails_when_it_is_typed_alone(tmp_path: Path) -> None:
    distribution(tmp_path, "acme-verbs", "[sertk_verbs]\ngreet = acme_verbs:missing\n", VERB)
    assert sertk(tmp_path, "--help").returncode == 0
    assert "acme-verbs" in sertk(tmp_path, "greet", "you").stderr


def test_an_answered_lookup_takes_no_scan_of_entry_points(mean_plugin: Path) -> None:
    code = """
    first = fusions.components()['acme_mean']
    fusions._get_entry_points = None
    print(fusions.components()['acme_mean'] is first)
    """
    assert python(mean_plugin, code) == "True"
