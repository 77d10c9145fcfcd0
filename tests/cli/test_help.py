"""The command line as a whole: quick to start, lazy, and clear about what went wrong."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from sertk import __version__
from sertk.cli import VERBS, build_app, main


def imported(*words: str) -> set[str]:
    """The modules that a new process has after one command."""
    code = f"import sys; from sertk.cli import main; status = main({[*words]!r}); print(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("words", [["--help"], ["list"], ["list", "fusion"], ["run", "--help"], ["check", "--help"]])
def test_what_answers_at_once_imports_no_torch_and_no_numpy(words: list[str]) -> None:
    assert not imported(*words) & {"torch", "numpy", "transformers", "torchaudio"}


def test_only_the_verb_that_was_typed_is_imported() -> None:
    modules = imported("list", "--help")
    assert "sertk.cli.list" in modules
    assert "sertk.cli.show" not in modules


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f" {verb} " in said for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_module_and_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = import_module(VERBS[verb][0])
    assert hasattr(module, "command") or isinstance(module.app, typer.Typer)
    assert main([verb, "--help"]) == 0
    assert f"sertk {verb}" in capsys.readouterr().out


def helps(command: Any) -> Iterator[str]:
    """All texts of a command's help, those of its commands too."""
    for part in (command, *command.params):
        yield from inspect.cleandoc(getattr(part, "help", None) or "").split("\n\n")
    for inner in getattr(command, "commands", {}).values():
        yield from helps(inner)


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_shown_as_it_is_written(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    command: Any = typer.main.get_command(build_app([verb]))
    typed = command.commands[verb]
    for inner in ([], *([name] for name in getattr(typed, "commands", []))):
        assert main([verb, *inner, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    texts = [" ".join(text.split()) for text in helps(typed)]
    assert [text for text in texts if text not in shown] == []


def test_help_names_the_extra_of_an_engine(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert main(["extract", "--help"]) == 0
    assert "pip install 'sertk[ray]'" in capsys.readouterr().out


STEERING = "\x1b[2J\x9bnone"
NAMED = [
    ["run", STEERING],
    ["data", "stats", STEERING],
    ["data", "audit", STEERING],
    ["data", "fix", STEERING, "--out", "x.jsonl"],
    ["data", "split", STEERING, "--out", "x.jsonl"],
    ["data", "prepare", "emodb", STEERING, "--out", "x.jsonl"],
    ["transcribe", STEERING, "--out", "x.jsonl"],
    ["extract", "x", "--manifest", STEERING, "--into", "x"],
    ["train", STEERING, "--out", "x"],
    ["plan", "x", "--corpus", STEERING],
    ["ablate", STEERING, "--into", "x"],
    ["combine", STEERING, "x", "--out", "x"],
    ["predict", STEERING, "x"],
    ["submit", "--check", STEERING, "--manifest", STEERING],
    ["check", STEERING],
    ["score", STEERING, "--manifest", "x.jsonl", "--split", "test"],
    ["report", STEERING],
    ["new", "plugin", STEERING, "--kind", "encoder"],
    ["show", STEERING],
]


OTHERS = [[verb, STEERING] for verb in VERBS if verb not in {words[0] for words in NAMED}]


@pytest.mark.plugins
@pytest.mark.parametrize("words", [*NAMED, *OTHERS], ids=lambda words: " ".join(words[:2]))
def test_no_verb_lets_a_name_steer_the_terminal(
    words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) in (1, 2)
    shown = capfd.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert "\x9b" not in shown.out + shown.err
    assert words in OTHERS or r"\x1b[2J\x9bnone" in shown.err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"sertk {__version__}"


@pytest.mark.parametrize(
    "words", [["lst"], ["list", "--no-such-option"], ["show"], ["check", "--diff", "one.toml"], []]
)
def test_misuse_leaves_with_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_misspelt_verb_gets_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    main(["lst"])
    assert "Did you mean 'list'" in capsys.readouterr().err


def test_an_error_is_one_message_on_standard_error_and_status_1(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(tmp_path / "none.toml")]) == 1
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error {tmp_path / 'none.toml'}: 1 fault\n")


def test_debug_lets_the_error_through_with_its_traceback() -> None:
    code = "import sys; from sertk.cli import main; sys.exit(main(['show', 'no_such_name', '--debug']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "UnknownNameError" in done.stderr


def test_words_behind_two_dashes_are_not_for_sertk(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--", "--debug"]) == 1  # looked up as a name
    assert "'--debug'" in capsys.readouterr().err


def test_other_verbs_are_there_as_lines_of_the_help_alone() -> None:
    commands = {info.name: info.callback for info in build_app(["list"]).registered_commands}
    assert commands["list"] is import_module("sertk.cli.list").command
    assert commands["show"] is commands["check"]
