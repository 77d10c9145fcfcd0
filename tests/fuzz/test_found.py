"""What fuzzing found, each as small as it gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sertk_msp_podcast.consensus import read_consensus
from sertk_msp_podcast.ratings import read_detailed
from sertk_msp_podcast.submission import check_submission

from sertk.checkpoint import read_history
from sertk.config.files import load_any
from sertk.ensemble.predictions import Predictions
from sertk.errors import CheckpointError, ConfigError, DataError, EncoderError, SertkError, StoreError, TrainingError
from sertk.features.index import Shard, read_shard
from sertk.features.store import StoreCard
from sertk.hub import check_folder
from sertk.training.state import read_progress

DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("name", "read", "error"),
    [
        ("labels_consensus.json", read_consensus, DataError),
        ("labels_detailed.json", read_detailed, DataError),
        ("p.jsonl", Predictions.read, DataError),
        ("history.jsonl", lambda path: read_history(path.parent), CheckpointError),
        ("config.json", lambda path: check_folder(path.parent, "x"), EncoderError),
    ],
)
def test_deeply_nested_json_is_refused(
    tmp_path: Path, name: str, read: Callable[[Path], object], error: type[SertkError]
) -> None:
    (tmp_path / name).write_text(DEEP)
    with pytest.raises(error, match="nested too deeply"):
        read(tmp_path / name)


def test_deeply_nested_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(f"a = {DEEP}")
    with pytest.raises(ConfigError, match="nested too deeply"):
        load_any(tmp_path / "x.toml")


def test_a_deeply_nested_header_of_a_shard_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "shard-00000.safetensors"
    path.write_bytes(len(DEEP).to_bytes(8, "little") + DEEP.encode())
    card = StoreCard("e", {}, "f", "speech", 2, 1.0, "float32")
    with pytest.raises(StoreError, match="header cannot be read"):
        read_shard(tmp_path, Shard(path.name, "", 1, path.stat().st_size), card)


@pytest.mark.parametrize("weight_map", [None, [], {"a": None}, {"a": ["x"]}, {"a": "../../x"}])
def test_an_index_of_pretrained_weights_without_a_map_is_refused(tmp_path: Path, weight_map: object) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "wavlm"}')
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(EncoderError, match=r"model\.safetensors"):
        check_folder(tmp_path, "x")


@pytest.mark.parametrize("progress", [None, [], 3, "x"])
def test_a_training_state_without_progress_is_damaged(tmp_path: Path, progress: object) -> None:
    (tmp_path / "000001").mkdir()
    text = json.dumps({"progress": progress, "scaler": None, "sha256": {}})
    (tmp_path / "000001" / "progress.json").write_text(text)
    with pytest.raises(TrainingError, match="to start again"):
        read_progress(tmp_path)


@pytest.mark.parametrize("text", ['"W1; Happy; ,\nb.wav,"x', '"a\rb"c', '"' * 3, '"' + "x" * 200_000 + '"'])
def test_a_rating_whose_quotes_do_not_close_is_a_fault(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels_detailed.csv"
    path.write_text(f"FileName,EmoDetail\na.wav,{text}\n", newline="")
    assert read_detailed(path).faults


@pytest.mark.parametrize("text", ['",emotion,Angry\na,Angry,1.0', "a" * 200_000, 'id,emotion,Angry\na,Angry,"1.0'])
def test_predictions_that_are_no_csv_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(DataError, match=r"p\.csv"):
        Predictions.read(tmp_path / "p.csv")


def test_a_submission_with_an_endless_cell_has_faults(tmp_path: Path) -> None:
    (tmp_path / "task1.csv").write_text(f"FileName,EmoClass\na.wav,{'A' * 200_000}\n")
    assert check_submission(tmp_path, ["a"])
