"""Adopted checkpoints answer as their published heads do, and are refused where a tensor is not what it should be."""

from __future__ import annotations

import json
import re
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
from sertk.errors import CheckpointError, OutputError

Samples = NDArray[np.float32]
Make = Callable[[str], Any]
Copy = Callable[..., Path]
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
def test_one_renamed_tensor_is_refused_by_its_name(name: str, published: Make, tmp_path: Path, copied: Copy) -> None:
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
    name: str, published: Make, adopted: Make, sounds: list[Samples], copied: Copy
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
    published: Make, sounds: list[Samples], tmp_path: Path, copied: Copy
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


def test_the_card_says_what_was_adopted_and_what_was_left_out(published: Make, tmp_path: Path, copied: Copy) -> None:
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


def test_what_is_adopted_already_is_up_to_date(published: Make, tmp_path: Path, copied: Copy) -> None:
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
