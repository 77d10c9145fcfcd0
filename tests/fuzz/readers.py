"""Every reader of files that may come from elsewhere, with real files for it to read."""

from __future__ import annotations

import gzip
import io
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from sertk_msp_podcast.consensus import read_consensus, read_text
from sertk_msp_podcast.labels import MSP_PODCAST
from sertk_msp_podcast.lists import read_partitions, read_speakers
from sertk_msp_podcast.ratings import read_detailed
from sertk_msp_podcast.submission import check_submission

from sertk.checkpoint import Checkpoint, read_history
from sertk.config.files import load_any, load_combination, load_encoder_file, load_experiment
from sertk.data.audio import audio_info, read_audio
from sertk.data.headers import header
from sertk.data.manifest import Manifest
from sertk.data.targets import label_table
from sertk.data.validation import fix, validate
from sertk.ensemble.predictions import Predictions
from sertk.errors import AudioError, SertkError
from sertk.experiment import run
from sertk.features.card import read_card as read_store_card
from sertk.features.index import read_failures, read_index
from sertk.features.repair import remove_damaged
from sertk.features.store import FeatureStore
from sertk.files import damaged
from sertk.hub import check_folder
from sertk.provenance import Provenance, is_whole, read_record
from sertk.recipes.stages import read_stages
from sertk.training.progress import resumed


@dataclass(frozen=True)
class Reader:
    """read: given a folder with `files`, of which one was changed, and that one's path."""

    files: dict[str, bytes]
    read: Callable[[Path, Path], object]
    targets: tuple[str, ...] = ()

    @property
    def changeable(self) -> tuple[str, ...]:
        return self.targets or tuple(self.files)

    def meet(self, folder: Path, file: str, content: bytes) -> None:
        """Read a folder in which one file has other content. Nothing but a SertkError is let pass."""
        for other, right in self.files.items():
            (folder / other).parent.mkdir(parents=True, exist_ok=True)
            (folder / other).write_bytes(content if other == file else right)
        with suppress(SertkError):
            self.read(folder, folder / file)


def trained(tiny: Path, root: Path) -> tuple[Path, Path]:
    """Train a model on a tiny store; give its folder and that of its training state."""
    experiment = load_experiment(tiny / "experiment.toml", ["stage.full.epochs=1", "stage.second.epochs=1"])

    def keep(row: dict[str, Any]) -> None:
        shutil.copytree(root / "model" / "state", root / "state", dirs_exist_ok=True)

    run(experiment, root / "model", report=keep)
    return root / "model", root / "state"


def readers(corpus: Path, tiny: Path, model: Path, state: Path) -> dict[str, Reader]:
    """corpus: a toy corpus. tiny: a tiny store. model: a checkpoint trained on it. state: a training state of it."""
    manifest = gzip.decompress((tiny / "manifest.jsonl.gz").read_bytes())
    head = b"\n".join(manifest.splitlines()[:12]) + b"\n"
    store = folder_bytes(tiny / "features" / "words")
    checkpoint = {name: data for name, data in folder_bytes(model).items() if name != "SHA256SUMS"}
    return {
        "manifest": Reader({"m.jsonl": head, "m.jsonl.gz": gzip.compress(head)}, lambda _, path: read_manifest(path)),
        "label files": Reader(label_files(corpus), lambda _, path: read_labels(path)),
        "configuration": Reader(
            {
                "experiment.toml": (tiny / "experiment.toml").read_bytes(),
                "encoder.toml": b'dtype = "float16"\n[encoder]\nuse = "logmel"\nmels = 20\nstack = 8\n',
                "combine.toml": b'fit = "a"\n[aggregator]\nuse = "soft_vote"\n[data]\nmanifest = "m.jsonl"\n',
            },
            lambda _, path: read_config(path),
        ),
        "predictions": Reader(prediction_files(), lambda _, path: read_predictions(path)),
        "feature store": Reader(store, lambda folder, _: read_store(folder)),
        "store repair": Reader(store, lambda folder, _: repair_store(folder)),
        "checkpoint": Reader(checkpoint, lambda folder, _: read_checkpoint(folder)),
        "checkpoint with sums": Reader(folder_bytes(model), lambda folder, _: read_checkpoint(folder)),
        "training state": Reader(
            folder_bytes(state), lambda folder, _: read_state(folder), tuple(folder_bytes(state))
        ),
        "pretrained folder": Reader(
            {
                "config.json": json.dumps({"model_type": "wavlm", "id2label": {"0": "a"}}).encode(),
                "model.safetensors.index.json": json.dumps({"weight_map": {"a": "model-1.safetensors"}}).encode(),
                "model-1.safetensors": b"",
            },
            lambda folder, _: check_folder(folder, "x").emotion_trained,
            ("config.json", "model.safetensors.index.json"),
        ),
        "submission": Reader(submission_files(), lambda folder, _: check_submission(folder, ["a", "b", "c"])),
        "recipe": Reader({"run.sh": b"# stage 1: one - First\n# stage 2: two\n"}, lambda _, path: read_stages(path)),
        "wav": Reader(audio_files("wav"), lambda _, path: read_recording(path)),
        "flac": Reader(audio_files("flac"), lambda _, path: read_recording(path)),
        "ogg": Reader(audio_files("ogg"), lambda _, path: read_recording(path)),
        "mp3": Reader(audio_files("mp3"), lambda _, path: read_recording(path)),
    }


def folder_bytes(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def read_manifest(path: Path) -> None:
    manifest = Manifest.read(path)
    validate(manifest, audio=True)
    mended, _ = fix(manifest)
    mended.located()
    assert Manifest.read(path).fingerprint == manifest.fingerprint
    label_table(mended.utterances, mended.labels, mended.ranges, attributes=list(mended.ranges))


def label_files(corpus: Path) -> dict[str, bytes]:
    def some(path: str, lines: int) -> bytes:
        return b"\n".join((corpus / path).read_bytes().splitlines()[:lines]) + b"\n"

    def some_json(path: str) -> bytes:
        whole = json.loads((corpus / path).read_text())
        return json.dumps(dict(list(whole.items())[:3])).encode()

    return {
        "labels_consensus.csv": some("Labels/labels_consensus.csv", 8),
        "labels_consensus.json": some_json("Labels/labels_consensus.json"),
        "labels_detailed.csv": some("Labels/labels_detailed.csv", 12),
        "labels_detailed.json": some_json("Labels/labels_detailed.json"),
        "labels.txt": some("Labels/labels.txt", 20),
        "Partitions.txt": some("Partitions.txt", 8),
        "Speaker_ids.txt": some("Speaker_ids.txt", 60),
    }


def read_labels(path: Path) -> None:
    read = {
        "labels_consensus": read_consensus,
        "labels_detailed": read_detailed,
        "labels": read_text,
        "Partitions": read_partitions,
        "Speaker_ids": read_speakers,
    }
    read[path.stem](path)


def read_config(path: Path) -> None:
    {"experiment": load_experiment, "encoder": load_encoder_file, "combine": load_combination}[path.stem](path)
    load_any(path)


def prediction_files() -> dict[str, bytes]:
    rows = [("a", "Sad", 0.25, 0.75, 3.5), ("b", "Angry", 1.0, 0.0, None)]
    names = ("id", "emotion", "Angry", "Sad", "arousal")
    lines = [",".join(names), *(",".join("" if cell is None else str(cell) for cell in row) for row in rows)]
    objects = [json.dumps(dict(zip(names, row, strict=True))) for row in rows]
    return {"p.csv": "\n".join(lines).encode(), "p.jsonl": "\n".join(objects).encode()}


def read_predictions(path: Path) -> None:
    for labels in (None, MSP_PODCAST):
        said = Predictions.read(path, labels=labels)
        said.write(path.with_name(f"again{path.suffix}"))


def submission_files() -> dict[str, bytes]:
    return {
        "task1.csv": b"FileName,EmoClass\na.wav,A\nb.wav,N\nc.wav,S\n",
        "task2.csv": b"FileName,EmoAct,EmoVal,EmoDom\na.wav,1,2,3\nb.wav,4,5,6\nc.wav,7,1,2\n",
    }


def read_store(folder: Path) -> None:
    store = FeatureStore.open(folder)
    read_failures(folder)
    for id in list(store)[:5]:
        assert store[id].shape[1] == store.dim
    store.verify()


def repair_store(folder: Path) -> None:
    """What is left is whole: the second time there is nothing to remove."""
    card = read_store_card(folder)
    remove_damaged(folder, [""], card)
    assert remove_damaged(folder, [""], card) == []
    if not read_index(folder / "index.json").shards:
        return
    try:
        FeatureStore.open(folder).verify()
    except SertkError as error:
        raise AssertionError("a store that was mended is damaged") from error


def read_checkpoint(folder: Path) -> None:
    damaged(folder)
    if (record := read_record(folder)) is not None:
        is_whole(folder, record)
    read_history(folder)
    Checkpoint.load(folder).classifier()


def read_state(folder: Path) -> None:
    """As a resumed run does; a state of another run is removed, one of this is loaded."""
    import torch
    from torch import nn

    from sertk.training.state import load_state

    record = read_record(folder)
    progress = resumed(folder, record.made if record else Provenance("train", {}))
    model = nn.Linear(1, 1)
    load_state(folder, model, torch.optim.AdamW(model.parameters()), None)
    assert progress.epoch >= 0


def audio_files(kind: str) -> dict[str, bytes]:
    rng = np.random.default_rng(1)
    made = {}
    for name, rate, channels in (("mono", 16_000, 1), ("stereo", 8_000, 2)):
        samples = rng.normal(0, 0.1, (rate // 10, channels))
        written = io.BytesIO()
        soundfile.write(written, samples, rate, format=kind.upper())
        made[f"{name}.{kind}"] = written.getvalue()
    return made


def read_recording(path: Path) -> None:
    for look in (audio_info, header, lambda p: read_audio(p, start=0.01, duration=0.05)):
        with suppress(AudioError):
            look(path)
    samples = read_audio(path)
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
