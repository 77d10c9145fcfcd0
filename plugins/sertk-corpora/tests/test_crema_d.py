from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sertk_corpora.checks import split_of
from sertk_corpora.crema_d import CREMA_D, fold_of, read_crema_d

from sertk.cli import main
from sertk.data.manifest import Manifest
from sertk.errors import DataError
from sertk.testing import checks
from sertk.testing.suites.base import Check

CLIPS: dict[str, tuple[list[int], float]] = {
    "1001_DFA_ANG_XX": ([6, 2, 0, 0, 1, 0], 54.5),
    "1001_IEO_HAP_LO": ([0, 0, 0, 3, 6, 0], 62.0),
    "1019_TIE_SAD_XX": ([0, 0, 4, 0, 4, 1], 40.0),  # fear and neutral: a tie
    "1076_MTI_SAD_XX": ([0, 1, 0, 0, 5, 3], 51.0),
    "1091_WSI_FEA_XX": ([0, 0, 9, 0, 0, 0], 80.0),
}


def majority(votes: list[int], names: Any) -> str:
    return ":".join(name for name, count in zip(names, votes, strict=True) if count == max(votes))


def sound(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, 8000), 16_000)


@pytest.fixture
def authors(tmp_path: Path) -> Path:
    return write_authors_layout(tmp_path / "CREMA-D")


def write_authors_layout(folder: Path) -> Path:
    """A made-up copy in the authors' layout: ratings of voice, face and both in one table."""
    (folder / "processedResults").mkdir(parents=True)
    with open(folder / "VideoDemographics.csv", "w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(["ActorID", "Age", "Sex", "Race", "Ethnicity"])
        for speaker in (1001, 1019, 1076, 1091):
            writer.writerow([speaker, 30, "Female" if speaker == 1076 else "Male", "Unknown", "Unknown"])
    with open(folder / "processedResults" / "tabulatedVotes.csv", "w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(["", *"ADFHNS", "fileName", "numResponses", "agreement", "emoVote", "meanEmoResp"])
        for number, (clip, (votes, level)) in enumerate(CLIPS.items(), start=1):
            sound(folder / "AudioWAV" / f"{clip}.wav", number)
            row = [*votes, clip, sum(votes), max(votes) / sum(votes), majority(votes, "ADFHNS"), level]
            writer.writerow([f"{100_000 + number}", *row])
            writer.writerow([f"{200_000 + number}", 1, 1, 1, 1, 1, 9, clip, 14, 0.6, "S", 1.0])  # saw the face
            writer.writerow([f"{300_000 + number}", 1, 1, 1, 1, 1, 9, clip, 14, 0.6, "S", 1.0])  # saw and heard
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The same clips with one metadata.csv, which brings its own folds."""
    folder = tmp_path / "cremad"
    names = [name.lower() for name in CREMA_D.names]
    folder.mkdir()
    with open(folder / "metadata.csv", "w", newline="") as file:
        writer = csv.writer(file)
        votes = [f"voice_{name}" for name in names]
        rest = ["voice_majority", "voice_mean_level", "known_issue", "identical_to", "fold1", "fold2"]
        writer.writerow(["file", "clip", "speaker", "gender", *votes, *rest])
        for number, (clip, (counts, level)) in enumerate(CLIPS.items(), start=1):
            sound(folder / "audio" / f"{clip}.flac", number)
            issue = "no sound" if clip == "1076_MTI_SAD_XX" else ""
            same = "1001_IEO_HAP_LO" if clip == "1001_DFA_ANG_XX" else ""
            folds = ["Test", "Development"] if clip.startswith("1001") else ["Train", "Test"]
            gender = "female" if clip.startswith("1076") else "male"
            line = [f"audio/{clip}.flac", clip, clip[:4], gender, *counts, majority(counts, names), level, issue]
            writer.writerow([*line, same, *folds])
    return folder


def test_both_layouts_give_the_same_labels_words_and_speakers(authors: Path, table: Path) -> None:
    one, _ = read_crema_d(authors, allow_partial=True)
    two, _ = read_crema_d(table, allow_partial=True)
    assert one.labels == two.labels
    assert one.ranges == two.ranges == {"intensity": (0.0, 100.0)}
    for a, b in zip(one, two, strict=True):
        what = ("id", "speaker", "gender", "text", "votes", "emotion", "attributes", "duration", "sample_rate")
        assert {name: getattr(a, name) for name in what} == {name: getattr(b, name) for name in what}


def test_votes_are_those_of_the_voice_alone_and_a_tie_is_no_agreement(authors: Path) -> None:
    manifest, report = read_crema_d(authors, allow_partial=True)
    by_id = {utterance.id: utterance for utterance in manifest}
    angry = by_id["1001_DFA_ANG_XX"]
    assert angry.votes == {"Anger": 6, "Disgust": 2, "Neutral": 1}
    assert (angry.emotion, angry.attributes, angry.text) == (
        "Anger",
        {"intensity": 54.5},
        "Don't forget a jacket.",
    )
    assert by_id["1019_TIE_SAD_XX"].emotion is None
    assert by_id["1076_MTI_SAD_XX"].gender == "female"
    assert report.consensus_agreement == 1.0
    assert report.rater_rows == sum(sum(votes) for votes, _ in CLIPS.values())


def test_acted_emotions_are_what_the_actors_were_asked_for(authors: Path, table: Path) -> None:
    for folder in (authors, table):
        manifest, _ = read_crema_d(folder, acted=True, allow_partial=True)
        acted = {u.id: u.emotion for u in manifest}
        assert acted["1001_DFA_ANG_XX"] == "Anger"
        assert acted["1019_TIE_SAD_XX"] == "Sadness"  # which listeners did not agree on
        assert acted["1091_WSI_FEA_XX"] == "Fear"
        assert not any(u.votes for u in manifest)
        assert "acted emotions" in manifest.note


def test_a_majority_that_the_votes_do_not_bear_out_lowers_the_agreement(authors: Path) -> None:
    path = authors / "processedResults" / "tabulatedVotes.csv"
    path.write_text(path.read_text().replace('"F:N"', '"F"'))
    assert read_crema_d(authors, allow_partial=True)[1].consensus_agreement == 0.8


def test_known_defects_are_kept_and_listed(authors: Path, table: Path) -> None:
    manifest, report = read_crema_d(table, allow_partial=True)
    assert len(manifest) == 5
    assert [fault.place for fault in report.faults["known issue"]] == ["1076_MTI_SAD_XX"]
    assert [fault.place for fault in report.faults["identical audio"]] == ["1001_DFA_ANG_XX"]
    assert [fault.place for fault in read_crema_d(authors, allow_partial=True)[1].faults["known issue"]] == [
        "1076_MTI_SAD_XX"
    ]


def test_the_table_says_the_folds_where_it_has_them(table: Path) -> None:
    splits = [{u.id[:4]: u.split for u in read_crema_d(table, fold=fold, allow_partial=True)[0]} for fold in (1, 2)]
    assert splits[0] == {"1001": "test", "1019": "train", "1076": "train", "1091": "train"}
    assert splits[1] == {"1001": "held_out", "1019": "test", "1076": "test", "1091": "test"}
    with pytest.raises(DataError, match=r"no column 'fold3'"):
        read_crema_d(table, fold=3, allow_partial=True)


def test_speakers_by_number_make_five_folds_that_share_none() -> None:
    speakers = range(1001, 1092)
    for fold in range(1, 6):
        sizes = Counter(split_of(fold_of(speaker), fold, 5) for speaker in speakers)
        assert 18 <= sizes["test"] <= 19
        assert 18 <= sizes["held_out"] <= 19
    assert [fold_of(speaker) for speaker in (1001, 1018, 1019, 1091)] == [1, 1, 2, 5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "VideoDemographics.csv").unlink(), "VideoDemographics.csv: cannot be read"),
        (lambda folder: edit(folder, '"emoVote"', '"vote"'), "no column 'emoVote'"),
        (lambda folder: edit(folder, "54.5", '"loud"'), "line 2: meanEmoResp must be a number, got 'loud'"),
        (lambda folder: edit(folder, "1001_DFA_ANG_XX", "1001_XXX_ANG_XX"), "'1001_XXX_ANG_XX' is no clip"),
        (lambda folder: edit(folder, "100001,6,2,0,0,1,0", "100001,0,0,0,0,0,0"), "one vote or more"),
    ],
)
def test_a_table_that_is_not_what_it_should_be_is_refused_by_place(authors: Path, change: Any, message: str) -> None:
    path = authors / "processedResults" / "tabulatedVotes.csv"
    path.write_text(path.read_text().replace('"100001"', "100001"))
    change(authors)
    with pytest.raises(DataError, match=message):
        read_crema_d(authors, allow_partial=True)


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "processedResults" / "tabulatedVotes.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_another_folder_a_part_of_the_corpus_and_a_sixth_fold_are_refused(tmp_path: Path, authors: Path) -> None:
    with pytest.raises(DataError, match="not a known layout of CREMA-D"):
        read_crema_d(tmp_path)
    with pytest.raises(DataError, match="5 clips with audio-only votes, CREMA-D has 7,442"):
        read_crema_d(authors)
    with pytest.raises(DataError, match="no fold 6"):
        read_crema_d(authors, fold=6)


def test_a_recording_that_is_missing_or_a_pointer_is_left_out_and_listed(authors: Path) -> None:
    (authors / "AudioWAV" / "1001_DFA_ANG_XX.wav").unlink()
    (authors / "AudioWAV" / "1001_IEO_HAP_LO.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    manifest, report = read_crema_d(authors, allow_partial=True)
    assert len(manifest) == 3
    assert [fault.place for fault in report.faults["no recording"]] == ["1001_DFA_ANG_XX"]
    assert [fault.place for fault in report.faults["bad recording"]] == ["1001_IEO_HAP_LO"]


def test_prepare_takes_the_options_of_the_corpus_and_refuses_those_of_others(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "data" / "manifest.jsonl.gz"
    words = ["data", "prepare", "crema_d", str(table), "--allow-partial", "--out", str(out)]
    assert main([*words, "--fold", "2"]) == 0
    assert "warning identical audio 1, known issue 1: listed in" in capsys.readouterr().err
    assert len(Manifest.read(out).split("held_out")) == 2
    assert main([*words, "--fold", "2"]) == 0
    assert capsys.readouterr().out.startswith("up to date")
    assert main([*words, "--release", "1.12"]) == 2
    assert "No such option: --release" in capsys.readouterr().err
    assert main(["data", "prepare", "crema_d", "--help"]) == 0
    assert "--fold" in capsys.readouterr().out


@pytest.mark.parametrize(
    "check", checks("corpus", "crema_d", options={"allow_partial": True}, example=write_authors_layout)
)
def test_contract(check: Check) -> None:
    check()


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("SERTK_CREMAD"), reason="needs the corpus: set SERTK_CREMAD to its folder")
def test_the_corpus_itself_has_its_counts_ties_and_folds() -> None:
    folder = Path(os.environ["SERTK_CREMAD"])
    manifest, report = read_crema_d(folder, fold=3)
    assert len(manifest) == 7442
    assert len({utterance.speaker for utterance in manifest}) == 91
    assert sum(utterance.emotion is None for utterance in manifest) == 644
    assert Counter(u.emotion for u in manifest)["Neutral"] == 3897
    assert report.consensus_agreement == 1.0
    assert {u.split for u in manifest if split_of(fold_of(int(u.speaker or 0)), 3, 5) != u.split} == set()
