"""Extracts log-mels slowly enough to be killed on the way. Usage: kill_me.py FOLDER RECORDINGS_JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch

from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.encoders.logmel import logmel
from sertk.features.extract import Progress, Target, extract, store_card


def slowly(progress: Progress) -> None:
    print(progress.done, flush=True)
    time.sleep(0.05)


if __name__ == "__main__":
    encoder = logmel(mels=20)
    target = Target(Path(sys.argv[1]), store_card("logmel", {"mels": 20}, encoder, dtype="float32"), encoder)
    rows = json.loads(Path(sys.argv[2]).read_text())
    recordings = [Recording(Utterance(id=key, audio=audio)) for key, audio in rows.items()]
    extract(
        [target],
        recordings,
        device=torch.device("cpu"),
        max_batch=2,
        shard_bytes=20_000,
        progress=slowly,
    )
    print("done", flush=True)
