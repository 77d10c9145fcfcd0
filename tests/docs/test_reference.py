"""Everything a user can name is in the generated reference, and says what it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sertk.cli import VERBS
from sertk.registry import REGISTRIES, verbs

ROOT = Path(__file__).parents[2]


def chapters(page: str) -> dict[str, str]:
    """What stands under each heading of the second and third level."""
    parts = re.split(r"^##+ (.+)$", page, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture(scope="module")
def components(generate: ModuleType) -> dict[str, str]:
    return chapters(generate.components_page())


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_component_is_documented_with_its_owner_place_and_options(
    kind: str, components: dict[str, str]
) -> None:
    from sertk.config.options import options_model

    for name, component in REGISTRIES[kind].components().items():
        chapter = components[f"{name} {{ #{kind}-{name} }}"]
        assert component.summary().split("`")[0].rstrip() in chapter.replace("\\", "")
        assert component.owner in chapter
        for option in options_model(REGISTRIES[kind].get(name)).model_fields:
            (row,) = [line for line in chapter.splitlines() if line.startswith(f"| `{option}` |")]
            assert row.rsplit(" | ", 1)[1].strip(" |"), f"the {kind} {name!r} does not say what {option!r} is"


def test_every_verb_is_documented_with_what_each_option_is(generate: ModuleType) -> None:
    commands = generate.commands()
    found = chapters(generate.verbs_page())
    assert {words.split()[0] for words in commands} == {*VERBS, *(name.partition(".")[0] for name in verbs.names())}
    for words, command in commands.items():
        chapter = found[f"sertk {words}"]
        for option in generate.options(command):
            assert option.what, f"sertk {words} does not say what {option.name} is"
            assert all(f"`{word}`" in chapter for word in option.words or ()) or option.name in chapter


def test_options_are_those_that_the_command_line_takes(generate: ModuleType) -> None:
    import typer

    from sertk.cli import build_app

    for words, command in generate.commands().items():
        verb, _, sub = words.partition(" ")
        built: Any = typer.main.get_command(build_app([verb, *sub.split()]))
        built = built.commands[verb]
        built = built.commands[sub] if sub else built
        taken = {word for one in built.params for word in [*one.opts, *one.secondary_opts] if word.startswith("--")}
        assert {word for option in generate.options(command) for word in option.words} == taken


def test_every_error_is_documented(generate: ModuleType) -> None:
    from sertk import errors

    defined = {
        name
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, Exception) and one.__module__ == errors.__name__
    }
    found = chapters(generate.errors_page())
    assert set(found) == defined
    assert all(len(text.split()) > 3 for text in found.values())


def test_every_key_of_a_configuration_file_says_what_it_is(generate: ModuleType) -> None:
    for line in generate.configuration_page().splitlines():
        if line.startswith("| `"):
            assert line.rsplit(" | ", 1)[1].strip(" |"), line


def test_names_of_the_python_page_exist() -> None:
    from pydoc import locate

    names = re.findall(r"^::: (\S+)$", (ROOT / "docs" / "reference" / "python.md").read_text(), re.M)
    assert "sertk.load" in names
    assert [name for name in names if locate(name) is None] == []


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mkdocs") is None, reason="needs the extra docs")
def test_the_site_builds_strictly_and_asks_nothing_of_the_network(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text()
        assert not re.search(r'<(?:script|img|iframe)[^>]+src="?https?:', text), page
        assert not re.search(r'<link[^>]+rel="?(?:stylesheet|preconnect)[^>]+https?:', text), page
        assert str(ROOT) not in text, page
