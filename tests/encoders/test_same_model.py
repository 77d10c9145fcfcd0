"""One model is one fingerprint, in whatever precision, in how many files and with what said of its saving."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers", reason="needs the extra hf")

from safetensors.torch import load_file, save_file

from sertk import digests, pretrained
from sertk.compat import import_transformers
from sertk.errors import EncoderError
from sertk.hub import check_folder
from sertk.pretrained import tensors_digest

Tiny = Callable[[str], Path]
Change = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def prints(folder: Path) -> list[str]:
    """What speech encoders and transcribers go by."""
    checkpoint = check_folder(folder, "x")
    return [checkpoint.fingerprint({}, tokenizer=tokenizer) for tokenizer in (False, True)]


def saved(tiny: Tiny, folder: Path, dtype: torch.dtype, **more: object) -> Path:
    """The tiny Whisper as transformers saves it again."""
    shutil.copytree(tiny("whisper"), folder)
    whisper = import_transformers().WhisperForConditionalGeneration
    whisper.from_pretrained(tiny("whisper"), dtype=dtype).save_pretrained(folder, **more)
    return folder


def test_float32_float16_and_shards_are_one_model(tiny: Tiny, tmp_path: Path) -> None:
    full = saved(tiny, tmp_path / "full", torch.float32)
    half = saved(tiny, tmp_path / "half", torch.float16)
    parts = saved(tiny, tmp_path / "parts", torch.float32, max_shard_size="100KB")
    (parts / "model.safetensors").unlink()
    assert len(check_folder(parts, "x").weights) > 2
    assert (full / "model.safetensors").stat().st_size > 1.8 * (half / "model.safetensors").stat().st_size
    assert prints(full) == prints(half) == prints(parts)


@pytest.mark.parametrize("key", ["torch_dtype", "dtype", "_name_or_path", "transformers_version"])
def test_what_a_configuration_says_of_saving_does_not_count(key: str, tiny: Tiny, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny("whisper"), tmp_path / "whisper")
    before = prints(folder)
    for name in ("config.json", "generation_config.json"):
        config = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**config, key: "another"}))
    assert prints(folder) == before


def test_settings_count_for_whoever_reads_them(tiny: Tiny, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny("whisper"), tmp_path / "whisper")
    speech, words = prints(folder)
    config = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**config, "max_length": 7}))
    assert prints(folder)[0] == speech
    assert prints(folder)[1] != words
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "activation_function": "relu"}))
    assert prints(folder)[0] != speech


VALUES = {"a": torch.tensor([[0.1, -0.0], [3.0, 1e-9]]), "n": torch.tensor([3])}


def digest(folder: Path, tensors: dict[str, Tensor]) -> str:
    save_file(tensors, folder / "model.safetensors")
    return tensors_digest([folder / "model.safetensors"])


@pytest.mark.parametrize(
    "change",
    [
        lambda v: {**v, "a": v["a"] + 0.01},
        lambda v: {**v, "a": v["a"].reshape(1, 4)},
        lambda v: {**v, "n": v["n"] + 1},
        lambda v: {"n": v["n"]},
        lambda v: {"b": v["a"], "n": v["n"]},
        lambda v: {**v, "n": v["n"].to(torch.float32)},
    ],
    ids=["a value", "a shape", "a whole number", "one less", "a name", "a number of another kind"],
)
def test_another_model_has_another_digest(change: Change, tmp_path: Path) -> None:
    assert digest(tmp_path, VALUES) != digest(tmp_path, change(VALUES))


def test_bfloat16_counts_by_its_values(tmp_path: Path) -> None:
    values = {"a": torch.tensor([0.1, 2.0, 7e4, 1e30]).bfloat16()}
    assert digest(tmp_path, values) == digest(tmp_path, {"a": values["a"].float()})


def test_values_beyond_float16_are_told_apart(tmp_path: Path) -> None:
    values = [{"a": torch.tensor([1.0, value])} for value in (7e4, 8e4, float("inf"))]
    assert len({digest(tmp_path, each) for each in values}) == 3
    assert digest(tmp_path, values[2]) == digest(tmp_path, {"a": values[2]["a"].half()})


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERTK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "SETTLED_SECONDS", 0.0)
    reads: list[Path] = []
    read = pretrained._tensor_digests
    monkeypatch.setattr(pretrained, "_tensor_digests", lambda path: reads.append(path) or read(path))
    first = digest(tmp_path, VALUES)
    assert digests.file_digest(tmp_path / "model.safetensors") != first
    assert tensors_digest([tmp_path / "model.safetensors"]) == first
    assert len(reads) == 1
    assert digest(tmp_path, {**VALUES, "a": VALUES["a"] + 1}) != first
    assert len(reads) == 2


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"no tensors at all")
    with pytest.raises(EncoderError, match=r"model.safetensors: cannot be loaded as safetensors"):
        tensors_digest([tmp_path / "model.safetensors"])


def test_the_digest_is_that_of_the_tensors_whatever_wrote_them(tiny: Tiny, tmp_path: Path) -> None:
    file = tiny("whisper") / "model.safetensors"
    assert digest(tmp_path, load_file(file)) == tensors_digest([file])
