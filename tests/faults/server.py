"""Runs verbs in processes that have imported everything already, so that a kill meets work and not imports.

Reads a JSON object a line: {"words": [...], "folder": "...", "log": "...", "limit": bytes, "unlocks": bool} starts one and
answers its process id; {"wait": id} answers its status, negative for a signal.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

PRELOADED = (
    "sertk.cli.data",
    "sertk_msp_podcast.read",
    "sertk.ensemble.combine",
    "sertk.experiment",
    "sertk.features.extract",
    "sertk.inference.model",
    "sertk.reports.results",
    "sertk.scoring.score",
    "sertk_msp_podcast.submission",
    "sertk.transcribers.run",
    "sklearn.metrics",
)


def start(job: dict[str, Any]) -> int:
    number = os.fork()
    if number:
        return number
    log = os.open(job["log"], os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.chdir(job["folder"])
    if "limit" in job:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["limit"], job["limit"]))
    if job.get("unlocks"):
        Path.unlink = killed_at_its_end(Path.unlink)  # type: ignore[method-assign]
    status = 70
    try:
        status = import_module("sertk.cli").main(job["words"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def killed_at_its_end(unlink: Callable[..., None]) -> Callable[..., None]:
    """An `unlink` that kills the process where it lets go of the lock of what it wrote."""

    def instead(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".lock":
            os.kill(os.getpid(), signal.SIGKILL)
        unlink(path, missing_ok)

    return instead


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    for name in PRELOADED:
        import_module(name)
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        job = json.loads(line)
        if "wait" in job:
            answer = os.waitstatus_to_exitcode(os.waitpid(job["wait"], 0)[1])
        else:
            answer = start(job)
        answers.write(f"{answer}\n")
        answers.flush()
