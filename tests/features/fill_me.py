"""Fills new stores side by side with other processes. Usage: fill_me.py FOLDER, and lines on standard input.

A line is `STORE NUMBER COUNT`: fill one of so many parts of a store. With a further word, do so in a process of its
own that kills itself when a file that begins so is written, but not yet under its name.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path

import torch

from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.encoders.hashed_text import hashed_text
from sertk.features.extract import Target, extract, store_card


def fill(folder: Path, part: tuple[int, int]) -> None:
    encoder = hashed_text(dim=4)
    target = Target(folder, store_card("hashed_text", {"dim": 4}, encoder), encoder)
    recordings = [Recording(Utterance(id=f"u{n:02d}", audio="none.wav", text=f"words {n}")) for n in range(29)]
    extract([target], recordings, device=torch.device("cpu"), part=part)


def fill_and_be_killed(folder: Path, part: tuple[int, int], name: str) -> None:
    number = os.fork()
    if number:
        assert os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) == -signal.SIGKILL
        return
    whole = os.fsync

    def fsync(number: int) -> None:  # behind the last byte, before the file gets its name
        if Path(f"/proc/self/fd/{number}").readlink().name.startswith(f".{name}"):
            os.kill(os.getpid(), signal.SIGKILL)
        whole(number)

    os.fsync = fsync
    fill(folder, part)
    os._exit(1)


if __name__ == "__main__":
    print("ready", flush=True)
    for line in sys.stdin:  # all processes get their lines at the same moment
        store, number, count, *kill = line.split()
        folder, part = Path(sys.argv[1]) / store, (int(number), int(count))
        try:
            if kill:
                fill_and_be_killed(folder, part, kill[0])
            else:
                fill(folder, part)
            print("done", flush=True)
        except Exception:
            print(traceback.format_exc().replace("\n", " | "), flush=True)
