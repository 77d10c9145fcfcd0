"""A file with one wrong bit: found, named, and made again where its verb can make it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sertk.errors import StoreError
from sertk.features.store import FeatureStore

pytestmark = pytest.mark.faults


def damage(path: Path, *, seed: str = "") -> None:
    """Turn one bit somewhere in the middle of a file."""
    data = bytearray(path.read_bytes())
    at = random.Random(f"{path.name} {seed}").randrange(len(data) // 4, len(data))
    data[at] ^= 1 << at % 8
    path.chmod(0o644)
    path.unlink()  # a member of an ensemble is a hard link
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("data prepare", "data/corpus.jsonl.gz"),
        ("data split", "data/split.jsonl.gz"),
        ("transcribe", "data/manifest.jsonl.gz"),
        ("transcribe", "data/manifest.jsonl.gz.report.json"),
        *(
            ("train", f"members/two/{file}")
            for file in ("model.safetensors", "card.json", "config.toml", "train_ids.txt.gz", "history.jsonl")
        ),
        *(("combine", f"ensembles/vote/{file}") for file in ("model.safetensors", "card.json", "config.toml")),
        ("predict", "predictions/development/ensembles-vote.csv"),
        ("submit", "submission/task1.csv"),
        ("submit", "submission/task2.csv"),
        ("score", "scores.json"),
        ("score", "RESULTS.md"),
    ],
)
def test_the_verb_that_wrote_a_file_finds_it_damaged_and_writes_it_again(
    site: Any, server: Any, tmp_path: Path, name: str, file: str, count: Callable[..., None]
) -> None:
    folder = site.copy(tmp_path / "site", without="score")
    assert server.run(site.verbs["score"].words, folder)[0] == 0
    damage(folder / file)
    status, said = server.run(site.verbs[name].words, folder)
    assert status == 0, said
    for kept in folder.rglob("*.edited"):
        assert kept.name in said
        kept.unlink()
    site.assert_same(folder, name)
    count(f"one wrong bit in {file}: `sertk {name}` writes it again", 1)


@pytest.mark.parametrize("file", ["model.safetensors", "card.json", "config.toml", "train_ids.txt.gz", "SHA256SUMS"])
def test_a_damaged_model_is_refused_by_whoever_reads_it(
    site: Any, server: Any, tmp_path: Path, file: str, count: Callable[..., None]
) -> None:
    folder = site.copy(tmp_path / "site", without="extract posteriors")
    damage(folder / "members" / "two" / file)
    status, said = server.run(site.verbs["extract posteriors"].words, folder)
    assert status == 1
    assert "members/two" in said
    assert "unexpected" not in said
    count(f"one wrong bit in a model's {file}: its readers name it", 1)


@pytest.mark.parametrize("file", ["shard-00000.safetensors", "index.json", "card.json"])
def test_a_damaged_store_is_named_and_repaired(
    site: Any, server: Any, tmp_path: Path, file: str, count: Callable[..., None]
) -> None:
    words = site.verbs["extract"].words
    times = 0
    for seed in range(4):
        folder = site.copy(tmp_path / str(seed), without="score")
        path = folder / "features" / "logmel" / file
        if file == "card.json":  # what still reads as a card is another encoder's, and nobody deletes that unasked
            path.write_bytes(path.read_bytes()[: -9 * (seed + 1)])
        else:
            damage(path, seed=str(seed))
        with pytest.raises(StoreError) as caught:
            FeatureStore.open(folder / "features" / "logmel").verify()
        assert file in str(caught.value) or "shard-00000.safetensors" in str(caught.value)
        status, said = server.run((*words, "--repair"), folder)
        assert status == 0, said
        site.assert_same(folder, "extract")
        times += 1
    count(f"a damaged {file} of a store: named, `--repair` extracts it again", times, "frames, extracted again")


def test_a_manifest_with_a_damaged_line_is_named_with_the_line(tmp_path: Path, tiny_store: Path, count: Any) -> None:
    from sertk.data.manifest import Manifest
    from sertk.errors import DataError

    Manifest.read(tiny_store / "manifest.jsonl.gz").write(tmp_path / "m.jsonl")
    lines = (tmp_path / "m.jsonl").read_text().splitlines()
    for number in (1, 7, len(lines)):
        broken = [line if at != number else line[:-9] for at, line in enumerate(lines, start=1)]
        (tmp_path / "m.jsonl").write_text("\n".join(broken))
        with pytest.raises(DataError, match=rf"m\.jsonl, line {number}:"):
            Manifest.read(tmp_path / "m.jsonl")
    count("a torn line of a manifest: named with its number", 3)


@pytest.mark.parametrize("file", ["weights.safetensors", "optimizer.safetensors", "progress.json", "best"])
def test_a_damaged_training_state_says_what_to_delete(
    site: Any, server: Any, tmp_path: Path, file: str, count: Callable[..., None]
) -> None:
    folder = site.copy(tmp_path / "site", without="train")
    words = site.verbs["train"].words
    state = folder / "members" / "one" / "state"
    number = server.start(words, folder)
    deadline = time.monotonic() + 60
    while not list(state.glob("0*")):
        assert time.monotonic() < deadline, "waited in vain"
    os.kill(number, signal.SIGKILL)
    assert server.wait(number) == -signal.SIGKILL
    (found,) = state.glob("best-*") if file == "best" else state.glob(f"0*/{file}")
    damage(found)
    status, said = server.run(words, folder)
    assert status == 1
    assert "members/one/state" in said
    assert "delete" in said.lower()
    shutil.rmtree(state)
    status, said = server.run(words, folder)
    assert status == 0, said
    site.assert_same(folder, "train")
    count(f"one wrong bit in a training state's {file}", 1, "the epochs so far, trained again")
