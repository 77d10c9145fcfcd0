"""What the components of a file complain of is a fault of the file, told before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sertk.cli import main
from sertk.config.files import load_any
from sertk.errors import ConfigError
from sertk.preflight.find import component_faults

Write = Callable[..., Path]
COMBINATION = '[aggregator]\nuse = "{use}"\n{options}\n[data]\nmanifest = "m.jsonl"\n'
NAMED = "fusion={ use = 'named_fusion', speech = 'nonsense' }"
LATE = "fusion={ use = 'named_fusion', speech = 'nonsense', late = true }"


def faults(path: Path, *sets: str) -> dict[str, str]:
    return {fault.place: fault.message for fault in component_faults(load_any(path, sets))}


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        (NAMED, "fusion.speech", "\"nonsense\" is not valid: KeyError: 'nonsense'"),
        (LATE, "fusion.speech", "\"nonsense\" is not valid: KeyError: 'nonsense'"),
        ("fusion={ use = 'valued_fusion', scale = -1.0 }", "fusion.scale", "ValueError: scale must be above 0"),
        ("fusion={ use = 'late', width = 30, heads = 4 }", "fusion.heads", "must divide the width 30, got 4"),
        ("fusion={ use = 'late', width = 64, heads = 1, input_layers = { video = 3 } }", "fusion.input_layers",
         "names video; the modalities are speech, words"),
        ("stage.full.sampler={ use = 'picky_sampler', batch_size = 6 }", "stage.full.sampler.batch_size",
         "6 is not valid: ValueError: batch_size must be a multiple of 4, got 6"),
        ("stage.full.loss=[{ use = 'kl' }, { use = 'late_loss', reduction = 'sum' }]", "stage.full.loss[1].reduction",
         "\"sum\" is not valid: KeyError: 'sum'"),
        ("stage.full.optimizer={ use = 'sgd', nesterov = true }", "stage.full.optimizer.momentum",
         "0.0 is not valid: ValueError: Nesterov momentum requires a momentum and zero dampening"),
        ("stage.full.optimizer={ use = 'picky_optimizer', warmup = -1 }", "stage.full.optimizer.warmup",
         "-1 is not valid: ValueError: warmup must not be below 0, got -1"),
        ("stage.full.regularizers=[{ use = 'picky_regularizer', low = 2.0 }]", "stage.full.regularizers[0]",
         "'picky_regularizer' cannot be used: ValueError: low must not be above high"),
        ("stage.full.regularizers=[{ use = 'spec_augment', modalities = ['nonsense'] }]",
         "stage.full.regularizers[0]", "spec_augment: no modality nonsense. Known: speech, words."),
    ],
)  # fmt: skip
def test_a_complaint_is_a_fault_at_its_place(write: Write, change: str, place: str, message: str) -> None:
    found = faults(write(), change)
    assert list(found) == [place]
    assert message in found[place]


@pytest.mark.parametrize(
    "change",
    [
        "fusion={ use = 'named_fusion' }",
        "fusion={ use = 'valued_fusion' }",
        "fusion={ use = 'exact_fusion' }",  # the width of features is not known yet
        "fusion={ use = 'late', width = 64, input_layers = { speech = 25, words = 29 } }",
        "stage.full.loss=[{ use = 'counted_loss', weights = [1, 1, 1] }]",  # nor are the classes
        "stage.full.loss=[{ use = 'cross_entropy', class_weight_power = 0.5 }, { use = 'attribute_mse' }]",
        "stage.full.sampler={ use = 'by_length', batch_size = 512 }",
        "data.train=['train', 'more']",
        "head.attributes=['arousal', 'warmth']",
    ],
)
def test_what_only_data_can_tell_is_no_fault(write: Write, change: str) -> None:
    assert faults(write(), change) == {}


def test_faults_of_several_components_come_together(write: Write) -> None:
    sets = [NAMED, "stage.full.sampler={ use = 'picky_sampler', batch_size = 6 }"]
    assert list(faults(write(), *sets)) == ["fusion.speech", "stage.full.sampler.batch_size"]


def test_an_encoder_and_an_aggregator_are_built(write: Write) -> None:
    encoder = write('[encoder]\nuse = "picky_encoder"\nbands = 50\n', "encoder.toml")
    assert faults(encoder) == {"encoder.bands": "50 is not valid: OverflowError: bands = 50 are more than 40"}
    noisy = write('[encoder]\nuse = "noisy_encoder"\n', "noisy.toml")
    assert faults(noisy) == {"encoder": "no bank of 8 bands"}
    aggregator = write(COMBINATION.format(use="picky_aggregator", options='norm = "l3"'), "combine.toml")
    assert faults(aggregator) == {"aggregator.norm": "\"l3\" is not valid: AssertionError: there is no norm 'l3'"}


@pytest.mark.plugins
def test_components_that_an_aggregator_names_are_built_too(write: Write) -> None:
    options = 'sampler = { use = "picky_sampler", batch_size = 6 }\nloss = [{ use = "late_loss", reduction = "sum" }]'
    path = write(COMBINATION.format(use="meta_classifier", options=options), "combine.toml")
    assert list(faults(path)) == ["aggregator.sampler.batch_size", "aggregator.loss[0].reduction"]


def test_weights_are_neither_loaded_nor_fetched(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("asked the hub"))
    for use in ("hf_speech", "hf_text"):
        assert faults(write(f'[encoder]\nuse = "{use}"\nmodel = "lab/model"\n', "encoder.toml")) == {}
    gone = faults(write('[encoder]\nuse = "hf_speech"\nmodel = "/no/such/folder"\n', "encoder.toml"))
    assert "there is no such folder" in gone["encoder"]


def test_a_checkpoint_of_the_wrong_architecture_is_found_without_its_weights(
    write: Write, tiny: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny("roberta")
    monkeypatch.setattr("safetensors.torch.load_file", lambda *_, **__: pytest.fail("loaded weights"))
    found = faults(write(f'[encoder]\nuse = "hf_speech"\nmodel = "{folder}"\n', "encoder.toml"))
    assert "a 'roberta' is none of wavlm, hubert" in found["encoder"]
    assert faults(write(f'[encoder]\nuse = "hf_text"\nmodel = "{folder}"\n', "encoder.toml")) == {}


@pytest.mark.parametrize(
    "words",
    [
        ("check", "{file}"),
        ("train", "{file}", "--out", "model"),
        ("train", "{file}", "{file}", "--into", "members", "--jobs", "2"),
    ],
)
def test_every_verb_names_file_and_option_before_it_reads_any_data(
    words: tuple[str, ...], write: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    path = write().rename(tmp_path / "mine.toml")
    path.write_text(path.read_text().replace('"concat"', '"named_fusion"\nspeech = "nonsense"'))
    assert main([word.format(file=path) for word in words]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error {path}: 1 fault\n  fusion.speech  \"nonsense\" is not valid: KeyError: 'nonsense'")
    assert "unexpected" not in said
    assert list(tmp_path.iterdir()) == [path]


def test_extract_combine_and_transcribe_say_whose_option_it_is(
    write: Write, tiny_store: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    manifest = str(tiny_store / "manifest.jsonl.gz")
    encoder = write('[encoder]\nuse = "picky_encoder"\nbands = 50\n', "encoder.toml")
    combine = write(COMBINATION.format(use="picky_aggregator", options='norm = "l3"'), "combine.toml")
    out = str(tmp_path / "out")
    for words, start in (
        (["extract", str(encoder), "--manifest", manifest, "--into", out], f"{encoder}: 1 fault\n  encoder.bands"),
        (["combine", str(combine), "none.csv", "--out", out], f"{combine}: 1 fault\n  aggregator.norm"),
        (
            [
                "transcribe",
                manifest,
                "--out",
                f"{out}.jsonl",
                "--use",
                "picky_transcriber",
                "--set",
                "alphabet=greek",
            ],
            "transcriber 'picky_transcriber': 1 fault\n  alphabet  \"greek\" is not valid: LookupError",
        ),
    ):
        assert main(words) == 1
        assert capsys.readouterr().err.startswith(f"error {start}")


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ('use = "logmel"\nmels = 0\nhop_ms = -1.0\nsample_rate = 10', ["sample_rate", "mels", "hop_ms"]),
        ('use = "hashed_text"\ndim = 0\nshortest = 0', ["dim", "shortest"]),
    ],
)
def test_an_encoders_options_have_their_bounds(write: Write, text: str, places: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_any(write(f"[encoder]\n{text}\n", "encoder.toml"))
    assert {fault.place for fault in caught.value.faults} == {f"encoder.{place}" for place in places}
    assert all(fault.message.startswith("should be a") for fault in caught.value.faults)
