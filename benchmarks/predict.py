"""Predicting with an ensemble from raw audio: each distinct encoder once, against every member with its own.

    OMP_NUM_THREADS=1 python benchmarks/predict.py --out benchmarks/results/predict.json

Members are DeepSER on a speech and a text encoder, of random weights: a WavLM and a RoBERTa of some width and depth
(the front end is small). Measured: seconds for some 5 s recordings; the latency of a single one, with the ensemble
loaded (warm) and with loading it (load); and `sertk predict` as a command, with tiny encoders, against a Python that
does no more than import torch, transformers and the same model classes (cold). All on one thread, in turn.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch
from common.floor import emptied, matrix_rates, operations
from common.results import keep, machine, shown, spread
from sertk_msp_podcast.labels import MSP_PODCAST

from sertk.cards import Card, EncoderSpec
from sertk.checkpoint import Checkpoint
from sertk.compat import import_transformers
from sertk.config.build import build
from sertk.config.schema import Experiment, Use
from sertk.data.find import find_recordings
from sertk.inference.model import load
from sertk.models.classifier import build_classifier
from sertk.registry import encoders
from sertk.tensors import Padded
from sertk.testing.tiny_models import tiny_roberta, tiny_speech

SECONDS = 5
"""Of a recording."""
WORDS = "i am so happy to see you again after all these years"
RANGES = {"arousal": (1.0, 7.0), "valence": (1.0, 7.0), "dominance": (1.0, 7.0)}
IMPORTS = (
    "import torch; from sertk.compat import import_transformers; t = import_transformers(); "
    "t.WavLMModel, t.RobertaModel, t.AutoTokenizer, t.AutoFeatureExtractor"
)


def spec(use: str, options: dict[str, str]) -> EncoderSpec:
    made = build(encoders, Use.model_validate({"use": use, **options}))
    return EncoderSpec(use, options, made.fingerprint, made.modality, made.dim, made.frames_per_second)


def save(folder: Path, fusion: dict[str, object], specs: dict[str, EncoderSpec], members: dict[str, Path]) -> str:
    """A checkpoint of random weights; its fingerprint."""
    experiment = Experiment.model_validate(
        {
            "data": {"manifest": "none"},
            "features": dict.fromkeys(specs, "none"),
            "fusion": fusion,
            "head": {"attributes": list(RANGES), "kind": "identity" if members else "linear"},
            "init_seed": len(folder.name),
        }
    )
    dims, ranges = {name: one.dim for name, one in specs.items()}, list(RANGES.values())
    network = build_classifier(experiment.fusion, experiment.head, dims=dims, classes=8, ranges=ranges, seed=1)
    card = Card(folder.name, list(MSP_PODCAST.names), MSP_PODCAST.letters, RANGES, specs, [1 / 8] * 8, {}, "none", {})
    return Checkpoint(experiment, card, dict(network.state_dict())).save(folder, members).fingerprint


def ensemble(folder: Path, *, members: int, width: int, encoder_width: int, layers: int) -> Path:
    """Members that share both encoders, and their soft vote."""
    speech = tiny_speech(folder / "wavlm", "wavlm", width=encoder_width, layers=layers)
    text = tiny_roberta(folder / "roberta", width=encoder_width, layers=layers)
    specs = {
        "speech": spec("hf_speech", {"model": str(speech)}),
        "text": spec("hf_text", {"model": str(text)}),
    }
    folders = {f"{number:02d}": folder / "members" / f"{number:02d}" for number in range(members)}
    prints = {n: save(f, {"use": "deepser", "width": width}, specs, {}) for n, f in folders.items()}
    leaves = {
        n: EncoderSpec("checkpoint", {"folder": f"members/{n}"}, p, "posterior", 11, 0.0) for n, p in prints.items()
    }
    save(folder / "vote", {"use": "posterior_mean", "classes": 8}, leaves, folders)
    return folder / "vote"


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def least_operations(folder: Path) -> int:
    """Of the matrix products and convolutions that the vote on one recording cannot do without."""
    transformers = import_transformers()
    samples, frames = SECONDS * 16_000, SECONDS * 50 - 1
    words = len(transformers.AutoTokenizer.from_pretrained(folder / "roberta")(WORDS).input_ids)
    total = 0
    for name, inputs in (
        ("wavlm", torch.empty(1, samples, device="meta")),
        ("roberta", torch.empty(1, words, dtype=torch.long, device="meta")),
    ):
        model = transformers.AutoModel.from_pretrained(folder / name, attn_implementation="eager")
        total += operations(emptied(model), inputs)
    for member in (folder / "members").iterdir():
        checkpoint = Checkpoint.load(member)
        features = {
            name: Padded(
                torch.empty(1, length, checkpoint.card.encoders[name].dim, device="meta"),
                torch.empty(1, dtype=torch.long, device="meta"),
            )
            for name, length in (("speech", frames), ("text", words))
        }
        total += operations(emptied(checkpoint.classifier()), features)
    return total


def command(words: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=14)
    parser.add_argument("--width", type=int, default=256, help="of the members")
    parser.add_argument("--encoder-width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=6, help="of each encoder")
    parser.add_argument("--recordings", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = str(arguments.device)
    os.environ["HF_HUB_OFFLINE"] = "1"
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        vote = ensemble(
            folder / "real", members=arguments.members, width=arguments.width,
            encoder_width=arguments.encoder_width, layers=arguments.layers,
        )  # fmt: skip
        tiny = ensemble(folder / "tiny", members=2, width=32, encoder_width=32, layers=4)
        random = np.random.default_rng(1)
        for number in range(arguments.recordings):
            soundfile.write(folder / f"{number}.wav", 0.1 * random.standard_normal(SECONDS * 16_000), 16_000)
            (folder / f"{number}.txt").write_text(WORDS)
        recordings, _ = find_recordings(sorted(folder.glob("*.wav")))
        alone = [load(member, device=device) for member in sorted((folder / "real" / "members").iterdir())]
        together = load(vote, device=device)
        sides: dict[str, Callable[[], object]] = {
            "each member its own encoders": lambda: [one.predict_recordings(recordings) for one in alone],
            "each distinct encoder once": lambda: together.predict_recordings(recordings),
            "one recording, warm": lambda: together.predict_recordings(recordings[:1]),
            "one recording, with loading": lambda: load(vote, device=device).predict_recordings(recordings[:1]),
        }
        together.predict_recordings(recordings[:1])
        rates = matrix_rates(torch.device(device))
        for _ in range(arguments.repeats):
            for name, side in sides.items():
                found.setdefault(name, []).append(seconds(side))
            cold = {
                "imports alone": [sys.executable, "-c", IMPORTS],
                "sertk predict": [
                    str(Path(sys.executable).with_name("sertk")),
                    "predict",
                    str(tiny),
                    str(folder / "0.wav"),
                ],
            }
            for name, words in cold.items():
                cpu, wall = command(words)
                found.setdefault(name, []).append(cpu)
                found.setdefault(f"{name}, wall", []).append(wall)
        least = least_operations(folder / "real")
    machine_rate = matrix_rates(torch.device(device), rates)["float32"]
    share = least / machine_rate / min(found["one recording, warm"])
    print(
        f"one recording: {least / 1e9:.0f} G operations, {least / machine_rate:.2f} s at the matrix rate of "
        f"{machine_rate / 1e9:.0f} G/s; warm it is at {share:.0%} of that rate"
    )
    for name, times in found.items():
        print(f"{name:30} {shown(times)} s")
    ratios = {
        "encoders once": _by_turn(found["each member its own encoders"], found["each distinct encoder once"]),
        "cold start": _by_turn(found["sertk predict"], found["imports alone"]),
    }
    rate = SECONDS * arguments.recordings / min(found["each distinct encoder once"])
    print(f"{rate:.2f} s of audio a second")
    for name, values in ratios.items():
        print(f"{name}: {shown(values)}")
    result = {
        "claim": "prediction with an ensemble from raw audio",
        "machine": machine(device),
        "arguments": vars(arguments),
        "seconds": found,
        "audio_seconds_per_second": rate,
        "operations_of_one_recording": least,
        "matrix_rate_per_second": machine_rate,
        "share_of_matrix_rate": share,
        "ratio": {name: spread(values) for name, values in ratios.items()},
    }
    keep(arguments.out, result)


def _by_turn(above: list[float], below: list[float]) -> list[float]:
    return [a / b for a, b in zip(above, below, strict=True)]


if __name__ == "__main__":
    main()
