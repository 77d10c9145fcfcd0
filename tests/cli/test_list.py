"""`sertk list` and `sertk show`."""

from __future__ import annotations

import json

import pytest

from sertk.cli import main
from sertk.config.describe import describe
from sertk.registry import REGISTRIES


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_list_has_every_component_with_its_owner(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "list").splitlines()
    for kind, registry in REGISTRIES.items():
        for name, component in registry.components().items():
            assert any(line.split()[:2] == [kind, name] and component.owner in line for line in lines)


@pytest.mark.parametrize("kind", ["fusion", "fusions"])
def test_list_of_a_kind_has_that_kind_alone(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    rows = said(capsys, "list", kind).splitlines()[1:]
    assert {row.split()[0] for row in rows} == {"fusion"}
    assert "concat" in {row.split()[1] for row in rows}


def test_list_can_be_read_by_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    (shuffle,) = [c for c in json.loads(said(capsys, "list", "sampler", "--json")) if c["name"] == "shuffle"]
    assert shuffle["distribution"] == "sertk"
    assert shuffle["value"] == "sertk.batching.samplers:Shuffle"
    assert shuffle["summary"].endswith(".")


def test_an_unknown_kind_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "fusin"]) == 1
    assert "There is no kind 'fusin'. Did you mean 'fusion'?" in capsys.readouterr().err


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_component_says_in_its_first_line_what_it_does(kind: str) -> None:
    silent = [component.name for component in REGISTRIES[kind].components().values() if not component.summary()]
    assert silent == []


def test_show_has_owner_place_options_and_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "show", "cross_entropy")
    assert "loss cross_entropy" in shown
    assert "owner  sertk " in shown
    assert "sertk/training/losses.py:" in shown
    assert "given  table: LabelTable" in shown
    assert "class_weight_power" in shown
    assert "Cross-entropy to soft class targets" in shown


def test_show_tells_types_with_their_limits(capsys: pytest.CaptureFixture[str]) -> None:
    (shown,) = json.loads(said(capsys, "show", "shuffle", "--json"))
    (option,) = shown["options"]
    assert (option["type"], option["default"]) == ("int >= 1", "16")


def test_show_says_of_each_option_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    (shown,) = json.loads(said(capsys, "show", "hashed_text", "--json"))
    what = {option["name"]: option["what"] for option in shown["options"]}
    assert what["dim"] == "D, the width of a frame."
    assert what["shortest"] == what["longest"] == "Characters of an n-gram, the word's bounds `<` and `>` counted."


def test_show_of_an_unknown_name_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "shufle"]) == 1
    assert "There is no component 'shufle'. Did you mean 'shuffle'?" in capsys.readouterr().err


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_option_of_every_component_is_described_once(kind: str) -> None:
    for component in REGISTRIES[kind].components().values():
        described = describe(component)
        for option in described["options"]:
            assert option["what"], f"{kind} {component.name}: {option['name']}"
            assert option["what"] not in described["doc"]
