"""A whole small experiment made by the verbs themselves, and processes that run them and can be killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

M = "data/manifest.jsonl.gz"
ON = ["--manifest", M]
CPU = ["--device", "cpu"]
MEMBER = """
[data]
manifest = "data/manifest.jsonl.gz"
[features]
logmel = "features/logmel"
words = "features/words"
[fusion]
use = "FUSION"
[head]
attributes = ["arousal", "valence", "dominance"]
[compute]
device = "cpu"
threads = 1
[[stage]]
name = "full"
epochs = 3
sampler = { use = "by_length", batch_size = 8 }
optimizer = { lr = 3e-3 }
loss = [{ use = "cross_entropy" }, { use = "attribute_mse", weight = 0.4 }]
[[stage]]
name = "second"
epochs = 2
sampler = { use = "shuffle", batch_size = 8 }
optimizer = { lr = 1e-3 }
"""
FILES = {
    "conf/logmel.toml": 'dtype = "float16"\n[encoder]\nuse = "logmel"\nmels = 20\nstack = 8\n',
    "conf/words.toml": 'dtype = "float16"\n[encoder]\nuse = "hashed_text"\ndim = 16\n',
    "conf/one.toml": MEMBER.replace("FUSION", "concat"),
    "conf/two.toml": MEMBER.replace("FUSION", "gated"),
    "conf/vote.toml": f'fit = "held_out"\n[aggregator]\nuse = "soft_vote"\n[data]\nmanifest = "{M}"\n',
}


LOCK = re.compile(r"\.lock.*|\..*\.lock")
"""A killed process leaves the file of its lock, which nobody holds any more."""


@dataclass(frozen=True)
class Verb:
    """A command line in the experiment's folder, and the patterns of what it writes there."""

    words: tuple[str, ...]
    writes: tuple[str, ...]


def verbs(corpus: Path) -> dict[str, Verb]:
    def verb(*words: str, writes: str) -> Verb:
        return Verb(words, tuple(writes.split()))

    return {
        "data prepare": verb(
            "data", "prepare", "msp_podcast", str(corpus), "--out", "data/corpus.jsonl.gz", writes="data/corpus.*"
        ),
        "data split": verb(
            *("data", "split", "data/corpus.jsonl.gz", "--share", "0.25", "--out", "data/split.jsonl.gz"),
            writes="data/split.*",
        ),
        "transcribe": verb("transcribe", "data/split.jsonl.gz", "--out", M, writes="data/manifest.*"),
        "extract": verb(
            "extract", "conf/logmel.toml", "conf/words.toml", *ON, "--into", "features", *CPU, writes="features"
        ),
        "train": verb("train", "conf/one.toml", "conf/two.toml", "--into", "members", *CPU, writes="members"),
        "extract posteriors": verb(
            *("extract", "members/one", "members/two", *ON, "--into", "posteriors", *CPU),
            *("--splits", "held_out,development,test3"),
            writes="posteriors",
        ),
        "combine": verb(
            "combine",
            "conf/vote.toml",
            "posteriors/one",
            "posteriors/two",
            "--out",
            "ensembles/vote",
            *CPU,
            writes="ensembles",
        ),
        "predict": verb(
            *("predict", "ensembles/vote", "members/one", *ON, "--split", "development", *CPU),
            *("--into", "predictions/development"),
            writes="predictions/development",
        ),
        "predict test3": verb(
            *("predict", "ensembles/vote", *ON, "--split", "test3", "--output", "predictions/test3/vote.csv", *CPU),
            writes="predictions/test3",
        ),
        "submit": verb(
            *("submit", "predictions/test3/vote.csv", *ON, "--out", "submission", "--model", "ensembles/vote"),
            writes="submission submission.inputs.json",
        ),
        "score": verb(
            *("score", "predictions/development/ensembles-vote.csv", *ON, "--split", "development"),
            *("--results", "RESULTS.md", "--output", "scores.json", "--draws", "200"),
            writes="RESULTS.* scores.*",
        ),
    }


@dataclass
class Server:
    """Starts verbs; see server.py."""

    process: subprocess.Popen[str]
    logs: Path
    begun: dict[int, Path] = field(default_factory=dict)

    def _ask(self, question: dict[str, object]) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, words: tuple[str, ...], folder: Path, *, limit: int | None = None, unlocks: bool = False) -> int:
        log = self.logs / f"{len(self.begun)}.log"
        log.touch()
        job: dict[str, object] = {"words": list(words), "folder": str(folder), "log": str(log), "unlocks": unlocks}
        number = self._ask(job if limit is None else job | {"limit": limit, "log": os.devnull})
        self.begun[number] = log
        return number

    def wait(self, number: int) -> int:
        return self._ask({"wait": number})

    def run(self, words: tuple[str, ...], folder: Path, *, limit: int | None = None) -> tuple[int, str]:
        """The status and all that was said."""
        number = self.start(words, folder, limit=limit)
        return self.wait(number), self.begun[number].read_text()

    def killed_after(self, seconds: float, words: tuple[str, ...], folder: Path) -> bool:
        """Run a verb and kill it after some time; whether that came before its end."""
        number = self.start(words, folder)
        time.sleep(seconds)
        os.kill(number, signal.SIGKILL)  # not waited for yet, so the number is still its own
        status = self.wait(number)
        assert status in (0, -signal.SIGKILL), self.begun[number].read_text()
        return status != 0


@dataclass
class Site:
    """The experiment as an undisturbed run leaves it. seconds: how long each verb took."""

    folder: Path
    verbs: dict[str, Verb]
    seconds: dict[str, float] = field(default_factory=dict)

    def copy(self, target: Path, *, without: str) -> Path:
        """The experiment before a verb, elsewhere: what the verb writes is not there."""
        shutil.copytree(self.folder, target, dirs_exist_ok=True)
        for path in written(target, self.verbs[without]):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return target

    def assert_same(self, other: Path, name: str) -> None:
        """What a verb wrote there is what it wrote here, seconds of clocks aside, and nothing else lies about."""
        right, found = self.contents(self.folder, name), self.contents(other, name)
        assert found.keys() == right.keys()
        for path, content in right.items():
            assert found[path] == content, path
        litter = [path for path in other.rglob(".*") if path.suffix in (".part", ".old")]
        assert litter == []

    def contents(self, folder: Path, name: str) -> dict[str, bytes]:
        """Every file that a verb wrote there, without locks, damaged files put aside, and what clocks and folders say."""
        found = {}
        for path in written(folder, self.verbs[name]):
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file() and not LOCK.fullmatch(file.name) and not file.name.endswith(".edited"):
                    data = file.read_bytes()
                    if file.name.endswith("provenance.json"):
                        row = json.loads(data)
                        data = json.dumps([row[name] for name in ("verb", "key", "parts", "finished")]).encode()
                    if file.name == "history.jsonl":
                        data = re.sub(rb'"seconds": [0-9.e-]+', b"", data)
                    if file.name.startswith("RESULTS"):
                        data = re.sub(rb", commit \w+\+?", b"", data)
                    if file.name == "SHA256SUMS":
                        data = re.sub(rb"\w+  (history.jsonl|provenance.json)\n", b"", data)
                    found[str(file.relative_to(folder))] = data
        return found


def written(folder: Path, verb: Verb) -> list[Path]:
    return sorted(path for pattern in verb.writes for path in folder.glob(pattern))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("server.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Server(process, tmp_path_factory.mktemp("logs"))
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="session")
def site(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Site:
    from sertk_toy.corpus import write_toy_corpus

    root = tmp_path_factory.mktemp("faults")
    write_toy_corpus(root / "corpus", utterances=64)
    folder = root / "site"
    (folder / "conf").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    made = Site(folder, verbs(root / "corpus"))
    for name, verb in made.verbs.items():
        begun = time.monotonic()
        status, said = server.run(verb.words, folder)
        assert status == 0, f"{name}: {said}"
        made.seconds[name] = time.monotonic() - begun
    return made


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own that can be filled and made read-only; skips where it cannot be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("a disk can be mounted by root alone")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def count(request: pytest.FixtureRequest) -> object:
    """Count a fault that was injected, and what it lost."""

    def add(fault: str, times: int = 1, lost: str = "nothing") -> None:
        request.node.user_properties.append(("fault", (fault, times, lost)))  # which a worker's report carries, too

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    table: dict[str, list[tuple[int, str]]] = {}
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    for name, value in (pair for report in reports if report.when == "call" for pair in report.user_properties):
        if name == "fault":
            fault, times, lost = value
            table.setdefault(fault, []).append((times, lost))
    if not table:
        return
    rows = [
        (fault, str(sum(times for times, _ in seen)), "; ".join(sorted({lost for _, lost in seen})))
        for fault, seen in sorted(table.items())
    ]
    lines = ["| fault | injected | lost |", "| --- | ---: | --- |", *(f"| {' | '.join(row)} |" for row in rows)]
    terminalreporter.section("faults")
    terminalreporter.write_line("\n".join(lines))
    if os.environ.get("FAULT_TABLE"):
        Path(os.environ["FAULT_TABLE"]).write_text("\n".join(lines) + "\n", encoding="utf-8")
