"""Files that mean harm: no pickle is run, no path leads out, no header takes the memory; and secrets stay secret."""

from __future__ import annotations

import pickle
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sertk.checkpoint import Checkpoint
from sertk.config.files import load_experiment
from sertk.data.audio import read_audio
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import AudioError, DataError, SertkError, StoreError
from sertk.experiment import run
from sertk.features.store import FeatureStore
from sertk.hub import check_folder

ROOT = Path(__file__).parents[2]
REACHABLE = re.compile(
    r"\b(import pickle|from pickle|cPickle|dill|joblib|shelve|marshal|torch\.load\(|torch\.save\(|allow_pickle\s*=\s*True"
    r"|yaml\.(unsafe_)?load\(|weights_only\s*=\s*False|trust_remote_code\s*=\s*True)"
)
SECRET = "hf_0000MARKER0000SECRET0000"


class Harm:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


UNPICKLES = ROOT / "plugins/sertk-adopt/sertk_adopt/unpickle.py"
"""What `sertk convert` runs in a process of its own, where torch builds tensors and nothing else."""


def test_no_source_can_reach_a_pickle() -> None:
    found = []
    for folder in ("sertk", "plugins", "recipes", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "tests" not in path.parts and path != UNPICKLES:
                for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                    if REACHABLE.search(line):
                        found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert found == []
    (load,) = [line for line in UNPICKLES.read_text(encoding="utf-8").splitlines() if "load(" in line]
    assert "torch.load(" in load
    assert "weights_only=True" in load


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_in_the_place_of_tensors_is_refused_and_not_run(
    tiny_store: Path, tmp_path: Path, protocol: int, count: Callable[..., None]
) -> None:
    mark = tmp_path / "harmed"
    harm = pickle.dumps(Harm(mark), protocol)
    store = Path(shutil.copytree(tiny_store / "features" / "words", tmp_path / "words"))
    (store / "shard-00000.safetensors").write_bytes(harm)
    with pytest.raises(StoreError, match=r"shard-00000\.safetensors"):
        FeatureStore.open(store)

    sets = ["stage.full.epochs=1", "stage.second.epochs=1"]
    experiment = load_experiment(tiny_store / "experiment.toml", sets)

    def spoil(row: dict[str, Any]) -> None:
        for path in (tmp_path / "model" / "state").rglob("*.safetensors"):
            path.write_bytes(harm)

    with pytest.raises(SertkError, match="state"):
        run(experiment, tmp_path / "model", report=spoil)
    shutil.rmtree(tmp_path / "model")
    run(experiment, tmp_path / "model")
    for sums in (True, False):
        (tmp_path / "model" / "model.safetensors").write_bytes(harm)
        if not sums:
            (tmp_path / "model" / "SHA256SUMS").unlink()
        with pytest.raises(SertkError, match="model"):
            Checkpoint.load(tmp_path / "model")

    pretrained = tmp_path / "pretrained"
    pretrained.mkdir()
    (pretrained / "config.json").write_text('{"model_type": "wavlm"}')
    (pretrained / "pytorch_model.bin").write_bytes(harm)
    with pytest.raises(SertkError, match="pickled"):
        check_folder(pretrained, "x")
    assert not mark.exists()
    pickle.loads(harm)
    assert mark.exists()  # it would have
    count("a pickle in the place of a shard, a state, weights, a pretrained model", 5)


def test_a_manifest_does_not_lead_out_of_its_folder(
    tiny_store: Path, tmp_path: Path, count: Callable[..., None]
) -> None:
    """Absolute paths and links are the owner's own doing: corpora lie elsewhere and are full of links."""
    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    (tmp_path / "link").symlink_to(tiny_store)
    climbing = ("../x.wav", "a/../../x.wav", "a/..", "..")
    for audio in climbing:
        with pytest.raises(DataError, match="leaves the folder"):
            manifest.audio_path(Utterance(id="u", audio=audio))
    inside = (Utterance(id="u", audio="link/x.wav"), Utterance(id="v", audio="/a/x.wav"))
    Manifest("made up", manifest.labels, {}, inside).write(tmp_path / "m.jsonl")
    located = [utterance.audio for utterance in Manifest.read(tmp_path / "m.jsonl").located()]
    assert located == [f"{tmp_path}/link/x.wav", "/a/x.wav"]
    count("a path in a manifest that climbs out of the folder of its recordings", len(climbing))


def test_an_index_does_not_lead_out_of_its_store(
    tiny_store: Path, tmp_path: Path, count: Callable[..., None]
) -> None:
    store = Path(shutil.copytree(tiny_store / "features" / "words", tmp_path / "words"))
    text = (store / "index.json").read_text()
    for file in ("../shard-00000.safetensors", "/etc/passwd", "shard/../../x", "card.json"):
        (store / "index.json").write_text(text.replace("shard-00000.safetensors", file))
        with pytest.raises(StoreError, match="is not the name of a shard in this folder"):
            FeatureStore.open(store)
    count("a path in a store's index that climbs out of the store", 4)


def flac(seconds: int, rate: int, channels: int) -> bytes:
    """About 50 bytes that promise this much sound."""
    packed = rate << 44 | (channels - 1) << 41 | 15 << 36 | seconds * rate
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    return b"fLaC\x80\x00\x00\x22" + info + bytes(200)


def wav(seconds: int, rate: int, channels: int) -> bytes:
    length = min(seconds * rate * channels * 2, 0xFFFFFF00)
    head = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * channels * 2, channels * 2, 16)
    return (
        b"RIFF" + struct.pack("<I", length) + b"WAVEfmt " + head + b"data" + struct.pack("<I", length) + bytes(1000)
    )


@pytest.mark.parametrize("make", [flac, wav])
@pytest.mark.parametrize("seconds", [3 * 3600, 10 * 3600])
def test_a_header_that_promises_hours_takes_no_memory(
    tmp_path: Path, make: Callable[[int, int, int], bytes], seconds: int, count: Callable[..., None]
) -> None:
    path = tmp_path / f"long.{make.__name__}"
    path.write_bytes(make(seconds, 48_000, 2))
    assert path.stat().st_size < 1100
    code = f"""
import resource
from pathlib import Path
from sertk.data.audio import read_audio
from sertk.data.audio_stats import audio_stats_of
from sertk.data.manifest import Utterance
from sertk.errors import AudioError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_audio(Path({str(path)!r}))
except AudioError as error:
    print("refused", error)
assert audio_stats_of(Utterance(id="u", audio={str(path)!r})).error
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said, mebibytes = done.stdout.splitlines()
    assert said.startswith("refused")
    assert int(mebibytes) < 64, "what was promised is 4 to 14 GB"
    count("a recording of 1 kB whose header promises 3 or 10 hours", 1)


def test_a_part_of_a_recording_far_behind_its_end_is_refused(tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    soundfile.write(tmp_path / "a.wav", np.full(1600, 0.1), 16_000)
    for start, duration in ((0.0, 1e300), (1e300, None), (1e308, 1e308)):
        with pytest.raises(AudioError):
            read_audio(tmp_path / "a.wav", start=start, duration=duration)


@pytest.mark.faults
def test_a_secret_of_the_environment_is_written_nowhere(
    site: Any, tmp_path: Path, count: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    shutil.copytree(site.folder / "conf", folder / "conf")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY"):
        monkeypatch.setenv(name, SECRET)
    said = ""
    failing = (
        ("transcribe", "data/split.jsonl.gz", "--out", "x.jsonl", "--use", "whisper", "--model", "lab/not-there"),
        ("doctor", "--offline"),
        ("--debug", "train", "conf/nothing.toml", "--out", "x"),
    )
    for words in (*(verb.words for verb in site.verbs.values()), *failing):
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from sertk.cli import main; sys.exit(main())", *words],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0 or words in failing, done.stderr
        said += done.stdout + done.stderr
    assert SECRET not in said
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    assert len(files) > 40
    count("a secret in the environment: files and output of all verbs searched", len(files))
