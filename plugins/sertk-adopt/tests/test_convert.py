"""Pickled weights become safetensors without a line of theirs being run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sertk_adopt.adopt import adopt
from sertk_adopt.convert import ConvertError, convert

import sertk
from sertk.cli import main
from sertk.errors import SertkError

Make = Callable[[str], Any]


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


def pickled(folder: Path, tensors: Any, name: str = "pytorch_model.bin") -> Path:
    folder.mkdir(exist_ok=True)
    torch.save(tensors, folder / name)
    return folder


def test_a_converted_checkpoint_is_adopted_and_answers_alike(
    published: Make, sounds: list[Any], tmp_path: Path
) -> None:
    checkpoint = published("superb-wav2vec2-base")
    folder = tmp_path / "pickled"
    shutil.copytree(checkpoint.folder, folder)
    (folder / "model.safetensors").unlink()
    pickled(folder, checkpoint.weights)
    with pytest.raises(SertkError, match="sertk convert"):
        adopt(str(folder), tmp_path / "model")
    made = convert(str(folder), tmp_path / "safe")
    assert made.tensors == len(checkpoint.weights)
    adopt(str(tmp_path / "safe"), tmp_path / "model")
    prediction = sertk.load(tmp_path / "model", device="cpu").predict(sounds[0], 16_000)
    expected = checkpoint.plain(checkpoint.folder, sounds[0])
    assert [*prediction.probabilities.values()] == pytest.approx(np.array(expected), abs=1e-5)
    assert convert(str(folder), tmp_path / "safe").up_to_date


def test_a_hostile_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    folder = pickled(tmp_path / "hostile", {"weight": torch.ones(2), "code": Hostile(tmp_path / "was run")})
    with pytest.raises(ConvertError, match="holds more than tensors"):
        convert(str(folder), tmp_path / "safe")
    assert not (tmp_path / "was run").exists()
    assert not (tmp_path / "safe" / "model.safetensors").exists()


def test_shards_shared_memory_and_wrappers_are_read(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    folder = pickled(tmp_path / "shards", {"a": shared, "b": shared[:3]}, "pytorch_model-00001-of-00002.bin")
    pickled(folder, {"c": torch.ones(2, 2).T}, "pytorch_model-00002-of-00002.bin")
    convert(str(folder), tmp_path / "one")
    found = load_file(tmp_path / "one" / "model.safetensors")
    assert {name: tensor.tolist() for name, tensor in found.items()} == {
        "a": [0, 1, 2, 3, 4, 5],
        "b": [0, 1, 2],
        "c": [[1, 1], [1, 1]],
    }
    trainer = pickled(tmp_path / "trainer", {"epoch": 7, "state_dict": {"w": torch.ones(2), "n": 3}}, "best.ckpt")
    made = convert(str(trainer), tmp_path / "two")
    assert made.left_out == {"epoch": "int", "n": "int"}
    assert [*load_file(tmp_path / "two" / "model.safetensors")] == ["w"]


def test_what_has_no_tensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "model.pt").write_text("no pickle at all")
    both = pickled(pickled(tmp_path / "two", {"w": torch.ones(1)}, "a.pt"), {"w": torch.ones(1)}, "b.pt")
    for folder, message in (
        (tmp_path / "nowhere", "there is no folder"),
        (tmp_path / "empty", "has no pickled weights"),
        (tmp_path / "text", "not read|cannot be read"),
        (both, "which of a.pt, b.pt"),
        (pickled(tmp_path / "list", [torch.ones(1)], "a.pt"), "holds a list"),
        (pickled(tmp_path / "numbers", {"epoch": 3}, "a.pt"), "holds no tensors"),
    ):
        with pytest.raises(ConvertError, match=message):
            convert(str(folder), tmp_path / "out")


def test_the_process_has_no_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sertk_adopt import convert as module

    monkeypatch.setenv("HF_TOKEN", "secret")
    given: list[dict[str, str]] = []
    run = module.subprocess.run
    monkeypatch.setattr(module.subprocess, "run", lambda *a, **k: (given.append(k["env"]), run(*a, **k))[1])
    convert(str(pickled(tmp_path / "p", {"w": torch.ones(1)})), tmp_path / "out")
    assert "secret" not in given[0].values()


def test_the_verb_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = pickled(tmp_path / "p", {"state_dict": {"w": torch.ones(1)}, "epoch": 1})
    assert main(["convert", str(folder), "--into", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "1 tensors" in shown
    assert "left out  epoch: int" in shown
