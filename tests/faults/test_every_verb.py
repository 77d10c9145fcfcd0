"""Every verb with each of its inputs damaged in every way: it may refuse, but it says what is wrong.

A table of verbs and the files that they read, times a table of damages. Nothing may end as "unexpected ...Error", as
a traceback, or not at all. All runs are in this process.
"""

from __future__ import annotations

import gzip
import os
import pickle
import re
import shlex
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

from sertk.cli import main
from sertk.data.manifest import Manifest

LIMIT_SECONDS = 30
ON = "--manifest m.jsonl --device cpu"
MEMBER = """
[data]
manifest = "m.jsonl"
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
epochs = 1
sampler = { use = "shuffle", batch_size = 16 }
optimizer = { lr = 3e-3 }
loss = [{ use = "cross_entropy" }, { use = "attribute_mse", weight = 0.4 }]
"""
FILES = {
    "conf/logmel.toml": 'dtype = "float16"\n[encoder]\nuse = "logmel"\nmels = 20\nstack = 8\n',
    "conf/words.toml": 'dtype = "float16"\n[encoder]\nuse = "hashed_text"\ndim = 16\n',
    "conf/one.toml": MEMBER.replace("FUSION", "concat"),
    "conf/two.toml": MEMBER.replace("FUSION", "gated"),
    "conf/vote.toml": 'fit = "held_out"\n[aggregator]\nuse = "soft_vote"\n[data]\nmanifest = "m.jsonl"\n',
    "conf/ablation.toml": 'members = ["one.toml"]\nseeds = 1\nfit = "held_out"\ntest = "development"\n'
    '[[arm]]\nname = "no words"\nset = ["seed=2"]\n',
    "turns.csv": "start,end,speaker\n0.1,0.4,A\n",
    "recipe/run.sh": "# stage 1: wait\necho begun\n",
    "map.toml": 'others = "drop"\n[labels]\nAngry = ["anger"]\nHappy = ["joy"]\nNeutral = ["calm"]\n',
}
SITE = [
    "data toy corpus --utterances 64",
    "data prepare msp_podcast corpus --out corpus.jsonl",
    "data split corpus.jsonl --share 0.25 --out split.jsonl",
    "transcribe split.jsonl --out m.jsonl",
    f"extract conf/logmel.toml conf/words.toml {ON} --into features",
    "train conf/one.toml conf/two.toml --into members --device cpu",
    f"extract members/one members/two {ON} --into posteriors --splits held_out,development,test3",
    "combine conf/vote.toml posteriors/one posteriors/two --out ensembles/vote --device cpu",
    f"predict ensembles/vote {ON} --split development --output predictions/development/vote.csv",
    f"predict ensembles/vote {ON} --split test3 --output predictions/test3/vote.csv",
    f"predict ensembles/vote {ON} --split held_out --output held_out.jsonl",
    "submit predictions/test3/vote.csv --manifest m.jsonl --out submission",
    "score predictions/development/vote.csv --manifest m.jsonl --split development --draws 9 --output scores.json",
    "data fix m.jsonl --out fixed.jsonl",
    "report . --manifest m.jsonl --clips 1 --draws 9 --output report.html",
    "crossval conf/one.toml --manifest m.jsonl --into crossval --folds 3 --by-recording --device cpu",
]
LABELS = ("labels_consensus.csv", "labels_detailed.csv")
WAV = "corpus/Audios/MSP-PODCAST_0006_0002.wav"
"""A recording of Test1, which few verbs read."""
TEXT = "corpus/Transcripts/MSP-PODCAST_0006_0002.txt"
FIRST = "MSP-PODCAST_0006_0002"
"""An utterance."""
STORE = ("card.json", "index.json", "shard-00000.safetensors", "provenance.json")
MODEL = ("card.json", "config.toml", "model.safetensors", "train_ids.txt.gz", "SHA256SUMS", "provenance.json")


def within(folder: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


@dataclass(frozen=True)
class Verb:
    """A command line, where OUT is a new path, and the files that it reads. again: folders that it writes into."""

    line: str
    reads: tuple[str, ...]
    again: tuple[str, ...] = ()


PREDICTIONS = "predictions/development/vote.csv"
VERBS = {
    "data prepare": Verb(
        "data prepare msp_podcast corpus --out OUT",
        (
            *within("corpus/Labels", LABELS),
            *within("corpus", ("Partitions.txt", "Speaker_ids.txt", "readme.txt", "Labels", "Audios")),
            *(WAV, TEXT, "corpus"),
        ),
    ),
    "data split": Verb("data split corpus.jsonl --share 0.25 --out OUT", ("corpus.jsonl",)),
    "data fix": Verb("data fix m.jsonl --out OUT", ("m.jsonl", WAV)),
    "data map": Verb("data map m.jsonl --map map.toml --out OUT", ("m.jsonl", "map.toml")),
    "data merge": Verb("data merge m.jsonl split.jsonl --names a,b --out OUT", ("m.jsonl", "split.jsonl")),
    "data prepare table": Verb(
        "data prepare table table.csv --out OUT --allow-partial", ("table.csv", "voices/a.wav", "voices")
    ),
    "data features": Verb(
        "data features arrays --from arrays --manifest m.jsonl --out OUT",
        (f"arrays/{FIRST}.npy", "arrays", "m.jsonl"),
    ),
    "export": Verb("export m.jsonl --format lhotse --out OUT", ("m.jsonl", WAV)),
    "crossval": Verb(
        "crossval conf/one.toml --manifest m.jsonl --into OUT --folds 3 --by-recording --device cpu",
        ("conf/one.toml", "m.jsonl"),
    ),
    "crossval again": Verb(
        "crossval conf/one.toml --manifest m.jsonl --into crossval --folds 3 --by-recording --device cpu",
        (
            *within("crossval/fold_1/members/one", MODEL),
            "crossval/fold_1/manifest.jsonl.gz",
            "crossval/manifest.jsonl.gz",
        ),
        ("crossval",),
    ),
    "data audit": Verb("data audit m.jsonl --html OUT", ("m.jsonl", WAV)),
    "data stats": Verb("data stats m.jsonl", ("m.jsonl",)),
    "transcribe": Verb("transcribe split.jsonl --out OUT", ("split.jsonl",)),
    "transcribe again": Verb(
        "transcribe split.jsonl --out m.jsonl",
        ("m.jsonl", "m.jsonl.words.jsonl", "m.jsonl.report.json", "m.jsonl.provenance.json"),
        ("m.jsonl*",),
    ),
    "extract": Verb(
        f"extract conf/logmel.toml conf/words.toml {ON} --into OUT", ("m.jsonl", "conf/logmel.toml", WAV)
    ),
    "extract again": Verb(
        f"extract conf/words.toml {ON} --into features",
        within("features/words", (*STORE, "report.jsonl", "remarks.jsonl", "dropped.json")),
        ("features",),
    ),
    "extract --repair": Verb(
        f"extract conf/words.toml {ON} --into features --repair", within("features/words", STORE), ("features",)
    ),
    "extract posteriors": Verb(
        f"extract members/one {ON} --into OUT --splits held_out",
        ("m.jsonl", *within("members/one", MODEL), *within("features/words", STORE)),
    ),
    "train": Verb(
        "train conf/one.toml --out OUT --device cpu",
        ("conf/one.toml", "m.jsonl", "features/words", *within("features/words", STORE)),
    ),
    "train again": Verb(
        "train conf/one.toml --out members/one --device cpu", within("members/one", MODEL), ("members",)
    ),
    "combine": Verb(
        "combine conf/vote.toml posteriors/one posteriors/two --out OUT --device cpu",
        ("conf/vote.toml", "m.jsonl", *within("posteriors/one", STORE), *within("members/one", MODEL)),
    ),
    "combine files": Verb(
        "combine conf/vote.toml one=held_out.jsonl posteriors/two --out OUT --device cpu", ("held_out.jsonl",)
    ),
    "combine again": Verb(
        "combine conf/vote.toml posteriors/one posteriors/two --out ensembles/vote --device cpu",
        within("ensembles/vote", (*MODEL, "members/one/card.json", "members/one/model.safetensors")),
        ("ensembles",),
    ),
    "predict": Verb(
        f"predict ensembles/vote {ON} --split development --output OUT.csv",
        (
            *("m.jsonl", "ensembles/vote/members/one/card.json", "ensembles/vote/members/one/config.toml"),
            *within("ensembles/vote", MODEL),
            *within("features/words", STORE),
        ),
    ),
    "predict recordings": Verb(
        f"predict members/one {WAV} corpus/Audios/MSP-PODCAST_0006_0003.wav --output OUT.csv --device cpu",
        (WAV, *within("members/one", MODEL)),
    ),
    "timeline": Verb(
        "timeline members/one voices --into OUT --device cpu --segmenter spans --set source=turns.csv",
        ("voices/a.wav", "turns.csv", "members/one/card.json"),
    ),
    "predict a folder": Verb(
        "predict members/one voices --output OUT.csv --device cpu", ("voices/a.wav", "voices/a.txt")
    ),
    "submit": Verb(
        "submit predictions/test3/vote.csv --manifest m.jsonl --out OUT --model members/one",
        ("predictions/test3/vote.csv", "m.jsonl", "members/one/card.json"),
    ),
    "submit --check": Verb(
        "submit --check submission --manifest m.jsonl", within("submission", ("task1.csv", "task2.csv"))
    ),
    "check": Verb(
        "check conf/one.toml conf/logmel.toml conf/vote.toml conf/ablation.toml --manifest m.jsonl",
        ("conf/one.toml", "conf/logmel.toml", "conf/vote.toml", "conf/ablation.toml", "m.jsonl"),
    ),
    "score": Verb(
        f"score {PREDICTIONS} --manifest m.jsonl --split development --draws 9 --groups --output OUT --results OUT.md",
        (PREDICTIONS, "m.jsonl"),
    ),
    "score --compare": Verb(
        f"score {PREDICTIONS} --manifest m.jsonl --split development --draws 9 --compare other.csv --calibrate held_out.jsonl",
        ("other.csv", "held_out.jsonl"),
    ),
    "score --card": Verb(
        f"score {PREDICTIONS} --manifest m.jsonl --split development --draws 9 --card members/one",
        within("members/one", MODEL),
        ("members",),
    ),
    "report": Verb(
        "report . --manifest m.jsonl --clips 1 --draws 9 --output OUT",
        (PREDICTIONS, "m.jsonl", WAV, *within("members/one", ("card.json", "config.toml", "history.jsonl"))),
    ),
    "ablate": Verb("ablate conf/ablation.toml --into OUT --plan", ("conf/ablation.toml", "conf/one.toml", "m.jsonl")),
    "plan": Verb("plan recipe --manifest m.jsonl --exp .", ("m.jsonl", "recipe/run.sh")),
    "run": Verb("run recipe --exp OUT", ("recipe/run.sh",)),
    "why scores": Verb(
        "why scores.json",
        ("scores.json", "scores.json.provenance.json", "m.jsonl", PREDICTIONS, f"{PREDICTIONS}.provenance.json"),
    ),
    "why a model": Verb(
        "why ensembles/vote",
        (*within("ensembles/vote", MODEL), *within("posteriors/one", STORE), *within("members/one", MODEL)),
    ),
    "why a store": Verb("why features/words", (*within("features/words", STORE), "m.jsonl", "conf/words.toml")),
    "why a manifest": Verb(
        "why m.jsonl", ("m.jsonl.provenance.json", "split.jsonl", "corpus", "m.jsonl.words.jsonl")
    ),
}


def read(path: Path) -> bytes:
    """The content; nothing of what is not there."""
    if not path.is_file():
        return b""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def write(path: Path, content: bytes) -> None:
    """Another content in the place of a file or folder; compressed where the file was."""
    remove(path)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def folder(path: Path) -> None:
    remove(path)
    path.mkdir()


def loop(path: Path) -> None:
    remove(path)
    path.symlink_to(path.name)


def pipe(path: Path) -> None:
    remove(path)
    os.mkfifo(path)


def raw(path: Path, content: bytes) -> None:
    remove(path)
    path.write_bytes(content)


def one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes() if path.is_file() else b"")
    if content:
        content[len(content) // 2] ^= 4
    raw(path, bytes(content))


def middle(content: bytes, inserted: bytes) -> bytes:
    return content[: len(content) // 2] + inserted + content[len(content) // 2 :]


DAMAGES: dict[str, Callable[[Path], None]] = {
    "gone": remove,
    "empty": lambda path: write(path, b""),
    "a folder": folder,
    "a link to itself": loop,
    "a pipe": pipe,
    "one bit": one_bit,
    "cut": lambda path: raw(path, path.read_bytes()[: path.stat().st_size // 2] if path.is_file() else b""),
    "noise": lambda path: raw(path, bytes(range(256)) * 9),
    "a pickle": lambda path: raw(path, pickle.dumps({"a": [1.0]})),
    "text": lambda path: write(path, b"nonsense, and\nmore of it\n"),
    "an object": lambda path: write(path, b"{}\n"),
    "an array": lambda path: write(path, b"[]\n"),
    "null": lambda path: write(path, b"null\n"),
    "a number": lambda path: write(path, b"7\n"),
    "nested": lambda path: write(path, b"[" * 100_000),
    "no UTF-8": lambda path: write(path, middle(read(path), b"\xff\xfe")),
    "a null byte": lambda path: write(path, middle(read(path), b"\0")),
    "a quote": lambda path: write(path, middle(read(path), b'"')),
    "line ends of another system": lambda path: write(path, b"\xef\xbb\xbf" + read(path).replace(b"\n", b"\r\n")),
    "twice": lambda path: write(path, read(path) * 2),
    "without its first line": lambda path: write(path, read(path).partition(b"\n")[2]),
    "without its last line": lambda path: write(path, read(path).rstrip(b"\n").rpartition(b"\n")[0]),
    "huge numbers": lambda path: write(path, re.sub(rb"\d+", b"9" * 400, read(path), count=60)),
    "odd numbers": lambda path: write(path, re.sub(rb"\d+(\.\d+)?", b"NaN", read(path), count=60)),
    "negative numbers": lambda path: write(path, re.sub(rb"(?<=[ :,\[])\d", b"-1", read(path))),
    "other names": lambda path: write(path, re.sub(rb'"[a-z_]+":', b'"x":', read(path), count=9)),
    "strings for numbers": lambda path: write(path, re.sub(rb": (\d[\d.]*)", rb': "\1"', read(path))),
    "numbers for strings": lambda path: write(path, re.sub(rb': "[^"]*"', b": 7", read(path))),
    "nothing for values": lambda path: write(path, re.sub(rb": [^\s{\[,}]+", b": null", read(path))),
}
QUICK = ("gone", "a folder", "cut", "noise", "an object", "no UTF-8", "huge numbers", "numbers for strings")
"""The damages that found most; the others are injected by `make test-faults`."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small experiment, and what each verb made of it."""
    place = tmp_path_factory.mktemp("walk") / "site"
    for name, text in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for line in SITE:
            assert main(shlex.split(line)) == 0, line
        shutil.copy(PREDICTIONS, "other.csv")
        Path("voices").mkdir()
        shutil.copy(WAV, "voices/a.wav")
        shutil.copy(TEXT, "voices/a.txt")
        Path("table.csv").write_text("file,emotion,speaker\nvoices/a.wav,happy,one\n")
        Path("arrays").mkdir()
        for utterance in Manifest.read(Path("m.jsonl")).utterances:
            np.save(f"arrays/{utterance.id}.npy", np.ones(4, np.float32))
    return place


@pytest.fixture(scope="module")
def site(finished: Path) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(finished)
        yield finished


def too_long(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"not done in {LIMIT_SECONDS} s")


def walk(verb: Verb, damages: dict[str, Callable[[Path], None]], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a verb says that it must not, with each input damaged in each way."""
    wrong = []
    backup = Path("../backup")
    before = signal.signal(signal.SIGALRM, too_long)
    try:
        for name in verb.reads:
            for what, damage in damages.items():
                kept = [path for pattern in verb.again for path in Path().glob(pattern)] or [Path(name)]
                keep(kept, backup)
                try:
                    damage(Path(name))
                    signal.alarm(LIMIT_SECONDS)
                    status = main(shlex.split(verb.line.replace("OUT", "../out/new")))
                    signal.alarm(0)
                finally:
                    signal.alarm(0)
                    restore(verb, kept, backup)
                    shutil.rmtree("../out", ignore_errors=True)
                shown = capsys.readouterr()
                if status not in (0, 1, 2) or "unexpected" in shown.err or "Traceback" in shown.err + shown.out:
                    wrong.append(f"{name}, {what}: status {status}: {shown.err.strip()[:300]}")
                elif status and not shown.err.strip() and not shown.out.strip():
                    wrong.append(f"{name}, {what}: status {status} without a word")
    finally:
        signal.signal(signal.SIGALRM, before)
    return wrong


def keep(paths: list[Path], backup: Path) -> None:
    shutil.rmtree(backup, ignore_errors=True)
    for path in paths:
        (backup / path).parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, backup / path)
        elif path.exists():
            shutil.copy2(path, backup / path)


def restore(verb: Verb, paths: list[Path], backup: Path) -> None:
    for pattern in verb.again:
        for path in Path().glob(pattern):
            remove(path)
    for path in paths:
        remove(path)
        if (backup / path).is_dir():
            shutil.copytree(backup / path, path)
        elif (backup / path).exists():
            shutil.copy2(backup / path, path)


@pytest.mark.parametrize("name", VERBS)
def test_no_verb_ends_unexpectedly_with_a_damaged_input(
    site: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    verb = VERBS[name]
    assert walk(Verb(verb.line, verb.reads[:1], verb.again), {"nothing": lambda path: None}, capsys) == []
    wrong = walk(verb, {what: DAMAGES[what] for what in QUICK}, capsys)
    assert not wrong, "\n".join(wrong)
