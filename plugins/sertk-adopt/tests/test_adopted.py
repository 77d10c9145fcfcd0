"""Adopted checkpoints answer as their published heads do, and are refused where a tensor is not what it should be."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sertk_adopt.adopt import AdoptWarning, adopt
from sertk_adopt.contract import AdoptError

import sertk
from sertk.checkpoint import Checkpoint
from sertk.cli import main
from sertk.compat import import_transformers
from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.errors import CheckpointError, OutputError, SertkError
from sertk.testing import checks

Samples = NDArray[np.float32]
Make = Callable[[str], Any]
NAMES = ("superb-wav2vec2-base", "dusha-hubert-large", "stock-wavlm-large", "stock-data2vec", "firdhokk-whisper")
NAMES += ("audeering", "ehcalabres", "ehcalabres-tanh", "soxan-hubert-max", "soxan-wav2vec2-sum")
NAMES += ("odyssey-categorical", "odyssey-attributes", "vox-wavlm", "vox-wavlm-lora", "vox-wavlm-merged")
NAMES += ("vox-whisper", "vox-whisper-dim")


def answers(folder: Path, sounds: list[Samples], **options: Any) -> list[list[float]]:
    """What a model says of recordings, in one call."""
    recordings = [Recording(Utterance(f"s{n}", "none"), {16_000: wave}) for n, wave in enumerate(sounds)]
    found, faults = sertk.load(folder, device="cpu").predict_recordings(recordings, **options)
    assert not faults
    return np.concatenate([found.emotion, found.attributes], axis=1).tolist()


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_those_of_the_published_head(
    name: str, published: Make, adopted: Make, sounds: list[Samples]
) -> None:
    checkpoint = published(name)
    expected = [checkpoint.plain(checkpoint.folder, wave) for wave in sounds]
    assert answers(adopted(name), sounds) == pytest.approx(np.array(expected), abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_answers_do_not_depend_on_the_batch(name: str, adopted: Make, sounds: list[Samples]) -> None:
    alone = answers(adopted(name), sounds, max_batch=1)
    assert answers(adopted(name), sounds, max_batch=3) == pytest.approx(np.array(alone), abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_one_renamed_tensor_is_refused_by_its_name(name: str, published: Make, tmp_path: Path) -> None:
    checkpoint = published(name)
    kept = checkpoint.weights
    used = [each for each in kept if "masked_spec_embed" not in each and ".decoder." not in each]
    first = min(used)
    for tensor in {
        first,
        *(each for each in used if each.startswith(("classifier.", "ser_model.out", "emotion_layer"))),
    }:
        folder = copied(checkpoint.folder, tmp_path / f"{len(tensor)}-{tensor}")
        other = dict(kept)
        other[f"{tensor}_renamed"] = other.pop(tensor)
        save_file(other, folder / "model.safetensors")
        with pytest.raises(AdoptError, match=re.escape(tensor)):
            adopt(str(folder), tmp_path / "model", **checkpoint.options)
        assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", ["ehcalabres", "audeering"])
def test_the_stock_class_draws_such_a_head_anew_and_adopting_keeps_it(
    name: str, published: Make, adopted: Make, sounds: list[Samples]
) -> None:
    folder = published(name).folder
    settings = json.loads((folder / "config.json").read_text())
    settings = {key: value for key, value in settings.items() if value is not None}  # as transformers 5 wants them
    other = copied(folder, folder.with_name(f"{name}-stock"))
    (other / "config.json").write_text(json.dumps(settings))
    transformers = import_transformers()
    answered = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model, info = transformers.AutoModelForAudioClassification.from_pretrained(other, output_loading_info=True)
        assert {key.split(".")[0] for key in info["missing_keys"]} >= {"projector", "classifier"}
        assert any(key.startswith("classifier.dense") for key in info["unexpected_keys"])
        with torch.no_grad():
            answered.append(model.eval()(torch.from_numpy(sounds[0])[None]).logits[0].softmax(-1))
    classes = len(answered[0])
    assert not torch.allclose(*answered)  # another head with every seed
    uncertain = -(answered[0] * answered[0].log()).sum() / np.log(classes)
    assert uncertain > 0.98  # chance
    first = answers(adopted(name), sounds[:1])
    assert first == pytest.approx(np.array([published(name).plain(folder, sounds[0])]), abs=1e-5)


def test_a_head_that_the_stock_class_has_drawn_anew_is_warned_of(
    published: Make, sounds: list[Samples], tmp_path: Path
) -> None:
    folder = published("dusha-hubert-large").folder
    settings = json.loads((folder / "config.json").read_text())
    model = import_transformers().AutoModelForAudioClassification.from_config(
        import_transformers().HubertConfig(**settings)
    )
    lost = copied(folder, tmp_path / "lost")
    model.save_pretrained(lost)
    with pytest.warns(AdoptWarning, match="nearly uniform"):
        adopt(str(lost), tmp_path / "model")


def test_the_scale_of_attributes_is_the_one_asked_for(published: Make, adopted: Make, sounds: list[Samples]) -> None:
    for name in ("audeering", "odyssey-attributes", "vox-whisper-dim"):
        checkpoint = published(name)
        out = checkpoint.folder.with_name(f"{name}-of-7")
        made = adopt(str(checkpoint.folder), out, range=(1.0, 7.0), **checkpoint.options)
        assert made.labels == ()
        assert Checkpoint.load(out).card.ranges == dict.fromkeys(made.attributes, (1.0, 7.0))
        unit = np.array(answers(adopted(name), sounds))
        assert answers(out, sounds) == pytest.approx(1 + 6 * unit, abs=1e-4)


def test_the_card_says_what_was_adopted_and_what_was_left_out(published: Make, tmp_path: Path) -> None:
    checkpoint = published("vox-wavlm")
    folder = copied(checkpoint.folder, tmp_path / "vox")
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: bigscience-openrail-m\n---\n# Vox\n")
    made = adopt(str(folder), tmp_path / "model", **checkpoint.options)
    assert made.licence == "bigscience-openrail-m"
    assert {name.partition(".")[0] for name in made.unused} == {"detailed_out_layer", "backbone_model"}
    card = Checkpoint.load(made.folder).card
    assert not card.challenge_legal
    assert card.labels[-1] == "other"
    assert card.notes["licence"] == "bigscience-openrail-m"
    page = (made.folder / "README.md").read_text()
    assert "bigscience-openrail-m" in page
    assert "Challenge-legal (no encoder trained on emotion labels): no" in page


def test_what_is_adopted_already_is_up_to_date(published: Make, tmp_path: Path) -> None:
    folder = copied(published("superb-wav2vec2-base").folder, tmp_path / "superb")
    out = tmp_path / "model"
    assert not adopt(str(folder), out).up_to_date
    assert adopt(str(folder), out).up_to_date
    assert not adopt(str(folder), out, labels=("n", "h", "a", "s")).up_to_date
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, "classifier.bias": tensors["classifier.bias"] + 1}, folder / "model.safetensors")
    assert not adopt(str(folder), out, labels=("n", "h", "a", "s")).up_to_date
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    with pytest.raises(OutputError):
        adopt(str(folder), tmp_path / "mine")


def test_a_model_goes_where_it_is_copied_and_needs_nothing_else(
    published: Make, adopted: Make, sounds: list[Samples], tmp_path: Path
) -> None:
    before = answers(adopted("dusha-hubert-large"), sounds)
    shutil.copytree(adopted("dusha-hubert-large"), tmp_path / "elsewhere")
    assert answers(tmp_path / "elsewhere", sounds) == before
    weights = tmp_path / "elsewhere" / "encoders" / "speech" / "model.safetensors"
    tensors = load_file(weights)
    name = next(iter(tensors))
    save_file({**tensors, name: tensors[name] + 1}, weights)
    with pytest.raises(CheckpointError, match="not the one the model was trained with"):
        sertk.load(tmp_path / "elsewhere", device="cpu")


@pytest.mark.parametrize("settings", [{"num_hidden_layers": 100_000}, {"hidden_size": 1_000_000}])
def test_a_hostile_folder_is_refused_before_it_takes_memory(
    settings: dict[str, int], published: Make, adopted: Make, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(adopted("dusha-hubert-large"), tmp_path / "model"))
    copied(model / "encoders" / "speech", model / "encoders" / "speech", **settings)
    with pytest.raises(SertkError):
        sertk.load(model, device="cpu")
    source = copied(published("dusha-hubert-large").folder, tmp_path / "source", **settings)
    with pytest.raises(SertkError):
        adopt(str(source), tmp_path / "out")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 << 20  # KiB


def test_a_pipe_in_the_place_of_settings_is_refused(adopted: Make, tmp_path: Path) -> None:
    model = Path(shutil.copytree(adopted("dusha-hubert-large"), tmp_path / "model"))
    (model / "encoders" / "speech" / "config.json").unlink()
    os.mkfifo(model / "encoders" / "speech" / "config.json")
    with pytest.raises(CheckpointError, match="not a regular file"):
        sertk.load(model, device="cpu")


@pytest.mark.parametrize(
    ("name", "without", "message"),
    [
        ("audeering", "pooling", "no file says how frames are pooled"),
        ("ehcalabres", "activation", "no file says whether a tanh"),
        ("vox-wavlm-lora", "lora", "no file says whether its weights contain"),
        ("vox-wavlm-merged", "labels", "does not name its 17 outputs"),
        ("odyssey-categorical", "encoder", "has no settings of its encoder"),
    ],
)
def test_what_only_the_user_knows_is_asked_for(
    name: str, without: str, message: str, published: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    checkpoint = published(name)
    options = {key: value for key, value in checkpoint.options.items() if key != without}
    with pytest.raises(AdoptError, match=message):
        adopt(str(checkpoint.folder), tmp_path / "model", **options)


def test_bad_input_is_refused_with_what_would_be_right(published: Make, tmp_path: Path) -> None:
    folder = published("dusha-hubert-large").folder

    def refused(place: Path | str, *words: str, **options: Any) -> None:
        with pytest.raises(SertkError) as caught:
            adopt(str(place), tmp_path / "model", **options)
        for word in words:
            assert word in str(caught.value)

    refused(tmp_path / "nothing", "there is no folder")
    refused("owner/name", "hf:owner/name")
    refused("hf:nobody/nothing@refs/pr/9", "refs/pr/9", "hf download")
    bare = copied(folder, tmp_path / "bare")
    (bare / "preprocessor_config.json").unlink()
    refused(bare, "preprocessor_config.json", "normalised")
    unnamed = copied(folder, tmp_path / "unnamed", id2label={str(n): f"LABEL_{n}" for n in range(4)})
    refused(unnamed, "--labels")
    refused(unnamed, "4 outputs, but 2 names", labels=("a", "b"))
    refused(folder, "--lora is not for this checkpoint", lora="merged")
    refused(folder, "--range says nothing", range=(1.0, 7.0))
    other = copied(folder, tmp_path / "other", auto_map={"AutoModel": "code.Model"})
    save_file({"net.head.weight": torch.ones(4, 4)}, other / "model.safetensors")
    refused(other, "no known shape", "net (1)", "auto_map", "write an adopter")
    nan = copied(folder, tmp_path / "nan")
    tensors = load_file(nan / "model.safetensors")
    save_file({**tensors, "projector.bias": tensors["projector.bias"] * float("nan")}, nan / "model.safetensors")
    refused(nan, "not finite")
    wider = copied(folder, tmp_path / "wider", intermediate_size=96)
    refused(wider, "by config.json it should be")
    pickled = copied(folder, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    refused(pickled, "pytorch_model.bin", "sertk convert")


def test_the_verb_says_what_it_made(published: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = published("vox-wavlm-merged")
    words = ["adopt", str(checkpoint.folder), "--into", str(tmp_path / "model"), "--lora", "merged"]
    words += ["--head", "secondary", "--labels", ",".join(checkpoint.options["labels"])]
    words += ["--encoder", checkpoint.options["encoder"], "--licence", "mine"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "vox_profile: class-0" in out
    assert "lora_A: already in the weights" in out
    assert "licence  mine" in out
    assert main(words) == 0
    assert "up to date" in capsys.readouterr().out
    assert main(["why", str(tmp_path / "model")]) == 0
    assert "up to date" in capsys.readouterr().out


@pytest.mark.parametrize("check", checks("fusion", "adopted", options={"frame_widths": [12, 9], "widths": [8]}))
def test_the_fusion_keeps_its_contract(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize(
    "check", checks("fusion", "adopted", options={"pooling": "attentive_statistics", "widths": [8], "norm": True})
)
def test_the_fusion_of_attentive_statistics_keeps_its_contract(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("check", checks("fusion", "adopted", options={"pooling": "max", "activation": "tanh"}))
def test_the_fusion_of_maxima_keeps_its_contract(check: Callable[[], None]) -> None:
    check()


def copied(folder: Path, place: Path, **settings: Any) -> Path:
    """A copy of a checkpoint, with other settings."""
    if place != folder:
        shutil.copytree(folder, place)
    path = place / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    return place
