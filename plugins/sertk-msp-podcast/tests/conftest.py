"""One small made-up corpus, and the same rewritten in the form of each release."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sertk_toy.corpus import write_toy_corpus

COLUMNS = ("EmoClass_Major", "EmoClass_Second", "EmoAct", "EmoVal", "EmoDom")
Rewrite = Callable[[str, Path], Path]


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("msp") / "toy"
    write_toy_corpus(folder, utterances=64, seed=5)
    return folder


@pytest.fixture
def copy(toy: Path, tmp_path: Path) -> Path:
    """A copy of the corpus that may be spoiled."""
    return Path(shutil.copytree(toy, tmp_path / "copy"))


@pytest.fixture
def rewrite(toy: Path) -> Rewrite:
    return lambda layout, folder: _rewrite(toy, layout, folder)


def _rewrite(toy: Path, layout: str, folder: Path) -> Path:
    """Write the corpus again as a release had it: other folders, file names, columns and forms, the same content."""
    release, _, form = layout.partition(" ")
    audio, labels, partitions, consensus = {
        "1.6": ("Audio", "label", "Partition.txt", "labels_concensus"),
        "1.10": ("Audios", "labels", "Partition.txt", "labels_consensus"),
        "1.12": ("Audios/Audios", "Labels/Labels", "Partitions.txt", "labels_consensus"),
        "2025": ("Audios", "Labels", "Partitions.txt", "labels_consensus"),
        "2.0": ("MSP/Audios", "MSP/Labels", "MSP/Partitions.txt", "labels_consensus"),
    }[release]
    root = folder / "MSP" if release == "2.0" else folder
    shutil.copytree(toy / "Audios", folder / audio)
    shutil.copytree(toy / "Transcripts", root / "Transcripts")
    shutil.copytree(toy / "Toy", root / "Toy")
    shutil.copy(toy / "readme.txt", root / "readme.txt")
    older = release in ("1.6", "1.10")
    lines = (toy / "Partitions.txt").read_text()
    (folder / partitions).write_text(lines.replace("Development;", "Validation;") if older else lines)
    shutil.copy(toy / "Speaker_ids.txt", root / "Speaker_ids.txt")
    target = folder / labels
    target.mkdir(parents=True, exist_ok=True)
    if form == "txt":
        shutil.copy(toy / "Labels" / "labels.txt", target)
        return folder
    agreed = json.loads((toy / "Labels" / "labels_consensus.json").read_text())
    raters = json.loads((toy / "Labels" / "labels_detailed.json").read_text())
    if older:
        for row in agreed.values():
            row["Split_Set"] = row["Split_Set"].replace("Development", "Validation")
    if form == "json":
        (target / f"{consensus}.json").write_text(json.dumps(agreed))
        (target / "labels_detailed.json").write_text(json.dumps(raters))
        return folder
    header = ["FileName", *next(iter(agreed.values()))]
    _write_csv(target / f"{consensus}.csv", header, [[name, *row.values()] for name, row in agreed.items()])
    flat = [(name, worker, row) for name, workers in raters.items() for worker, row in workers.items()]
    if release in ("1.6", "2.0"):
        header = ["FileName", "Workers" if release == "1.6" else "WorkerID", *COLUMNS]
        rows = [[name, worker, *(row[column] for column in COLUMNS)] for name, worker, row in flat]
    else:
        header = ["FileName", "EmoDetail"]
        rows = [[name, _packed(worker, row)] for name, worker, row in flat]
    _write_csv(target / "labels_detailed.csv", header, rows)
    return folder


def _packed(worker: str, row: dict[str, Any]) -> str:
    first, second, arousal, valence, dominance = (row[column] for column in COLUMNS)
    return f"{worker}; {first}; {second}; A:{arousal}; V:{valence}; D:{dominance};"


def _write_csv(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
