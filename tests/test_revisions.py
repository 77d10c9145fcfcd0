"""What a component's version follows: its revision, else its distribution's version and, installed editable, its code."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import catalogue
import pytest

from sertk import registry, revisions
from sertk.errors import UnknownNameError
from sertk.registry import REGISTRIES, transcribers
from sertk.revisions import component_parts, component_version, revision


@pytest.fixture(autouse=True)
def every_plugin_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERTK_PLUGINS", raising=False)


Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a plugin with one transcriber, `stub`; gives the folder of its package."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def install(files: dict[str, str], *, version: str = "1.0", editable: str | None = None, value: str = "") -> Path:
        for old in tmp_path.glob("stub_plugin-*"):
            for file in old.iterdir():
                file.unlink()
            old.rmdir()
        metadata = tmp_path / f"stub_plugin-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: stub_plugin\nVersion: {version}\n")
        entry = f"[sertk_transcribers]\nstub = {value or 'stub_plugin.words:stub'}\n"
        (metadata / "entry_points.txt").write_text(entry)
        if editable is not None:
            (metadata / "direct_url.json").write_text(editable)
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        importlib.invalidate_caches()
        monkeypatch.setattr(catalogue, "AVAILABLE_ENTRY_POINTS", entry_points())
        for kind in REGISTRIES.values():
            monkeypatch.setattr(kind, "_installed", {})
        for name in [name for name in sys.modules if name.startswith("stub_plugin")]:
            monkeypatch.delitem(sys.modules, name)
        revisions._is_editable.cache_clear()
        return tmp_path / "stub_plugin"

    yield install
    revisions._is_editable.cache_clear()


PACKAGE = {
    "stub_plugin/__init__.py": "",
    "stub_plugin/words.py": "def stub():\n    return None\n",
    "stub_plugin/a/help.py": "A = 1\n",
    "stub_plugin/b/help.py": "B = 2\n",
}
EDITABLE = '{"url": "file:///x", "dir_info": {"editable": true}}'


def test_an_installed_plugin_has_its_distributions_version(install: Install) -> None:
    package = install(PACKAGE)
    assert component_version("transcriber", "stub") == "stub-plugin 1.0"
    (package / "words.py").write_text("def stub():\n    return 1\n")
    assert component_version("transcriber", "stub") == "stub-plugin 1.0"
    install({}, version="1.1")
    assert component_version("transcriber", "stub") == "stub-plugin 1.1"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("stub_plugin/words.py", "def stub():\n    return 1\n"),
        ("stub_plugin/words.py", "def stub():\n    return None\n\n"),
        ("stub_plugin/a/help.py", "A = 2\n"),
        ("stub_plugin/new.py", ""),
    ],
)
def test_each_change_of_an_editable_plugins_source_is_seen(install: Install, file: str, text: str) -> None:
    package = install(PACKAGE, editable=EDITABLE)
    before = component_version("transcriber", "stub")
    assert before.startswith("stub-plugin 1.0 source ")
    assert component_version("transcriber", "stub") == before
    (package / "data.csv").write_text("no code")
    assert component_version("transcriber", "stub") == before
    install({file: text}, editable=EDITABLE)
    assert component_version("transcriber", "stub") != before


def test_files_of_one_name_that_are_exchanged_are_seen(install: Install) -> None:
    package = install(PACKAGE, editable=EDITABLE)
    before = component_version("transcriber", "stub")
    (package / "a").rename(package / "between")
    (package / "b").rename(package / "a")
    (package / "between").rename(package / "b")
    assert component_version("transcriber", "stub") != before


def test_an_editable_plugin_of_one_module_is_seen(install: Install) -> None:
    code = "def stub():\n    return None\n"
    install({"stub_plugin_alone.py": code}, editable=EDITABLE, value="stub_plugin_alone:stub")
    before = component_version("transcriber", "stub")
    install({"stub_plugin_alone.py": code + "# more\n"}, editable=EDITABLE, value="stub_plugin_alone:stub")
    assert component_version("transcriber", "stub") != before


@pytest.mark.parametrize("editable", ["", "{", "[]", '{"dir_info": 3}', '{"dir_info": {"editable": false}}'])
def test_what_does_not_say_that_it_is_editable_is_not(install: Install, editable: str) -> None:
    install(PACKAGE, editable=editable)
    assert component_version("transcriber", "stub") == "stub-plugin 1.0"


def test_a_revision_alone_decides_where_there_is_one(install: Install) -> None:
    marked = "from sertk.revisions import revision\n@revision({})\ndef stub():\n    return None\n"
    install({**PACKAGE, "stub_plugin/words.py": marked.format(3)}, editable=EDITABLE)
    assert component_version("transcriber", "stub") == "stub-plugin revision 3"
    install({"stub_plugin/words.py": marked.format(3) + "# a comment\n"}, version="2.0", editable=EDITABLE)
    assert component_version("transcriber", "stub") == "stub-plugin revision 3"
    install({"stub_plugin/words.py": marked.format(4)}, editable=EDITABLE)
    assert component_version("transcriber", "stub") == "stub-plugin revision 4"


def test_a_class_may_have_its_revision_as_an_attribute(install: Install) -> None:
    install({**PACKAGE, "stub_plugin/words.py": "class stub:\n    revision = 7\n"})
    assert component_version("transcriber", "stub") == "stub-plugin revision 7"


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], str]:
    """Registers a transcriber in this process and gives its version."""

    def version(component: Any) -> str:
        monkeypatch.setitem(catalogue.REGISTRY, ("sertk", "transcribers", "mine"), component)
        return component_version("transcriber", "mine")

    return version


def of_code(text: str) -> Any:
    """A component without a source file, as one that is typed at a prompt."""
    space: dict[str, Any] = {}
    exec(text, space)
    return space["mine"]


def test_a_component_of_a_notebook_is_known_by_its_source(notebook: Callable[[Any], str]) -> None:
    def one() -> int:
        return 1

    def two() -> int:
        return 2

    assert notebook(one).startswith(f"{registry.NOTEBOOK} ")
    assert notebook(one) == notebook(one)
    assert notebook(one) != notebook(two)
    assert notebook(revision(5)(one)) == f"{registry.NOTEBOOK} revision 5"


TYPED = [
    "def mine(x): return len(x)",
    "def mine(x): return sum(x)",
    "def mine(x): return x + 1",
    "def mine(x): return x + 2",
    "def mine(x, y=1): return x + 2",
    "def mine(x): return (lambda: 1)",
    "def mine(x): return (lambda: 2)",
    "def mine(x): return x in {'a', 'b', 'c'}",
    "class mine:\n    def __call__(self): return 1",
    "class mine:\n    def __call__(self): return 2",
    "class m:\n    def __call__(self): return 3\nmine = m()",
    "from functools import partial\nmine = partial(len, 1)",
    "from functools import partial\nmine = partial(len, 2)",
]


def test_a_component_that_was_typed_is_known_by_its_code(notebook: Callable[[Any], str]) -> None:
    versions = [notebook(of_code(text)) for text in TYPED]
    assert len(set(versions)) == len(TYPED)
    assert [notebook(of_code(text)) for text in TYPED] == versions


def test_code_has_one_version_in_every_process() -> None:
    code = f"""
from sertk.revisions import _source_of
for text in {TYPED!r}:
    space = {{}}
    exec(text, space)
    print(_source_of(space["mine"]))
"""
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_parts_name_each_component_once() -> None:
    uses = [("transcriber", "corpus"), ("transcriber", "corpus")]
    assert list(component_parts(uses)) == ["component transcriber corpus"]
    with pytest.raises(UnknownNameError, match="no transcriber 'corpsu'"):
        component_parts([("transcriber", "corpsu")])


def test_the_transcribers_of_sertk_have_a_revision() -> None:
    for name in ("corpus", "whisper"):
        assert isinstance(getattr(transcribers.get(name), "revision", None), int), name
