"""Runs a recipe's `run.sh` one stage at a time, as `bash run.sh --stage N --stop-stage N OPTIONS` in its folder.

The shell script alone does the same work; the runner adds a log a stage, a lock on the experiment folder, and passes
signals on, so that nothing of a stage outlives it.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from sertk.compat import require_posix
from sertk.errors import RecipeError
from sertk.recipes.stages import RecipeStage

IDLE = "up to date"
"""What each line of a stage begins with that had nothing to do."""
LAST_LINES = 15
GRACE_SECONDS = 1.0
"""How long what a stage started in the background may go on when the stage itself has ended."""
# Ends the stage's process group when the runner is gone, however it went: the pipe's other end is the runner's.
WATCHED = 'pipe=$1; shift; { read -r _ <&"$pipe"; kill -TERM 0; } >/dev/null 2>&1 & exec bash "$@"'


@dataclass(frozen=True)
class StageResult:
    """How a stage went. idle: everything in it was up to date."""

    stage: RecipeStage
    seconds: float
    idle: bool


def run_stage(
    script: Path,
    stage: RecipeStage,
    options: Sequence[str],
    *,
    exp: Path,
    lock: int,
    write: Callable[[str], None],
    go_on: str,
) -> StageResult:
    """Run one stage and wait for it. write: given each line of its output, which its log keeps too.

    lock: of `sertk.locks.locked`; the stage inherits it, so that it stays held while anything of it is at work.

    go_on: the command that resumes from here, for the message of the RecipeError that a failing stage raises.
    """
    require_posix("Recipes, which are bash scripts,")
    log = exp / "logs" / stage.log_name
    log.parent.mkdir(exist_ok=True)
    command = [script.name, "--stage", str(stage.number)]
    command += ["--stop-stage", str(stage.number), *options]
    last: deque[str] = deque(maxlen=LAST_LINES)
    spoke, idle = False, True
    begun = time.monotonic()
    with open(log, "a", encoding="utf-8", buffering=1) as kept:
        kept.write(f"# {time.strftime('%Y-%m-%d %H:%M:%S')}  bash {shlex.join(command)}\n")
        with _started(command, script.parent, lock) as process:
            assert process.stdout is not None
            for line in process.stdout:
                kept.write(line)
                write(line.rstrip("\n"))
                last.append(line.rstrip("\n"))
                if line.strip():
                    spoke, idle = True, idle and line.startswith(IDLE)
            status = process.wait()
    seconds = time.monotonic() - begun
    if status != 0:
        raise RecipeError(_failure(stage, status, seconds, log, last, go_on))
    return StageResult(stage, seconds, spoke and idle)


@contextmanager
def _started(command: Sequence[str], folder: Path, lock: int) -> Iterator[subprocess.Popen[str]]:
    """The stage in a process group of its own, to which SIGINT and SIGTERM are passed on; a second one kills."""
    watched, alive = os.pipe()
    process = subprocess.Popen(
        ["bash", "-c", WATCHED, "bash", str(watched), *command],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        process_group=0,
        pass_fds=(watched, lock),
    )
    os.close(watched)
    received: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL if len(received) > 1 else number)

    drained = threading.Event()

    def end_stragglers() -> None:  # what run.sh left behind would keep the pipe of its output open
        process.wait()
        drained.wait(GRACE_SECONDS)
        os.close(alive)

    straggling = threading.Thread(target=end_stragglers)
    straggling.start()
    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield process
    except BaseException:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        raise
    finally:
        drained.set()
        straggling.join()
        if process.stdout is not None:
            process.stdout.close()
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            os.kill(os.getpid(), received[0])  # now to ourselves, as it was meant


def _environment() -> dict[str, str]:
    """The environment of the runner, with the `sertk` and `python` that run it found first."""
    here = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, "PATH": f"{here}{os.pathsep}{path}", "PYTHONUNBUFFERED": "1"}


def _failure(stage: RecipeStage, status: int, seconds: float, log: Path, last: Sequence[str], go_on: str) -> str:
    how = f"exit status {status}" if status > 0 else f"ended by {signal.Signals(-status).name}"
    lines = "\n".join(f"    {line}" for line in last) or "    (it wrote nothing)"
    return (
        f"stage {stage.number} {stage.name} failed ({how}, after {seconds:.1f} s). "
        f"The last lines of {log}:\n{lines}\n"
        f"  Once that is fixed, continue with:\n    {go_on}"
    )
