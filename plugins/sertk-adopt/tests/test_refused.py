"""What cannot be adopted: hostile folders, and checkpoints that leave something to chance or to the user."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from sertk_adopt.adopt import adopt
from sertk_adopt.contract import AdoptError

import sertk
from sertk.errors import CheckpointError, SertkError

Make = Callable[[str], Any]
Copy = Callable[..., Path]


@pytest.mark.parametrize("settings", [{"num_hidden_layers": 100_000}, {"hidden_size": 1_000_000}])
def test_a_hostile_folder_is_refused_before_it_takes_memory(
    settings: dict[str, int], published: Make, adopted: Make, tmp_path: Path, copied: Copy
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


def test_bad_input_is_refused_with_what_would_be_right(published: Make, tmp_path: Path, copied: Copy) -> None:
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
