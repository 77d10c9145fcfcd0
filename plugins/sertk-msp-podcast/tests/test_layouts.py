"""Each release layout is read to the same manifest; each fault of a copy is handled and reported."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sertk_msp_podcast.counts import RELEASES, Counts, check_counts, identify
from sertk_msp_podcast.read import read_msp_podcast

from sertk.data.corpora.report import CorpusReport
from sertk.data.manifest import Manifest, Utterance
from sertk.data.validation import validate
from sertk.errors import DataError

LAYOUTS = (
    *("1.6 csv", "1.6 json", "1.6 txt", "1.10 csv", "1.10 json", "1.10 txt", "1.12 csv", "1.12 json", "1.12 txt"),
    *("2025 csv", "2025 json", "2025 txt", "2.0 csv", "2.0 json", "2.0 txt"),
)


@pytest.fixture(scope="module")
def read(toy: Path) -> tuple[Manifest, CorpusReport]:
    return read_msp_podcast(toy)


def anywhere(manifest: Manifest) -> list[Utterance]:
    """The utterances with their recordings by file name only."""
    return [replace(utterance, audio=Path(utterance.audio).name) for utterance in manifest]


def kinds(report: CorpusReport) -> dict[str, int]:
    return {kind: len(faults) for kind, faults in report.faults.items()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_manifest(
    layout: str, read: tuple[Manifest, CorpusReport], rewrite: Callable[[str, Path], Path], tmp_path: Path
) -> None:
    manifest, report = read_msp_podcast(rewrite(layout, tmp_path / "corpus"))
    assert anywhere(manifest) == anywhere(read[0])
    assert (manifest.labels, manifest.ranges) == (read[0].labels, read[0].ranges)
    assert report.consensus_agreement == report.attribute_agreement == 1.0
    doubled = ["doubled folder"] if layout.startswith("1.12") else []
    assert list(report.faults) == doubled
    named = {"csv": ".csv", "json": ".json", "txt": "labels.txt"}[layout.split()[1]]
    assert any(name.endswith(named) for name in report.files)
    assert all(not name.endswith(other) for name in report.files for other in {".csv", ".json"} - {named})


def test_the_manifest_is_what_the_corpus_says(toy: Path, read: tuple[Manifest, CorpusReport]) -> None:
    manifest, report = read
    agreed = json.loads((toy / "Labels" / "labels_consensus.json").read_text())
    raters = json.loads((toy / "Labels" / "labels_detailed.json").read_text())
    assert {u.id for u in manifest if u.split != "test3"} == {name[:-4] for name in agreed}
    assert len(manifest.split("test3")) == 64
    for utterance in manifest:
        assert utterance.text == next(toy.rglob(f"{utterance.id}.txt")).read_text().strip()
        assert utterance.duration == pytest.approx(soundfile.info(utterance.audio).duration, abs=1e-6)
        if utterance.split == "test3":
            assert (utterance.emotion, utterance.votes, utterance.raters, utterance.speaker) == (None, {}, (), None)
            continue
        row, rows = agreed[f"{utterance.id}.wav"], raters[f"{utterance.id}.wav"]
        letters = {None: "X", "Other": "O"} | dict(zip(manifest.labels.names, manifest.labels.letters, strict=True))
        assert letters[utterance.emotion] == row["EmoClass"]
        assert utterance.attributes["arousal"] == float(row["EmoAct"])
        assert sum(utterance.votes.values()) == len(utterance.raters) == len(rows)
        assert [rater["worker"] for rater in utterance.raters] == list(rows)
        assert (utterance.speaker or "Unknown") == row["SpkrID"]
        assert utterance.split == row["Split_Set"].lower()
    assert any(u.speaker is None for u in manifest.split("train"))
    assert report.rater_rows == sum(map(len, raters.values()))
    assert set(report.ratings_missing) == set(report.values_missing) == set(manifest.ranges)
    assert sum(report.ratings_missing.values()) > 0
    assert sum(report.values_missing.values()) == 0
    assert validate(manifest, audio=True) == []


def test_secondary_emotions_count_half_when_asked(toy: Path, read: tuple[Manifest, CorpusReport]) -> None:
    manifest, _ = read_msp_podcast(toy, secondary="half", audio=False)
    for utterance, plain in zip(manifest, read[0], strict=True):
        extra = sum(
            len({word for word in rater.get("secondary", []) if word in manifest.labels.names} - {rater["primary"]})
            for rater in utterance.raters
        )
        assert sum(utterance.votes.values()) == sum(plain.votes.values()) + extra / 2
    assert manifest.split("train") != read[0].split("train")


def test_a_copy_that_is_no_whole_release_is_refused(copy: Path) -> None:
    (copy / "readme.txt").unlink()
    with pytest.raises(DataError, match=r"(?s)not a complete release.*train 38.*--allow-partial"):
        read_msp_podcast(copy)
    with pytest.raises(DataError, match=r"train: 38 utterances, release 1\.12 has 112,712"):
        read_msp_podcast(copy, release="1.12")
    with pytest.raises(DataError, match=r"no release '1\.99'"):
        read_msp_podcast(copy, release="1.99")
    assert len(read_msp_podcast(copy, release="1.10")[0]) == 128  # no counts are known for it
    manifest, report = read_msp_podcast(copy, allow_partial=True)
    assert (len(manifest), report.release, kinds(report)) == (128, None, {"count": 1})


@pytest.mark.parametrize("name", ["1.11", "1.12", "2025", "2.0"])
def test_a_release_is_known_by_its_counts(name: str) -> None:
    release = RELEASES[name]
    found = replace(release, utterances={**release.utterances}, named={**release.named})
    assert identify("", found) == name
    assert check_counts(None, "", found, allow_partial=False) == (name, [])
    without_test3 = Counts(
        {**release.utterances, "test3": 0}, release.named, {}, release.consensus_rows, release.rater_rows
    )
    assert identify("", without_test3) == name
    fewer = replace(found, utterances={k: max(0, n - 1) for k, n in found.utterances.items()}, consensus_rows=1)
    with pytest.raises(DataError, match="not a complete release"):
        check_counts(None, "", fewer, allow_partial=False)


def test_the_unknown_speaker_may_or_may_not_be_counted() -> None:
    release = RELEASES["2025"]
    one_fewer = replace(release, named={**release.named, "train": 2_113})
    assert identify("", replace(one_fewer, unnamed={"train": True})) == "2025"
    assert identify("", one_fewer) is None


def test_a_folder_without_the_files_is_told_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "Audios").mkdir()
    (tmp_path / "Labels.zip").write_text("")
    with pytest.raises(
        DataError, match=r"(?s)no consensus labels.*no raters' votes.*no partitions.*unpack first: Labels\.zip"
    ):
        read_msp_podcast(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_msp_podcast(tmp_path / "none")


def test_a_header_of_no_release_is_refused(copy: Path) -> None:
    path = copy / "Labels" / "labels_detailed.csv"
    path.write_text(path.read_text().replace("EmoDetail", "Details", 1))
    with pytest.raises(
        DataError, match=r"labels_detailed\.csv, line 1: the header should be one of: FileName,EmoDetail;"
    ):
        read_msp_podcast(copy)


def test_a_missing_recording_leaves_its_row_out(copy: Path, read: tuple[Manifest, CorpusReport]) -> None:
    gone = read[0].utterances[3]
    (copy / "Audios" / f"{gone.id}.wav").unlink()
    manifest, report = read_msp_podcast(copy)
    assert [u.id for u in manifest] == [u.id for u in read[0] if u.id != gone.id]
    assert [fault.place for fault in report.faults["no recording"]] == [gone.id]
    assert kinds(report) == {"no recording": 1}


def test_many_missing_recordings_are_no_accident(copy: Path) -> None:
    shutil.rmtree(copy / "Audios")
    (copy / "Audios").mkdir()
    for allow_partial in (False, True):  # none at all is no part of the corpus
        with pytest.raises(DataError, match="--no-audio"):
            read_msp_podcast(copy, allow_partial=allow_partial)
    manifest, _ = read_msp_podcast(copy, audio=False)
    assert len(manifest) == 128
    assert manifest.utterances[0].audio == str(copy / "Audios" / f"{manifest.utterances[0].id}.wav")


def test_odd_and_broken_recordings_are_listed(copy: Path, read: tuple[Manifest, CorpusReport]) -> None:
    stereo, empty, cut, text = (utterance.id for utterance in read[0].utterances[:4])
    audio = copy / "Audios"
    noise = np.random.default_rng(0).normal(0, 0.1, (44_100 * 2, 2))
    soundfile.write(audio / f"{stereo}.wav", noise, 44_100)
    (audio / f"{empty}.wav").write_bytes(b"")
    whole = (audio / f"{cut}.wav").read_bytes()
    (audio / f"{cut}.wav").write_bytes(whole[: len(whole) // 2])
    (audio / f"{text}.wav").write_text("no audio")
    manifest, report = read_msp_podcast(copy)
    assert kinds(report) == {"odd format": 1, "bad recording": 3}
    assert "2 channels at 44100 Hz" in report.faults["odd format"][0].message
    assert {fault.place for fault in report.faults["bad recording"]} == {empty, cut, text}
    by_id = {utterance.id: utterance for utterance in manifest}
    assert (by_id[stereo].duration, by_id[stereo].sample_rate) == (2.0, 44_100)
    assert not {empty, cut, text} & by_id.keys()


def test_faulty_rows_are_left_out_and_named_with_their_line(copy: Path, read: tuple[Manifest, CorpusReport]) -> None:
    detailed, agreed = copy / "Labels" / "labels_detailed.csv", copy / "Labels" / "labels_consensus.csv"
    lines = detailed.read_text().splitlines()
    name = lines[1].split(",")[0]
    lines[1] = f"{name},nonsense"
    lines[2] = f"{name},W; Angri; ; A:3.0; V:4.0; D:4.0;"
    lines[3] = f"{name},W; Angry; ; A:9.0; V:4.0; D:4.0;"
    detailed.write_text("\n".join(lines) + "\n")
    rows = agreed.read_text().splitlines()
    rows[5:5] = [rows[4], "MSP-PODCAST_9999_0001.wav,Q,4,4,4,1,Male,Train", "short,row"]
    agreed.write_text("\n".join(rows) + "\n")
    manifest, report = read_msp_podcast(copy)
    assert [fault.place for fault in report.faults["rater row"]] == [
        f"labels_detailed.csv, line {n}" for n in (2, 3, 4)
    ]
    assert [fault.place for fault in report.faults["consensus row"]] == [
        f"labels_consensus.csv, line {n}" for n in (6, 7, 8)
    ]
    assert len(manifest) == len(read[0])
    assert report.consensus_agreement is not None


def test_labels_that_the_raters_do_not_bear_out_are_counted(copy: Path) -> None:
    path = copy / "Labels" / "labels_consensus.csv"
    rows = path.read_text().splitlines()
    cells = rows[1].split(",")
    rows[1] = ",".join([cells[0], "F" if cells[1] != "F" else "A", "1.0", *cells[3:]])
    path.write_text("\n".join(rows) + "\n")
    _, report = read_msp_podcast(copy)
    assert report.consensus_agreement == pytest.approx(63 / 64)
    assert report.attribute_agreement == pytest.approx(1 - 1 / 192)


def test_utterances_without_votes_or_words_are_kept_and_listed(copy: Path) -> None:
    path = copy / "Labels" / "labels_detailed.csv"
    lines = path.read_text().splitlines()
    name = lines[1].split(",")[0]
    path.write_text("\n".join(line for line in lines if not line.startswith(name)) + "\n")
    (copy / "Transcripts" / f"{name[:-4]}.txt").unlink()
    manifest, report = read_msp_podcast(copy)
    utterance = next(u for u in manifest if u.id == name[:-4])
    assert kinds(report) == {"no votes": 1, "no transcript": 1}
    assert (utterance.votes, utterance.text, utterance.text_source) == ({}, None, None)
    unlabelled, _ = read_msp_podcast(copy, missing="unlabelled")
    assert next(u for u in unlabelled if u.id == name[:-4]).emotion is None


def test_more_transcripts_come_from_folders_that_are_named(copy: Path, tmp_path: Path) -> None:
    gone = next((copy / "Transcripts").iterdir())
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / gone.name).write_text("words from elsewhere")
    gone.unlink()
    manifest, report = read_msp_podcast(copy, transcripts=[tmp_path / "more"])
    assert next(u for u in manifest if u.id == gone.stem).text == "words from elsewhere"
    assert kinds(report) == {}


def test_lists_that_disagree_are_reported(copy: Path, read: tuple[Manifest, CorpusReport]) -> None:
    path = copy / "Partitions.txt"
    train, other = (u.id for u in read[0].split("train")[:2])
    text = path.read_text().replace(f"Train; {train}.wav", f"Test1; {train}.wav")
    path.write_text(text + "Train; MSP-PODCAST_9999_0001.wav\nNowhere; x.wav\n")
    shutil.copy(copy / "Audios" / f"{other}.wav", copy / "Audios" / "MSP-PODCAST_9999_0002.wav")
    manifest, report = read_msp_podcast(copy)
    assert kinds(report) == {"partition line": 1, "two splits": 1, "no consensus": 1, "recording without labels": 1}
    assert anywhere(manifest) == anywhere(read[0])


def test_bytes_that_are_no_utf8_do_not_stop_the_reading(copy: Path, read: tuple[Manifest, CorpusReport]) -> None:
    path = copy / "Labels" / "labels_detailed.csv"
    path.write_bytes(path.read_bytes().replace(b"Other-tired", b"Other-fatigu\xe9"))
    manifest, report = read_msp_podcast(copy)
    assert [u.votes for u in manifest] == [u.votes for u in read[0]]
    assert kinds(report) == {}
