"""Fuzz the readers guided by coverage: atheris keeps the changed files that reach new lines, and changes those further.

    python tests/fuzz/guided.py 900                 # seconds, split evenly over the readers; prints a table
    python tests/fuzz/guided.py 60 manifest recipe

Needs `pip install atheris`. An input is a byte that says which of the reader's files is replaced, then its content. A
reader that raises anything but a SertkError, takes more than 8 GiB or longer than a minute ends the run; the input lies
in the folder where it was started, as `fuzz-READER-...`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["sertk", "readers", "tomllib", "csv", "json"]):
    from readers import Reader, readers, trained
    from sertk_toy.corpus import write_toy_corpus

    from sertk.testing.tiny import tiny_experiment, write_tiny_corpus

LIMITS = ("-timeout=60", "-rss_limit_mb=8192", "-max_len=65536", "-print_final_stats=1")


def main() -> None:
    """Fuzz readers one after another, each in a process of its own, which is how atheris ends."""
    if sys.argv[1] == "--one":
        fuzz(sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]))
        return
    seconds, *names = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        names = names or list(prepared(root))
        print("| reader | minutes | changed files |\n| --- | ---: | ---: |", flush=True)
        for name in names:
            begun = time.monotonic()
            words = [sys.executable, __file__, "--one", name, place, str(float(seconds) / len(names))]
            done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
            units = re.search(r"number_of_executed_units: (\d+)", done.stderr)
            if done.returncode or not units:
                sys.exit(f"{name} failed:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
            print(f"| {name} | {(time.monotonic() - begun) / 60:.1f} | {int(units[1]):,} |", flush=True)


def prepared(root: Path) -> dict[str, Reader]:
    """The readers, with files that are made on the first call for a folder."""
    corpus, tiny = root / "corpus", root / "tiny"
    if not corpus.exists():
        write_toy_corpus(corpus, utterances=96)
        write_tiny_corpus(tiny)
        trained(tiny_experiment(tiny).parent, root)
    return readers(corpus, tiny, root / "model", root / "state")


def fuzz(name: str, root: Path, seconds: float) -> None:
    """Fuzz one reader from its right files on; the process ends with status 0 if nothing was found."""
    reader = prepared(root)[name]
    seeds, work = root / "seeds" / name, root / "work" / name
    seeds.mkdir(parents=True)
    work.mkdir(parents=True)
    for number, file in enumerate(reader.changeable):
        (seeds / str(number)).write_bytes(bytes([number]) + reader.files[file])

    def look(data: bytes) -> None:
        number = data[0] % len(reader.changeable) if data else 0
        reader.meet(work, reader.changeable[number], data[1:])

    words = [f"-max_total_time={seconds:.0f}", f"-artifact_prefix=fuzz-{name}-".replace(" ", "-"), *LIMITS]
    atheris.Setup([sys.argv[0], *words, str(seeds)], look)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
