from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sertk_corpora.audformat_in import read_audformat
from sertk_corpora.emodb import read_emodb
from sertk_corpora.export import write_audformat

from sertk.cli import main
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import DataError, LeftOutWarning

LABELS = LabelSet(("Sad", "Angry", "Neutral"), "SAN")


def test_without_the_library_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "audformat", None)
    with pytest.raises(DataError, match=r"pip install 'sertk-corpora\[audformat\]'"):
        read_audformat(tmp_path)


@pytest.fixture
def audformat() -> Any:
    return pytest.importorskip("audformat", reason="needs audformat")


@pytest.fixture
def manifest(audformat: Any, tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in "ab":
        soundfile.write(folder / f"{name}.wav", np.random.default_rng(1).normal(0, 0.1, 32_000), 16_000)
    common: dict[str, Any] = {"sample_rate": 16_000, "language": "de"}
    utterances = (
        Utterance("a-1", "a.wav", 0.25, 0.5, speaker="NA", gender="female", split="train", fold="1", text="ä, \n\"",
                  text_source="corpus", emotion="Sad", votes={"Sad": 2.0, "Other": 1.0}, attributes={"arousal": 5.5},
                  **common),
        Utterance("a-2", "a.wav", 1.0, 1.0, speaker="02", split="te/st", corpus="x", emotion="Other", **common),
        Utterance("b", "b.wav", 0.0, 2.0, speaker="02", **common),
    )  # fmt: skip
    path = tmp_path / "manifest.jsonl.gz"
    Manifest("mine", LABELS, {"arousal": (1.0, 7.0), "tension": (0.0, 1.0)}, utterances, "a note", folder).write(path)
    return path


@pytest.fixture
def db(audformat: Any, tmp_path: Path) -> Any:
    """A database as others make it: codes for sentences and speakers, a filewise table beside the emotions."""
    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(16_000) + 0.1, 16_000)
    db = audformat.Database("theirs", usage="research", languages=["deu"])
    db.schemes["emotion"] = audformat.Scheme("str", labels=["sadness", "anger"])
    db.schemes["speaker"] = audformat.Scheme("int", labels={3: {"gender": "male", "age": 31}})
    db.schemes["transcription"] = audformat.Scheme("str", labels={"a01": "Der Lappen."})
    index = audformat.filewise_index(["a.wav", "b.wav"])
    db.splits["test"] = audformat.Split("test")
    table = db["emotion"] = audformat.Table(index, split_id="test")
    table["emotion"] = audformat.Column(scheme_id="emotion")
    table["emotion"].set(["anger", None])
    files = db["files"] = audformat.Table(index)
    for name, values in {"speaker": [3, 3], "transcription": ["a01", None]}.items():
        files[name] = audformat.Column(scheme_id=name)
        files[name].set(values)
    return db


def test_out_and_in_gives_the_same_manifest(manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "db"
    assert main(["export", str(manifest), "--format", "audformat", "--out", str(folder)]) == 0
    again, report = read_audformat(folder)
    before = Manifest.read(manifest)
    assert sorted(again.utterances, key=lambda u: u.id) == [*before.located()]
    assert (again.corpus, again.labels, again.note) == (before.corpus, before.labels, before.note)
    assert again.ranges == before.ranges
    assert report.faults == {}


def test_tables_of_splits_that_are_no_more_are_removed(manifest: Path, tmp_path: Path) -> None:
    folder = write_audformat(manifest, tmp_path / "db").folder
    assert write_audformat(manifest, folder).up_to_date
    before = Manifest.read(manifest)
    rows = tuple(replace(u, split="train", raters=({"rater": "r"},)) for u in before)
    before.with_utterances(rows).write(manifest)
    with pytest.warns(LeftOutWarning, match="raters' own rows of 3 utterances are left out"):
        write_audformat(manifest, folder)
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith("db.")) == [
        "db.files.train.parquet",
        "db.yaml",
    ]


def test_a_database_of_others_is_read(db: Any, tmp_path: Path) -> None:
    db.save(str(tmp_path))
    manifest, _ = read_audformat(tmp_path)
    assert manifest.labels.names == ("sadness", "anger")
    a, b = manifest
    assert (a.id, a.emotion, a.speaker, a.gender, a.language, a.split) == ("a", "anger", "3", "male", "de", "test")
    assert (a.text, b.text, b.emotion, b.duration) == ("Der Lappen.", None, None, 1.0)


def test_two_emotion_columns_and_unknown_ones_are_refused(db: Any, audformat: Any, tmp_path: Path) -> None:
    db["files"]["felt"] = audformat.Column(scheme_id="emotion")
    db["files"]["felt"].set(["sadness", "anger"])
    db.save(str(tmp_path))
    with pytest.raises(DataError, match=r"two emotion columns.*emotion \(table emotion\), felt \(table files\)"):
        read_audformat(tmp_path)
    assert [u.emotion for u in read_audformat(tmp_path, emotion="felt")[0]] == ["sadness", "anger"]
    with pytest.raises(DataError, match=r"no table has a column 'fell'. Did you mean 'felt'"):
        read_audformat(tmp_path, emotion="fell")


def test_an_unknown_scheme_missing_tables_and_contradictions_are_refused(
    db: Any, audformat: Any, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"has no db.yaml"):
        read_audformat(tmp_path)
    db.save(str(tmp_path))
    header = (tmp_path / "db.yaml").read_text()
    (tmp_path / "db.yaml").write_text(header.replace("scheme_id: speaker", "scheme_id: who"))
    with pytest.raises(DataError, match=r"db.yaml: cannot be read as a database of audformat: .*who"):
        read_audformat(tmp_path)
    (tmp_path / "db.yaml").write_text(header)
    (tmp_path / "db.files.parquet").unlink()
    with pytest.raises(DataError, match="cannot be read as a database"):
        read_audformat(tmp_path)
    db["files"]["emotion"] = audformat.Column(scheme_id="emotion")
    db["files"]["emotion"].set(["sadness", "anger"])
    db.save(str(tmp_path))
    with pytest.raises(DataError, match=r"a.wav: emotion is 'anger' in the table emotion and 'sadness' in files"):
        read_audformat(tmp_path)


@pytest.mark.real
@pytest.mark.skipif("SERTK_EMODB" not in os.environ, reason="needs SERTK_EMODB, a copy of EMO-DB")
def test_emodb_goes_out_and_in(audformat: Any, tmp_path: Path) -> None:
    before, _ = read_emodb(Path(os.environ["SERTK_EMODB"]))
    before.write(tmp_path / "emodb.jsonl.gz")
    assert write_audformat(tmp_path / "emodb.jsonl.gz", tmp_path / "db").utterances == 535
    again, _ = read_audformat(tmp_path / "db")
    assert sorted(again.utterances, key=lambda u: u.id) == [*before.utterances]
