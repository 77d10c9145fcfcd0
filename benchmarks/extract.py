"""How much faster `sertk extract` is than the script that everybody writes: one file at a time, in float32.

Random weights in the shape of WavLM base with the front end of the large one (12 layers, width 768), utterances of
2.75 to 11 s of noise in WAV files. Both sides read, normalise, encode, sum the last four hidden states and write to
disk; they take turns in one run, on the same device with as many threads. Target: 1.8 times on two CPU cores, 5 times
on a GPU with bfloat16, features within 2e-2 of float32 (relative, by utterance).

    python benchmarks/extract.py --utterances 24 --rounds 3 --out extract.json
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from common.clock import Clock
from common.floor import emptied, matrix_rates, operations
from common.results import keep, machine, shown, spread

from sertk.compat import import_transformers, without_bars
from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.devices import choose_device
from sertk.encoders.hf_speech import hf_speech
from sertk.features.extract import Target, extract, store_card
from sertk.features.store import FeatureStore

transformers: Any = import_transformers()


def write_model(folder: Path) -> None:
    """Save the model as a user would have it on disk."""
    torch.manual_seed(0)
    config = transformers.WavLMConfig(feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True)
    with without_bars(transformers):
        transformers.WavLMModel(config).eval().save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(folder)


def write_corpus(folder: Path, count: int) -> list[Utterance]:
    """Noise of 2.75 to 11 s, all durations alike often, in a random order."""
    generator = np.random.default_rng(1)
    utterances = []
    for number, seconds in enumerate(generator.permutation(np.linspace(2.75, 11, count))):
        wave = generator.uniform(-0.3, 0.3, round(seconds * 16_000))
        soundfile.write(folder / f"{number}.wav", wave, 16_000)
        utterances.append(Utterance(f"u{number}", str(folder / f"{number}.wav")))
    return utterances


def plain(model: Any, extractor: Any, utterances: list[Utterance], folder: Path, device: torch.device) -> None:
    """The script that everybody writes."""
    folder.mkdir()
    for utterance in utterances:
        samples, rate = soundfile.read(utterance.audio, dtype="float32")
        inputs = extractor(samples, sampling_rate=rate, return_tensors="pt")
        with torch.inference_mode():
            states = model(inputs["input_values"].to(device), output_hidden_states=True)
        frames = sum(states.hidden_states[-4:-1]) + states.last_hidden_state
        np.save(folder / f"{utterance.id}.npy", frames[0].cpu().numpy())


def ours(
    encoder: Any, recordings: list[Recording], folder: Path, device: torch.device, precision: Any, budget: float
) -> None:
    """What `sertk extract` does."""
    target = Target(folder, store_card("hf_speech", {}, encoder, dtype="float16", precision=precision), encoder)
    extract([target], recordings, device=device, frame_budget=budget)


def largest_error(store: FeatureStore, folder: Path) -> float:
    """The largest relative difference of an utterance's frames, in the Frobenius norm."""
    errors = []
    for path in folder.glob("*.npy"):
        wanted = torch.tensor(np.load(path))
        errors.append(float((store[path.stem].float() - wanted).norm() / wanted.norm()))
    return max(errors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--frame-budget", type=float, help="seconds of audio in a batch: 11 on a CPU, else 300")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = choose_device(given.device)
    # On a CPU the convolutions of four clips take longer than four times those of one: one clip a batch.
    budget = given.frame_budget or (11.0 if device.type == "cpu" else 300.0)
    warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        write_model(root / "model")
        (root / "audio").mkdir()
        utterances = write_corpus(root / "audio", given.utterances)
        recordings = [Recording(utterance) for utterance in utterances]
        seconds = sum(recording.seconds for recording in recordings)

        model = transformers.WavLMModel.from_pretrained(root / "model").eval().to(device)
        extractor = transformers.AutoFeatureExtractor.from_pretrained(root / "model")
        ways = {
            "sertk float32": ("float32", "float32"),
            "sertk bfloat16 autocast": ("float32", "bfloat16"),
            "sertk bfloat16 weights": ("bfloat16", "float32"),
        }
        encoders = {way: hf_speech(model=str(root / "model"), dtype=dtype) for way, (dtype, _) in ways.items()}  # type: ignore[arg-type]
        plain(model, extractor, utterances[:2], root / "warm-up", device)
        for way, (_, precision) in ways.items():  # the first call arranges the weights, once a run
            ours(encoders[way], recordings[:2], root / f"warm-up {way}", device, precision, budget)
        rates = matrix_rates(device)
        took: dict[str, list[tuple[float, float]]] = {way: [] for way in ("plain script", *ways)}
        for number in range(given.rounds):
            clock = Clock()
            plain(model, extractor, utterances, root / f"plain-{number}", device)
            took["plain script"].append(clock.read())
            for way, (_, precision) in ways.items():
                clock = Clock()
                ours(encoders[way], recordings, root / f"{way}-{number}", device, precision, budget)
                took[way].append(clock.read())
        shapes = emptied(model)
        work = sum(operations(shapes, torch.empty(1, round(r.seconds * 16_000), device="meta")) for r in recordings)
        rates = matrix_rates(device, rates)
        errors = {way: largest_error(FeatureStore.open(root / f"{way}-0"), root / "plain-0") for way in ways}
    print(f"{given.utterances} utterances, {seconds:.0f} s, {device}, {given.threads} threads, {given.rounds} rounds")
    print(
        f"{work / seconds / 1e9:.1f} G operations a second of audio; matrix rate "
        + ", ".join(f"{name} {rate / 1e9:.0f} G/s" for name, rate in rates.items())
    )
    print(
        f"{'':<26}{'audio s/s':>10}{'s/CPU s':>10}{'of the rate':>12}{'error':>10}  times as fast as the plain script"
    )
    ratios, shares = {}, {}
    for way, times in took.items():
        wall, cpu = (seconds / min(column) for column in zip(*times, strict=True))
        ratios[way] = [
            plain_wall / mine for (plain_wall, _), (mine, _) in zip(took["plain script"], times, strict=True)
        ]
        shares[way] = work / seconds * wall / rates["bfloat16" if "bfloat16" in way else "float32"]
        print(
            f"{way:<26}{wall:>10.2f}{cpu:>10.2f}{shares[way]:>12.0%}{errors.get(way, 0.0):>10.1e}  "
            f"{shown(ratios[way])}"
        )
    result = {
        "claim": "extraction against one file at a time, times as fast by the clock",
        "machine": machine(str(device)),
        "arguments": vars(given),
        "audio_seconds": seconds,
        "wall_and_cpu_seconds": took,
        "error": errors,
        "operations": work,
        "matrix_rate_per_second": rates,
        "share_of_matrix_rate": shares,
        "ratio": {way: spread(values) for way, values in ratios.items()},
    }
    keep(given.out, result)


if __name__ == "__main__":
    main()
