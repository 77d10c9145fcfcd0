"""All faults at once, each with its place and what would be right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sertk.config.files import check_faults, load_combination, load_encoder_file, load_experiment
from sertk.errors import ConfigError

Write = Callable[..., Path]


def faults(path: Path, *sets: str) -> dict[str, str]:
    return {fault.place: fault.message for fault in check_faults(path, sets)}


def test_the_good_file_has_no_fault(write: Write) -> None:
    assert faults(write()) == {}


def test_all_faults_of_a_file_are_found_at_once_in_one_message(write: Write) -> None:
    path = write(
        """
        seed = 1
        [data]
        manifest = "m"
        targets = "sft"
        [features]
        speech = "s"
        [fusion]
        use = "tiny_fusion"
        iner = 3
        [[stage]]
        name = "full"
        epochs = 5
        sampler = { use = "tiny_sampeler" }
        loss = [{ use = "tiny_loss", power = "0.5" }]
        """
    )
    with pytest.raises(ConfigError) as caught:
        load_experiment(path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path}: 4 faults"
    assert (
        lines[1] == """  data.targets              should be 'soft' or 'majority', got "sft". Did you mean 'soft'?"""
    )
    assert lines[2] == (
        "  fusion.iner               'tiny_fusion' has no option 'iner'. Did you mean 'inner'? "
        "It takes: width, dropout, inner, positions, rates, bias."
    )
    assert lines[3] == '  stage.full.loss[0].power  should be a number, got "0.5".'
    assert lines[4].startswith(
        "  stage.full.sampler        There is no sampler 'tiny_sampeler'. Did you mean 'tiny_sampler'? Known: "
    )


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        ("seed=-1", "seed", "should be at least 0, got -1."),
        ("seed=1.0", "seed", "should be a whole number, got 1.0."),
        ("sed=1", "sed", "There is no such key. Did you mean 'seed'? It takes: seed, init_seed, data,"),
        ("data.train=3", "data.train", "should be a string or a list, got 3."),
        ("data.train=[1]", "data.train[0]", "should be a string, got 1."),
        ("head.activation=rel", "head.activation", "should be 'relu' or 'none', got \"rel\". Did you mean 'relu'?"),
        ("stage.full.epochs=0", "stage.full.epochs", "should be at least 1, got 0."),
        ("stage.full.epoch=1", "stage.full.epoch", "There is no such key. Did you mean 'epochs'?"),
        ("stage.full.optimizer.lr=0", "stage.full.optimizer.lr", "should be above 0, got 0."),
        ("stage.full.optimizer.lr=nan", "stage.full.optimizer.lr", "should be a finite number, got NaN."),
        ("stage.full.optimizer.lr=inf", "stage.full.optimizer.lr", "should be a finite number, got Infinity."),
        ("stage.full.optimizer.momentum=0.9", "stage.full.optimizer.momentum",
         "'adamw' has no option 'momentum'. It takes: lr, weight_decay, betas, fused."),
        ("stage.full.optimizer.use='adamm'", "stage.full.optimizer", "There is no optimizer 'adamm'."),
        ("stage.full.optimizer.fused=1", "stage.full.optimizer.fused", "should be true or false, got 1."),
        ("stage.full.sampler=shuffle", "stage.full.sampler", 'should be a table, got "shuffle".'),
        ("stage.full.loss.0.weight=-1", "stage.full.loss[0].weight", "should be at least 0, got -1."),
        ("fusion.width=true", "fusion.width", "should be a whole number, got true."),
        ("fusion.inner=2.5", "fusion.inner", "should be a whole number, got 2.5."),
        ("fusion.positions=sinus", "fusion.positions", "should be 'none' or 'sinusoidal', got \"sinus\"."),
        ("fusion.rates=[1, 2, 3]", "fusion.rates", "should be a list of at most 2, got [1, 2, 3]."),
        ("fusion.rates=['a', 2]", "fusion.rates[0]", 'should be a number, got "a".'),
        ("stage.full.regularizers=[{use='tiny_regularizer'}]", "stage.full.regularizers[0].probability",
         "is missing: 'tiny_regularizer' needs it."),
        ("stage.full.regularizers=[{use='tiny_loss'}]", "stage.full.regularizers[0]",
         "There is no regularizer 'tiny_loss'. 'tiny_loss' is a loss, not a regularizer."),
        ("stage.full.name=balanced", "(file)", "stage names must differ, got ['balanced', 'balanced']."),
    ],
)  # fmt: skip
def test_a_fault_has_its_place_and_what_would_be_right(write: Write, change: str, place: str, message: str) -> None:
    found = faults(write(), change)
    assert list(found) == [place]
    assert found[place].startswith(message)


def test_a_missing_component_has_one_line_however_often_it_is_used(write: Write) -> None:
    found = faults(write(), "stage.full.sampler.use=absent", "stage.balanced.sampler.use=absent")
    assert list(found) == ["stage.full.sampler"]
    assert found["stage.full.sampler"].endswith("Also at: stage.balanced.sampler.")


def test_components_that_an_option_names_are_checked_too(write: Write) -> None:
    path = write(
        """
        [data]
        manifest = "m"
        [aggregator]
        use = "tiny_aggregator"
        sampler = { use = "tiny_sampler", batch_size = "4" }
        loss = [{ use = "tiny_los" }]
        """
    )
    found = faults(path)
    assert found["aggregator.sampler.batch_size"] == 'should be a whole number, got "4".'
    assert found["aggregator.loss[0]"].startswith("There is no loss 'tiny_los'. Did you mean 'tiny_loss'?")


def test_the_kind_of_a_file_is_told_by_what_it_holds(write: Write) -> None:
    encoder = write('dtype = "int8"\n[encoder]\nuse = "tiny_encoder"\nmels = 40\n', "encoder.toml")
    combination = write('[aggregator]\nuse = "tiny_aggregator"\n[data]\nmanifest = "m"\n', "combination.toml")
    assert faults(encoder) == {} == faults(combination)
    assert load_encoder_file(encoder).encoder.options == {"mels": 40}
    assert load_combination(combination).fit == "held_out"
    with pytest.raises(ConfigError, match="aggregator"):
        load_combination(encoder)
    assert faults(encoder, "encoder.mel=3")["encoder.mel"].startswith("'tiny_encoder' has no option 'mel'.")


def test_a_missing_section_is_named(write: Write) -> None:
    assert faults(write("seed = 1")) == {"data": "is missing.", "features": "is missing.", "fusion": "is missing."}
