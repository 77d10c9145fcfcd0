from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sertk_corpora.emodb import read_emodb
from sertk_corpora.export import write_lhotse
from sertk_corpora.lhotse import read_lhotse

from sertk.cli import main
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import DataError, LabelError, OutputError

LABELS = LabelSet(("Sad", "Angry", "Neutral"), "SAN")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Three utterances of two recordings, of which one has two channels."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    noise = np.random.default_rng(1).normal(0, 0.1, (32_000, 2))
    soundfile.write(folder / "a.wav", noise[:, 0], 16_000)
    soundfile.write(folder / "b.wav", noise, 16_000)
    common: dict[str, Any] = {"sample_rate": 16_000, "gender": "female", "language": "de", "text_source": "corpus"}
    utterances = (
        Utterance("a-1", "a.wav", 0.25, 0.5, speaker="ann", split="train", fold="1", text="ä", emotion="Sad",
                  votes={"Sad": 2.0, "Other": 1.0}, attributes={"arousal": 5.5}, **common),
        Utterance("a-2", "a.wav", 1.0, 1.0, speaker="bob", split="test", corpus="x", text="so", emotion="Other",
                  raters=({"rater": "r1", "emotion": "Sad"},), **common),
        Utterance("b", "b.wav", 0.0, 2.0, sample_rate=16_000),
    )  # fmt: skip
    path = tmp_path / "manifest.jsonl.gz"
    Manifest("mine", LABELS, {"arousal": (1.0, 7.0)}, utterances, "a note", folder).write(path)
    return path


@pytest.fixture
def rows(manifest: Path, tmp_path: Path) -> Callable[..., Path]:
    """Gives a folder with the supervisions changed, each by a function."""

    def changed(change: Callable[[dict[str, Any]], object]) -> Path:
        folder = write_lhotse(manifest, tmp_path / "lhotse").folder
        read = read_rows(folder / "supervisions.jsonl.gz")
        for row in read:
            change(row)
        lines = "".join(json.dumps(row) + "\n" for row in read)
        (folder / "supervisions.jsonl.gz").unlink()
        (folder / "corpus_supervisions_dev.jsonl").write_text(lines)
        return folder

    return changed


def read_rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line in file]


def test_out_and_in_gives_the_same_manifest(manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lhotse"
    assert main(["export", str(manifest), "--format", "lhotse", "--out", str(folder)]) == 0
    again, report = read_lhotse(folder)
    before = Manifest.read(manifest)
    assert again.utterances == before.located()
    assert (again.corpus, again.labels, again.note) == (before.corpus, before.labels, before.note)
    assert again.ranges == before.ranges
    assert [*report.faults] == ["odd format"]


def test_rows_are_those_of_lhotse(manifest: Path, tmp_path: Path) -> None:
    folder = write_lhotse(manifest, tmp_path / "lhotse").folder
    a, b = read_rows(folder / "recordings.jsonl.gz")
    assert (a["id"], a["num_samples"], a["duration"], a["channel_ids"]) == ("a", 32_000, 2.0, [0])
    assert b["sources"] == [{"type": "file", "channels": [0, 1], "source": str(tmp_path / "corpus" / "b.wav")}]
    first, *_, last = read_rows(folder / "supervisions.jsonl.gz")
    assert (first["recording_id"], first["start"], first["duration"], first["channel"]) == ("a", 0.25, 0.5, 0)
    assert first["custom"]["emotion"] == "Sad"
    assert last["channel"] == [0, 1]


def test_what_is_up_to_date_is_not_written_again_and_other_files_are_kept(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(manifest), "--format", "lhotse", "--out", str(tmp_path / "lhotse")]
    assert main(command) == 0
    assert main(command) == 0
    assert "up to date" in capsys.readouterr().out
    with pytest.raises(OutputError, match="not an earlier result"):
        write_lhotse(manifest, tmp_path / "corpus")
    assert main(["why", str(tmp_path / "lhotse")]) == 0


def test_other_peoples_manifests_have_the_classes_and_the_split_that_occur(rows: Callable[..., Path]) -> None:
    names = iter(["happy", "sad", None])
    folder = rows(lambda row: row.update(custom={"mood": next(names), "fold": 2}))
    again, _ = read_lhotse(folder, emotion="mood")
    assert (again.corpus, again.labels.names) == ("corpus", ("happy", "sad"))
    assert [(u.emotion, u.split, u.fold) for u in again] == [
        ("happy", "dev", "2"),
        ("sad", "dev", "2"),
        (None, "dev", "2"),
    ]
    with pytest.raises(DataError, match=r"custom has fold, mood: --emotion names another"):
        read_lhotse(folder)


def test_what_cannot_be_read_is_said(rows: Callable[..., Path], manifest: Path, tmp_path: Path) -> None:
    folder = rows(lambda row: row.update(id="a-1"))
    with pytest.raises(
        DataError, match=r"corpus_supervisions_dev.jsonl, line 2: the supervision 'a-1' is there twice"
    ):
        read_lhotse(folder)
    lines = (folder / "corpus_supervisions_dev.jsonl").read_text()
    (folder / "corpus_supervisions_dev.jsonl").write_text(lines.replace('"start": 0.25', '"start": "soon"'))
    with pytest.raises(DataError, match="line 1: is no row of lhotse: start"):
        read_lhotse(folder)
    (folder / "corpus_supervisions_dev.jsonl").unlink()
    with pytest.raises(DataError, match=r"has no supervisions.jsonl.gz of lhotse"):
        read_lhotse(folder)
    (tmp_path / "corpus" / "a.wav").unlink()
    with pytest.raises(DataError, match="1 of 2 recordings cannot be read"):
        write_lhotse(manifest, tmp_path / "more")


def test_a_label_outside_the_set_and_two_sets_are_refused(rows: Callable[..., Path]) -> None:
    folder = rows(lambda row: row["custom"].update(emotion="Grim"))
    with pytest.raises(LabelError, match="'a-1' has 'Grim', which is none of Sad, Angry, Neutral"):
        read_lhotse(folder)


def test_two_label_sets_are_refused(rows: Callable[..., Path]) -> None:
    folder = rows(lambda row: row["custom"]["sertk"].update(corpus=row["id"]))
    with pytest.raises(DataError, match="line 2: 'a-2' has another label set"):
        read_lhotse(folder)


def test_recordings_that_are_no_plain_files_are_left_out(manifest: Path, tmp_path: Path) -> None:
    folder = write_lhotse(manifest, tmp_path / "lhotse").folder
    a, b = read_rows(folder / "recordings.jsonl.gz")
    b["sources"][0]["type"] = "command"
    with gzip.open(folder / "recordings.jsonl.gz", "wt") as file:
        file.write(json.dumps(a) + "\n" + json.dumps(b) + "\n")
    again, report = read_lhotse(folder, allow_partial=True)
    assert [u.id for u in again] == ["a-1", "a-2"]
    assert [fault.message for fault in report.faults["unread recording"]] == ["is a command, not a file; left out"]


@pytest.mark.real
@pytest.mark.skipif("SERTK_EMODB" not in os.environ, reason="needs SERTK_EMODB, a copy of EMO-DB")
def test_emodb_goes_out_and_in(tmp_path: Path) -> None:
    before, _ = read_emodb(Path(os.environ["SERTK_EMODB"]))
    before.write(tmp_path / "emodb.jsonl.gz")
    assert write_lhotse(tmp_path / "emodb.jsonl.gz", tmp_path / "lhotse").utterances == 535
    assert read_lhotse(tmp_path / "lhotse")[0].utterances == before.utterances
