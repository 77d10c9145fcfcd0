"""`sertk data` and `sertk submit` on a made-up corpus: what they write, say, skip and refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sertk.cli import main
from sertk.data.manifest import Manifest
from sertk.data.validation import shared_speakers
from sertk.ensemble.predictions import Predictions

pytestmark = pytest.mark.plugins  # which write and read the corpus

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "toy"
    assert main(["data", "toy", str(folder), "--utterances", "64", "--no-audio"]) == 0
    return folder


@pytest.fixture(scope="module")
def prepared(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "corpus.jsonl.gz"
    assert main(["data", "prepare", "msp_podcast", str(corpus), "--no-audio", "--out", str(out)]) == 0
    return out


def sertk(*words: object) -> int:
    return main([str(word) for word in words])


def test_a_toy_corpus_is_written_once(tmp_path: Path, capsys: Capture) -> None:
    words = ("data", "toy", tmp_path / "toy", "--utterances", 64, "--seed", 2, "--no-audio")
    assert sertk(*words) == 0
    assert "a synthetic corpus" in capsys.readouterr().out
    assert sertk(*words) == 0
    assert capsys.readouterr().out == f"up to date  {tmp_path / 'toy'}\n"
    assert sertk("data", "toy", tmp_path / "toy", "--utterances", 80) == 1
    assert "is not empty and is not the toy corpus asked for" in capsys.readouterr().err


def test_prepare_says_what_it_found_and_skips_what_is_up_to_date(
    corpus: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "m.jsonl.gz"
    words = ["data", "prepare", "msp_podcast", corpus, "--no-audio", "--out", out]
    assert sertk(*words) == 0
    said = capsys.readouterr().out
    for expected in (
        "release toy",
        "packed EmoDetail",
        "Labels/labels_consensus.csv",
        "the consensus again in 100.00%",
    ):
        assert expected in said
    before = out.read_bytes()
    assert sertk(*words) == 0
    assert capsys.readouterr().out == f"up to date  {out}\n"
    assert sertk(*words, "--force") == 0
    assert "wrote" in capsys.readouterr().out
    assert out.read_bytes() == before
    assert sertk(*words, "--secondary", "half") == 0  # another option is other work
    assert "wrote" in capsys.readouterr().out
    assert out.read_bytes() != before


def test_prepare_starts_again_when_the_corpus_changed(tmp_path: Path, capsys: Capture) -> None:
    folder, out = tmp_path / "toy", tmp_path / "m.jsonl"
    assert sertk("data", "toy", folder, "--utterances", 64, "--no-audio") == 0
    assert sertk("data", "prepare", "msp_podcast", folder, "--no-audio", "--out", out) == 0
    name = Manifest.read(out).utterances[0].id
    (folder / "Transcripts" / f"{name}.txt").write_text("quite other words")
    capsys.readouterr()
    assert sertk("data", "prepare", "msp_podcast", folder, "--no-audio", "--out", out) == 0
    assert "up to date" not in capsys.readouterr().out
    assert Manifest.read(out).utterances[0].text == "quite other words"


def test_prepare_lists_faults_in_a_report(tmp_path: Path, capsys: Capture) -> None:
    folder, out = tmp_path / "toy", tmp_path / "m.jsonl.gz"
    assert sertk("data", "toy", folder, "--utterances", 64) == 0
    recordings = sorted((folder / "Audios").iterdir())
    recordings[0].unlink()
    recordings[1].write_bytes(b"RIFF")
    assert sertk("data", "prepare", "msp_podcast", folder, "--out", out) == 0
    report = tmp_path / "m.jsonl.gz.report.jsonl"
    captured = capsys.readouterr()
    assert f"no recording 1, bad recording 1: listed in {report}" in captured.err
    summary, *faults = (json.loads(line) for line in report.read_text().splitlines())
    assert summary["faults"] == {"no recording": 1, "bad recording": 1}
    assert {fault["place"] for fault in faults} == {path.stem for path in recordings[:2]}
    assert len(Manifest.read(out)) == 126


def test_prepare_refuses_what_is_no_corpus(tmp_path: Path, corpus: Path, capsys: Capture) -> None:
    out = tmp_path / "m.jsonl"
    assert sertk("data", "prepare", "msp_podcasts", corpus, "--out", out) == 1
    assert "Did you mean 'msp_podcast'?" in capsys.readouterr().err
    assert sertk("data", "prepare", "msp_podcast", tmp_path, "--out", out) == 1
    assert "is not a known layout of MSP-Podcast" in capsys.readouterr().err
    assert sertk("data", "prepare", "msp_podcast", corpus, "--out", out) == 1
    assert "read the labels alone with --no-audio" in capsys.readouterr().err
    assert sertk("data", "prepare", "msp_podcast", corpus, "--out", out, "--secondary", "third") == 2
    assert list(tmp_path.iterdir()) == []


def test_split_holds_whole_speakers_out_and_keeps_the_rest(prepared: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "split.jsonl.gz"
    words = ("data", "split", prepared, "--split", "train", "--into", "held_out", "--share", "0.3", "--out", out)
    assert sertk(*words) == 0
    assert "wrote" in capsys.readouterr().out
    before, after = Manifest.read(prepared), Manifest.read(out)
    held_out = after.split("held_out")
    assert shared_speakers(after, "train", "held_out") == []
    assert 0 < len(held_out) < len(before.split("train"))
    assert {u.id for u in held_out} | {u.id for u in after.split("train")} == {u.id for u in before.split("train")}
    assert sertk(*words) == 0
    assert capsys.readouterr().out == f"up to date  {out}\n"
    assert sertk(*words, "--seed", 2) == 0
    assert "wrote" in capsys.readouterr().out
    assert sertk("data", "split", prepared, "--split", "trian", "--out", tmp_path / "x.jsonl") == 1
    assert "Did you mean 'train'?" in capsys.readouterr().err
    assert sertk("data", "split", tmp_path / "none.jsonl", "--out", tmp_path / "x.jsonl") == 1
    assert "there is no manifest" in capsys.readouterr().err


def test_fix_drops_faults_and_keeps_recordings_findable(prepared: Path, tmp_path: Path, capsys: Capture) -> None:
    whole = Manifest.read(prepared)
    first, second = whole.utterances[:2]
    spoiled = tmp_path / "a" / "spoiled.jsonl"
    whole.with_utterances([first, first, second]).write(spoiled)
    out = tmp_path / "b" / "fixed.jsonl"
    assert sertk("data", "fix", spoiled, "--no-audio", "--out", out) == 0
    assert "1 faults fixed or removed" in capsys.readouterr().err
    fixed = Manifest.read(out)
    assert [u.id for u in fixed] == [first.id, second.id]
    assert fixed.audio_path(fixed.utterances[1]) == whole.audio_path(second)
    listed = [json.loads(line) for line in (tmp_path / "b" / "fixed.jsonl.report.jsonl").read_text().splitlines()]
    assert listed[1]["place"] == first.id
    assert sertk("data", "fix", spoiled, "--no-audio", "--out", out) == 0
    assert capsys.readouterr().out == f"up to date  {out}\n"


def test_a_manifest_with_ids_that_break_files_is_refused_and_can_be_fixed(
    prepared: Path, tmp_path: Path, capsys: Capture
) -> None:
    spoiled, out = tmp_path / "spoiled.jsonl", tmp_path / "fixed.jsonl"
    whole = Manifest.read(prepared)
    whole.with_utterances(whole.utterances[:5]).write(spoiled)
    lines = spoiled.read_text().splitlines(keepends=True)
    for number, id in ((2, ""), (3, "__metadata__"), (4, "a\u2028b")):
        lines[number] = json.dumps(json.loads(lines[number]) | {"id": id}) + "\n"
    spoiled.write_text("".join(lines))
    encoder = tmp_path / "words.toml"
    encoder.write_text('[encoder]\nuse = "hashed_text"\n')
    for words in (
        ("data", "stats", spoiled),
        ("data", "split", spoiled, "--out", tmp_path / "x.jsonl"),
        ("transcribe", spoiled, "--out", tmp_path / "x.jsonl"),
        ("extract", encoder, "--manifest", spoiled, "--into", tmp_path / "x"),
    ):
        assert sertk(*words) == 1
        assert "spoiled.jsonl, line 3: the id is empty; `sertk data fix` drops" in capsys.readouterr().err
    assert sertk("data", "audit", spoiled, "--no-audio") == 0
    assert r"3 faults of the manifest: : the id is empty; __metadata__: the id" in capsys.readouterr().out
    assert sertk("data", "fix", spoiled, "--no-audio", "--out", out) == 0
    assert [u.id for u in Manifest.read(out)] == [whole.utterances[0].id, whole.utterances[4].id]


def test_audit_writes_json_and_a_page(prepared: Path, tmp_path: Path, capsys: Capture) -> None:
    assert sertk("data", "audit", prepared, "--no-audio", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["utterances"] == 128
    assert 0 < report["agreement"]["alpha"] < 1
    page = tmp_path / "page.html"
    assert sertk("data", "audit", prepared, "--no-audio", "--html", page) == 0
    said = capsys.readouterr().out
    assert "0 speakers in two splits" in said
    assert page.read_text().startswith("<!doctype html>")
    assert sertk("data", "audit", prepared, "--no-audio", "--html", page) == 0
    assert capsys.readouterr().out == f"up to date  {page}\n"


def test_stats_count_by_split(prepared: Path, capsys: Capture) -> None:
    assert sertk("data", "stats", prepared, "--json") == 0
    splits = json.loads(capsys.readouterr().out)
    assert {name: part["utterances"] for name, part in splits.items()} == {
        "development": 17,
        "test1": 6,
        "test2": 3,
        "test3": 64,
        "train": 38,
    }
    assert sertk("data", "stats", prepared) == 0
    assert "Contempt" in capsys.readouterr().out


def test_submit_writes_checks_and_refuses(prepared: Path, tmp_path: Path, capsys: Capture) -> None:
    manifest = Manifest.read(prepared)
    ids = tuple(u.id for u in manifest.split("test3"))
    predictions, out = tmp_path / "p.csv", tmp_path / "submission"
    emotion, attributes = np.full((64, 8), 0.125), np.full((64, 3), 4.0)
    Predictions(ids, manifest.labels, emotion, attributes, ("arousal", "valence", "dominance")).write(predictions)
    words = ("submit", predictions, "--manifest", prepared, "--split", "test3", "--out", out)
    assert sertk(*words) == 0
    assert capsys.readouterr().out == f"valid  {out / 'task1.csv'}  64 rows\nvalid  {out / 'task2.csv'}  64 rows\n"
    assert sertk(*words) == 0
    assert capsys.readouterr().out == f"up to date  {out}\n"
    check = ("submit", "--check", out, "--manifest", prepared)
    assert sertk(*check) == 0
    path = out / "task1.csv"
    path.write_text(path.read_text().replace("_0005.wav,A", "_0005.wav,Z"))
    capsys.readouterr()
    assert sertk(*check) == 1
    assert (
        "task1.csv, line 6  MSP-PODCAST_test3_0005.wav: EmoClass should be one of A S H U F D C N, got 'Z'"
        in capsys.readouterr().err
    )
    assert sertk(*words) == 0  # a spoiled file is not up to date
    assert "valid" in capsys.readouterr().out
    assert sertk("submit", predictions, "--manifest", prepared) == 2


def test_a_model_that_the_challenge_forbids_is_refused(prepared: Path, tmp_path: Path, capsys: Capture) -> None:
    manifest = Manifest.read(prepared)
    ids = tuple(u.id for u in manifest.split("test3"))
    Predictions(ids, manifest.labels, np.full((64, 8), 0.125), np.zeros((64, 0))).write(tmp_path / "p.csv")
    model = tmp_path / "model"
    model.mkdir()
    encoders = {"speech": {"use": "emotion2vec", "challenge_legal": False}}
    (model / "card.json").write_text(json.dumps({"encoders": encoders}))
    words = ("submit", tmp_path / "p.csv", "--manifest", prepared, "--out", tmp_path / "out", "--model", model)
    assert sertk(*words) == 1
    assert "uses emotion2vec, trained on emotion labels" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert sertk(*words, "--allow-illegal") == 0
    assert "there is no task2.csv" in capsys.readouterr().err


def test_no_verb_of_data_loads_torch(corpus: Path, tmp_path: Path) -> None:
    code = f"""
import sys
from sertk.cli import main
assert main(["data", "prepare", "msp_podcast", {str(corpus)!r}, "--no-audio", "--out", {str(tmp_path / "m.jsonl")!r}]) == 0
assert main(["data", "split", {str(tmp_path / "m.jsonl")!r}, "--out", {str(tmp_path / "s.jsonl")!r}]) == 0
assert main(["data", "audit", {str(tmp_path / "s.jsonl")!r}, "--no-audio"]) == 0
import sertk_msp_podcast.submit, sertk_msp_podcast.submission
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_split_joins_all_splits_first_when_asked_to(prepared: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "all.jsonl.gz"
    words = ("data", "split", prepared, "--join", "--share", "0.2", "--out", out)
    assert sertk(*words) == 0
    whole = Manifest.read(out)
    assert {u.split for u in whole} == {"train", "held_out"}
    assert [u.id for u in whole] == [u.id for u in Manifest.read(prepared)]
    assert shared_speakers(whole, "train", "held_out") == []
    capsys.readouterr()
    assert sertk("why", out) == 0
    assert "up to date" in capsys.readouterr().out
