"""Reading TOML, `extends`, `--set`, and writing what was resolved."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sertk.config.files import check_faults, differences, load_experiment, resolved_toml
from sertk.errors import ConfigError

Write = Callable[..., Path]


def fault(path: Path, *sets: str) -> tuple[str, str]:
    (only,) = check_faults(path, sets)
    return only.place, only.message


def test_a_member_says_only_what_differs_from_its_base(write: Write) -> None:
    write(name="base.toml")
    member = write('extends = "base.toml"\nseed = 7\n[fusion]\nwidth = 32\n[features]\nwords = "features/words"\n')
    experiment = load_experiment(member)
    assert experiment.seed == 7
    assert experiment.fusion.options["width"] == 32
    assert experiment.features == {"speech": "features/speech", "words": "features/words"}
    assert [stage.name for stage in experiment.stage] == ["full", "balanced"]


def test_lists_are_replaced_not_merged(write: Write) -> None:
    write(name="base.toml")
    member = write('extends = "base.toml"\n[[stage]]\nname = "only"\nepochs = 1\n')
    assert [stage.name for stage in load_experiment(member).stage] == ["only"]


def test_another_component_does_not_inherit_the_options_of_the_one_below(write: Write) -> None:
    write('[encoder]\nuse = "absent"\nwindow = 3\n', "base.toml")
    member = write('extends = "base.toml"\n[encoder]\nuse = "tiny_encoder"\n', "member.toml")
    assert check_faults(member) == ()


def test_a_file_that_extends_one_which_extends_is_refused(write: Write) -> None:
    write(name="first.toml")
    write('extends = "first.toml"\n', "second.toml")
    place, message = fault(write('extends = "second.toml"\n', "third.toml"))
    assert place == "extends"
    assert "extends 'first.toml' itself: one level is allowed" in message


def test_a_missing_base_gets_the_nearest_name(write: Write) -> None:
    write(name="base.toml")
    place, message = fault(write('extends = "bass.toml"\n'))
    assert place == "extends"
    assert message.endswith("Did you mean 'base.toml'?")


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    assert fault(tmp_path / "none.toml") == ("(file)", "cannot be read: No such file or directory.")


def test_a_syntax_error_has_its_line(write: Write) -> None:
    place, message = fault(write("seed = 1\nfusion = = 3\n"))
    assert place == "line 2"
    assert message.startswith("is not TOML: ")


def test_bytes_that_are_not_utf8_have_their_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes("seed = 1\n# Grün\n".encode("latin-1"))
    assert fault(path) == ("line 2", "is not UTF-8: save the file as UTF-8.")


@pytest.mark.parametrize(
    ("change", "read"),
    [
        ("seed=3", lambda e: e.seed == 3),
        ("compute.device=cuda:1", lambda e: e.compute.device == "cuda:1"),
        ("stage.balanced.epochs=9", lambda e: [s.epochs for s in e.stage] == [5, 9]),
        ("stage.0.epochs=9", lambda e: [s.epochs for s in e.stage] == [9, 2]),
        ("stage.full.loss.0.weight=2", lambda e: e.stage[0].loss[0].weight == 2.0),
        ("stage.full.loss.tiny_loss.power=2", lambda e: e.stage[0].loss[0].options == {"power": 2.0}),
        ("stage.full.optimizer.lr = 1e-4", lambda e: e.stage[0].optimizer.lr == 1e-4),
        ('data.train=["a", "b"]', lambda e: e.data.train == ["a", "b"]),
        ("data.dev=dev", lambda e: e.data.dev == "dev"),
    ],
)
def test_set_changes_one_value(write: Write, change: str, read: Callable[..., bool]) -> None:
    assert read(load_experiment(write(), [change]))


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        ("stage.balancd.epochs=5", "stage.balancd.epochs",
         "'stage' has no entry 'balancd'. Did you mean 'balanced'? It has: full, balanced."),
        ("stage.2.epochs=5", "stage.2.epochs", "'stage' has 2 entries, counted from 0: no 2."),
        ("data.manifest.x=5", "data.manifest.x", "'data.manifest' is a single value, so nothing can be set inside it."),
        ("stag.full.epochs=5", "stag", "There is no such key. Did you mean 'stage'?"),
        ("seed", "seed", "should be KEY=VALUE, as in stage.full.epochs=5."),
        ("a..b=1", "a..b=1", "should be KEY=VALUE, as in stage.full.epochs=5."),
    ],
)  # fmt: skip
def test_set_of_an_unknown_path_is_a_fault(write: Write, change: str, place: str, message: str) -> None:
    found_place, found_message = fault(write(), change)
    assert found_place == place
    assert found_message.startswith(message)


def test_what_was_resolved_loads_to_the_same_experiment(write: Write) -> None:
    experiment = load_experiment(write(), ["fusion.rates=[1, 2]", "seed=4", "head.attributes=['arousal']"])
    again = load_experiment(write(resolved_toml(experiment), "resolved.toml"))
    assert again == experiment
    assert resolved_toml(again) == resolved_toml(experiment)


def test_what_was_resolved_has_the_defaults_of_its_components(write: Write) -> None:
    experiment = load_experiment(write())
    assert experiment.stage[0].sampler.options == {"batch_size": 16}
    assert "batch_size = 16" in resolved_toml(experiment)
    assert experiment.fusion.options["rates"] == [0.5, 1.0]


def test_differences_name_the_places_where_two_experiments_differ(write: Write) -> None:
    first = load_experiment(write())
    second = load_experiment(write(), ["stage.balanced.epochs=9", "fusion.inner=3"])
    assert differences(first, first) == []
    assert differences(first, second) == [("stage.balanced.epochs", "2", "9"), ("fusion.inner", None, "3")]


def test_reading_a_configuration_imports_no_torch() -> None:
    code = "import sys, sertk.config.files; print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_a_fault_names_the_file(write: Write) -> None:
    path = write("seed = 'x'")
    with pytest.raises(ConfigError) as caught:
        load_experiment(path)
    assert caught.value.source == str(path)
