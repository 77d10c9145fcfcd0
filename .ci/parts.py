#!/usr/bin/env python3
"""What continuous integration runs: a fresh environment in this clone, then every part, whatever failed before it.

Ends with a table of the parts and a line that counts all tests, which is the last thing printed. A part that fails
without a failing test (a check, a timeout, a crash) counts as one failed. Needs Python's standard library and make.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / ".ci" / "reports"
AIM_MINUTES = 45
"""For all parts together on two cores that do nothing else; the table says where it was missed."""
MINUTES = 80
"""For all parts together, however slow the machine. A part gets no more than is left when it begins."""
GRACE_SECONDS = 30
"""For a part to end by itself once its time is over: pytest then writes what it has."""


class Part(NamedTuple):
    """A target of the Makefile. minutes: after which it is ended."""

    target: str
    minutes: float
    tests: bool = False
    options: tuple[str, ...] = ()


PARTS = (
    Part("env", 15),
    Part("lint", 10),
    Part("test", 25, tests=True, options=("COVERAGE=1",)),
    Part("test-slow", 25, tests=True),
    Part("test-faults", 20, tests=True),
    Part("test-plugins", 20, tests=True),
    Part("docs", 8),
    Part("test-install", 12),
    Part("demo", 12),
)


class Result(NamedTuple):
    """How a part went. why: the failing tests, or what else failed it."""

    part: Part
    seconds: float
    counts: Counter[str]
    why: tuple[str, ...] = ()
    skips: tuple[str, ...] = ()


def main() -> int:
    """Run the parts that are named, or all; give 1 where any failed."""
    unknown = set(sys.argv[1:]) - {part.target for part in PARTS}
    if unknown:
        print(f"no part {', '.join(sorted(unknown))}: {', '.join(part.target for part in PARTS)}", file=sys.stderr)
        return 2
    chosen = [part for part in PARTS if not sys.argv[1:] or part.target in sys.argv[1:]]
    if not sys.argv[1:]:
        shutil.rmtree(ROOT / ".venv", ignore_errors=True)
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir()
    results: list[Result] = []
    begun = time.monotonic()
    for part in chosen:
        print(f"\n==> make {part.target}", flush=True)
        left = MINUTES - (time.monotonic() - begun) / 60
        results.append(run(part, min(part.minutes, left)))
        print_result(results[-1])
    print_table(results)
    return int(any(result.counts["failed"] for result in results))


def run(part: Part, minutes: float) -> Result:
    """Run a part in a process group of its own, so that nothing of it outlives its time."""
    if minutes <= 0:
        return Result(part, 0.0, Counter(failed=1), (f"no time was left of {MINUTES} minutes",))
    report = REPORTS / f"{part.target}.xml"
    command = ["make", part.target, *part.options, *([f"REPORT={report}"] if part.tests else [])]
    begun = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            status = process.wait(minutes * 60)
            why = "" if status == 0 else f"make {part.target} ended with status {status}"
        except subprocess.TimeoutExpired:
            status, why = None, f"not done after {minutes:.1f} minutes"
        finally:
            end(process)
    seconds = time.monotonic() - begun
    counts, failing, skips = read(report)
    if part.tests and not why and not counts["passed"]:
        why = "no test passed"
    if why and (status is None or not failing):  # else the failing tests say it
        counts["failed"] += 1
        failing.append(why)
    return Result(part, seconds, counts, tuple(failing), tuple(skips))


def end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a part: by Ctrl-C, which pytest reports after, then for good."""
    for number, patience in ((signal.SIGINT, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def read(report: Path) -> tuple[Counter[str], list[str], list[str]]:
    """The counts of a JUnit report, the names of failing tests, and the reasons of skipped ones."""
    counts: Counter[str] = Counter()
    failing, skips = [], []
    try:
        cases = list(ElementTree.parse(report).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return counts, failing, skips
    for case in cases:
        name = f"{case.get('classname')}::{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
            failing.append(name)
        elif (skipped := case.find("skipped")) is not None:
            counts["skipped"] += 1
            skips.append(skipped.get("message") or "without a reason")
        else:
            counts["passed"] += 1
    return counts, failing, skips


def print_result(result: Result) -> None:
    """Say why tests were skipped, and what failed."""
    for reason, count in Counter(result.skips).most_common():
        print(f"skipped {count}: {reason}")
    for name in result.why:
        print(f"failed: {name}")
    sys.stdout.flush()


def print_table(results: list[Result]) -> None:
    """One row for each part, and the line that counts all tests."""
    total: Counter[str] = Counter()
    print(f"\n{'part':<14}{'minutes':>8}{'passed':>8}{'failed':>8}{'skipped':>9}")
    for result in results:
        total.update(result.counts)
        minutes, seconds = divmod(round(result.seconds), 60)
        row = "".join(
            f"{result.counts[what] if result.part.tests or result.counts[what] else '-':>{width}}"
            for what, width in (("passed", 8), ("failed", 8), ("skipped", 9))
        )
        print(f"{result.part.target:<14}{minutes:>5}:{seconds:02}{row}{'  FAILED' if result.why else ''}")
    minutes, seconds = divmod(round(sum(result.seconds for result in results)), 60)
    late = f"  more than the {AIM_MINUTES} minutes aimed at" if minutes >= AIM_MINUTES else ""
    print(f"{'all':<14}{minutes:>5}:{seconds:02}{late}\n")
    for result in results:
        for why in result.why:
            print(f"failed in {result.part.target}: {why}")
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped", flush=True)


if __name__ == "__main__":
    sys.exit(main())
