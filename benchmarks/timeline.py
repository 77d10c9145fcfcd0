"""Emotion over time in long recordings of known spans: time, memory, speech detection and frame macro-F1.

    python benchmarks/timeline.py MANIFEST MODEL --options '{"segmenter": "speech"}' --out results/timeline.json

The manifest is that of CREMA-D's recipe, whose `test` part the model never saw: clips of those speakers, each with a
consensus, follow each other in random order with silences of 0.5 to 4 s between them, which have the level of the
clips' own background. Speech of a clip is what the level says (20 dB below its loudest tenth of a second), so that
the silence at its beginning and end counts as silence.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
from common.results import keep, machine

from sertk.data.audio import read_audio
from sertk.data.manifest import Manifest
from sertk.inputs import located

RATE = 16_000
FRAME_S = 0.1
SPEECH_DB = 20.0
CHILD = """
import json, resource, sys, time
import sertk
from sertk.api.timeline import timeline
model = sertk.load(sys.argv[1], device="cpu")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began, cpu = time.monotonic(), time.process_time()
options = json.loads(sys.argv[3])
(found,) = timeline(model, sys.argv[2], **options).timelines
took = {"seconds": time.monotonic() - began, "cpu_s": time.process_time() - cpu}
spans = [(span.start_s, span.end_s, span.state, span.label) for span in found.spans]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps(took | {"peak_mb": peak / 1024, "loaded_mb": before / 1024, "spans": spans}))
"""


def make(manifest: Path, minutes: float, out: Path) -> list[tuple[float, float, str]]:
    """Write a recording; give the spans of its clips with their classes."""
    corpus = Manifest.read(manifest)
    clips = [one for one in located(corpus, corpus.split("test")) if one.emotion in corpus.labels.names]
    rng = np.random.default_rng(17)
    spans, done = [], 0
    with soundfile.SoundFile(out, "w", RATE, 1, "PCM_16") as file:
        while done < minutes * 60 * RATE:
            clip = clips[int(rng.integers(len(clips)))]
            samples = read_audio(Path(clip.audio), sample_rate=RATE)
            level = float(np.sort(np.abs(samples))[: len(samples) // 10].mean())
            silence = rng.normal(0, level, int(rng.uniform(0.5, 4.0) * RATE)).astype(np.float32)
            file.write(np.concatenate([silence, samples]))
            start = (done + len(silence)) / RATE
            first, last = voiced(samples)
            spans.append((start + first, start + last, clip.emotion))
            done += len(silence) + len(samples)
    return spans


def voiced(samples: np.ndarray) -> tuple[float, float]:
    """From where to where a clip has speech, in seconds, by its level."""
    size = round(FRAME_S * RATE)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    level = 10 * np.log10(np.square(frames).mean(1) + 1e-12)
    loud = np.flatnonzero(level > level.max() - SPEECH_DB)
    return loud[0] * FRAME_S, (loud[-1] + 1) * FRAME_S


def frames(spans: list[tuple[float, float, str]], count: int) -> np.ndarray:
    """The class of each frame, "" for no speech."""
    found = np.full(count, "", dtype=object)
    for start, end, label in spans:
        found[round(start / FRAME_S) : round(end / FRAME_S)] = label
    return found


def scores(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Speech detection error, and macro-F1 over the frames that have a class, of which those unsure are wrong."""
    speech, detected = truth != "", found != ""
    known = sorted({*truth[speech]})
    f1 = []
    for label in known:
        right = ((truth == label) & (found == label)).sum()
        f1.append(2 * right / max(1, (truth == label).sum() + ((found == label) & speech).sum()))
    return {
        "missed_speech": float((speech & ~detected).sum() / speech.sum()),
        "false_speech": float((~speech & detected).sum() / speech.sum()),
        "detection_error": float((speech != detected).sum() / speech.sum()),
        "accuracy": float((truth == found)[speech].mean()),
        "macro_f1": float(np.mean(f1)),
        "seconds_unsure": float((found == "unsure").sum() * FRAME_S),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--minutes", type=float, nargs="+", default=[10, 60, 120])
    parser.add_argument("--options", type=json.loads, default={}, help='JSON: {"segmenter": "speech", "smooth": 2.0}')
    parser.add_argument("--folder", type=Path, default=Path("/tmp"), help="For the recordings.")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows = []
    for minutes in given.minutes:
        path = given.folder / f"timeline-{minutes:g}.wav"
        truth = make(given.manifest, minutes, path)
        command = [sys.executable, "-c", CHILD, str(given.model), str(path), json.dumps(given.options)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        result = json.loads(done.stdout.splitlines()[-1])
        count = int(soundfile.info(path).duration / FRAME_S)
        spans = [
            (start, end, label or "unsure")
            for start, end, state, label in result.pop("spans")
            if state != "no speech"
        ]
        result |= {"minutes": soundfile.info(path).duration / 60, "spans": len(spans)}
        result["hours_per_hour"] = result["minutes"] * 60 / result["seconds"]
        result["cpu_s_per_minute"] = result["cpu_s"] / result["minutes"]
        result |= scores(frames(truth, count), frames(spans, count))
        print({name: round(value, 4) for name, value in result.items()})
        rows.append(result)
        path.unlink()
    keep(given.out, {"machine": machine(), "options": given.options, "recordings": rows})


if __name__ == "__main__":
    main()
