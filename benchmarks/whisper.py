"""Whisper's encoder at the length of the utterance: how much faster it is, and how far its states are from the rest.

Three ways take turns in one run: `sertk extract` with context = "utterance", with the whole window of 30 s, and a
plain loop of transformers that encodes one clip at a time. All three read the clips, encode them in float32 and
write the frames of every layer. Then the frames of the first two are compared, layer by layer.

    SERTK_CREMAD=/data/crema_d python benchmarks/whisper.py --model openai/whisper-base --clips 40

Without SERTK_CREMAD clips are noise of 1.5 to 4 s; without --model weights are random, in the shape of whisper-base,
and only the speed means something.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from common.clock import Clock
from common.results import keep, machine, shown, spread
from sertk_corpora.crema_d import read_crema_d
from torch import Tensor

from sertk.compat import import_transformers, without_bars
from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.devices import choose_device
from sertk.encoders.hf_speech import SpeechEncoder, hf_speech
from sertk.features.card import store_card
from sertk.features.extract import Target, extract
from sertk.features.store import FeatureStore
from sertk.hub import find_checkpoint

transformers: Any = import_transformers()

SHAPE = {"layers": 6, "attention_heads": 8, "ffn_dim": 2048}
"""Of whisper-base, in its encoder and its decoder."""
UTTERANCE, WINDOW, PLAIN = "utterance", "window", "plain loop"


def write_random(folder: Path) -> str:
    """Save random weights in the shape of whisper-base."""
    torch.manual_seed(0)
    halves = {f"{half}_{what}": n for half in ("encoder", "decoder") for what, n in SHAPE.items()}
    with without_bars(transformers):
        transformers.WhisperModel(transformers.WhisperConfig(d_model=512, **halves)).save_pretrained(folder)
    transformers.WhisperFeatureExtractor().save_pretrained(folder)
    return str(folder)


def clips(folder: str | None, count: int, seed: int, place: Path) -> list[Utterance]:
    """So many clips of CREMA-D, drawn at random; noise where there is no folder of it."""
    random = np.random.default_rng(seed)
    if folder:
        manifest, _ = read_crema_d(Path(folder), audio=False)
        utterances = manifest.located()
        return [utterances[row] for row in random.permutation(len(utterances))[:count]]
    made = []
    for number in range(count):
        wave = random.uniform(-0.3, 0.3, round(random.uniform(1.5, 4.0) * 16_000))
        soundfile.write(place / f"{number}.wav", wave, 16_000)
        made.append(Utterance(f"u{number}", str(place / f"{number}.wav")))
    return made


def plain_loop(model: str, device: torch.device) -> Callable[[Sequence[Recording], Path], None]:
    """What everybody writes: one clip at a time, padded to 30 s, every state cropped to the clip."""
    found = find_checkpoint(model).folder
    with without_bars(transformers):
        whole = transformers.WhisperModel.from_pretrained(found, dtype=torch.float32).eval().to(device)
    extractor = transformers.WhisperFeatureExtractor.from_pretrained(found)

    def run(recordings: Sequence[Recording], folder: Path) -> None:
        folder.mkdir()
        for recording in recordings:
            samples = recording.waveform()
            inputs = extractor(samples, sampling_rate=16_000, return_tensors="pt")
            with torch.inference_mode():
                output = whole.encoder(inputs["input_features"].to(device), output_hidden_states=True)
            states = [*output.hidden_states[:-1], output.last_hidden_state]
            frames = torch.cat(states, dim=-1)[0, : math.ceil(len(samples) / 320)]
            np.save(folder / f"{recording.id}.npy", frames.cpu().numpy())

    return run


def extraction(
    encoder: SpeechEncoder, device: torch.device, budget: float
) -> Callable[[Sequence[Recording], Path], None]:
    """What `sertk extract` does."""

    def run(recordings: Sequence[Recording], folder: Path) -> None:
        target = Target(folder, store_card("hf_speech", {}, encoder, dtype="float32"), encoder)
        extract([target], recordings, device=device, frame_budget=budget)

    return run


def by_layer(frames: Tensor, layers: int) -> Tensor:
    """(T, layers * D) to (layers, T, D) in float64."""
    return frames.double().reshape(len(frames), layers, -1).transpose(0, 1)


def differences(ones: Sequence[Tensor], others: Sequence[Tensor], layers: int) -> dict[str, list[float]]:
    """Of the frames of the same clips, by layer: the largest difference, and the mean cosine over all frames."""
    largest, cosines = torch.zeros(layers, dtype=torch.float64), []
    for one, other in zip(ones, others, strict=True):
        a, b = by_layer(one, layers), by_layer(other, layers)
        largest = largest.maximum((a - b).abs().amax(dim=(1, 2)))
        cosines.append(torch.cosine_similarity(a, b, dim=2))  # (layers, T)
    return {"largest": largest.tolist(), "cosine": torch.cat(cosines, dim=1).mean(dim=1).tolist()}


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    device = choose_device(given.device)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        model = given.model or write_random(root / "model")
        utterances = clips(os.environ.get("SERTK_CREMAD"), given.clips, given.seed, root)
        seconds = sum(Recording(utterance).seconds for utterance in utterances)
        encoders = {c: hf_speech(model=model, layers="all", context=c) for c in (UTTERANCE, WINDOW)}  # type: ignore[arg-type]
        ways = {c: extraction(encoder, device, given.frame_budget) for c, encoder in encoders.items()}
        ways[PLAIN] = plain_loop(model, device)
        took: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for number in range(given.rounds + 1):  # the first one warms up, on two clips
            for way, run in ways.items():
                recordings = [Recording(utterance) for utterance in (utterances if number else utterances[:2])]
                clock = Clock()
                run(recordings, root / f"{way}-{number}")
                if number:
                    took[way].append(clock.read())
        layers = encoders[WINDOW].states
        stores = {c: FeatureStore.open(root / f"{c}-1") for c in encoders}
        frames = {c: [store[u.id] for u in utterances] for c, store in stores.items()}
        frames[PLAIN] = [torch.from_numpy(np.load(root / f"{PLAIN}-1" / f"{u.id}.npy")) for u in utterances]
    to_window = differences(frames[UTTERANCE], frames[WINDOW], layers)
    to_plain = differences(frames[WINDOW], frames[PLAIN], layers)
    show(given, device, seconds, took, to_window, to_plain)
    result = {
        "claim": "Whisper's encoder at the utterance's length against its window and a plain loop",
        "machine": machine(str(device)),
        "arguments": {**vars(given), "model": Path(given.model).name if given.model else "random"},
        "audio_seconds": seconds,
        "wall_and_cpu_seconds": took,
        "ratio": {way: spread(ratios(took, way)) for way in (WINDOW, PLAIN)},
        "utterance_to_window": to_window,
        "window_to_plain_loop": to_plain,
    }
    keep(given.out, result)


def ratios(took: dict[str, list[tuple[float, float]]], way: str, column: int = 1) -> list[float]:
    """Seconds of a way over those of `utterance`, turn by turn; column: 0 by the clock, 1 of the processor."""
    return [theirs[column] / ours[column] for theirs, ours in zip(took[way], took[UTTERANCE], strict=True)]


def show(
    given: argparse.Namespace,
    device: torch.device,
    seconds: float,
    took: dict[str, list[tuple[float, float]]],
    to_window: dict[str, list[float]],
    to_plain: dict[str, list[float]],
) -> None:
    """Print the tables."""
    print(f"{given.clips} clips, {seconds:.0f} s, {device}, {given.threads} threads, {given.rounds} rounds")
    print(f"{'':<12}{'CPU s a clip':>14}{'s a clip':>10}   times that of `utterance`: of the processor; by the clock")
    for way, times in took.items():
        wall, cpu = (min(column) / given.clips for column in zip(*times, strict=True))
        print(f"{way:<12}{cpu:>14.3f}{wall:>10.3f}   {shown(ratios(took, way))}; {shown(ratios(took, way, 0))}")
    print(f"{'layer':<12}{'largest difference from the window':>36}{'mean cosine':>14}{'window from plain loop':>26}")
    rows = zip(to_window["largest"], to_window["cosine"], to_plain["largest"], strict=True)
    for layer, (largest, cosine, plain) in enumerate(rows):
        print(f"{layer:<12}{largest:>36.3g}{cosine:>14.4f}{plain:>26.1e}")


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--model", help="hub id or folder of a Whisper")
    model.add_argument("--random", action="store_true", help="random weights (also where neither is given)")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--frame-budget", type=float, default=120.0, help="seconds of audio in a batch")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.clips < 2 or given.rounds < 1:
        parser.error(f"--clips {given.clips} --rounds {given.rounds}: at least 2 clips and 1 round")
    return given


if __name__ == "__main__":
    main()
