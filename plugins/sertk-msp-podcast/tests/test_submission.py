"""Submissions to the challenge: a good one passes, each of the bad ones is refused with its line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sertk_msp_podcast.labels import MSP_PODCAST
from sertk_msp_podcast.submission import check_submission, illegal_encoders, write_submission

from sertk.data.labels import LabelSet
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError, LabelError

IDS = tuple(f"MSP-PODCAST_test3_{number:04d}" for number in range(1, 9))
Lines = list[str]


def predictions(ids: tuple[str, ...] = IDS, **changes: object) -> Predictions:
    fields = {
        "ids": ids,
        "labels": MSP_PODCAST,
        "emotion": np.eye(8)[: len(ids)],
        "attributes": np.linspace(0.5, 7.5, 3 * len(ids)).reshape(len(ids), 3),
        "attribute_names": ("arousal", "valence", "dominance"),
    }
    return Predictions(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_submission(predictions(), IDS, tmp_path)
    return tmp_path


def test_the_files_are_as_the_challenge_wants_them(folder: Path) -> None:
    first = (folder / "task1.csv").read_text().splitlines()
    assert first == ["FileName,EmoClass", *(f"{name}.wav,{c}" for name, c in zip(IDS, "ASHUFDCN", strict=True))]
    second = (folder / "task2.csv").read_text().splitlines()
    assert second[0] == "FileName,EmoAct,EmoVal,EmoDom"
    assert second[1] == f"{IDS[0]}.wav,1.000000,1.000000,1.108696"  # 0.5 clipped to 1
    assert second[-1].endswith(",7.000000")
    assert check_submission(folder, IDS) == []


def test_the_order_of_rows_classes_and_attributes_does_not_matter(folder: Path, tmp_path: Path) -> None:
    labels = LabelSet(tuple(sorted(MSP_PODCAST.names)))
    good = predictions()
    rows, columns = [3, 1, 0, 2, 7, 6, 5, 4], [MSP_PODCAST.index(name) for name in labels.names]
    other = predictions(
        tuple(IDS[row] for row in rows),
        labels=labels,
        emotion=good.emotion[rows][:, columns],
        attributes=good.attributes[rows][:, [2, 0, 1]],
        attribute_names=("dominance", "arousal", "valence"),
    )
    write_submission(other, reversed(IDS), tmp_path / "other")
    for task in ("task1.csv", "task2.csv"):
        assert (tmp_path / "other" / task).read_bytes() == (folder / task).read_bytes()


def test_predictions_that_do_not_cover_the_test_set_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no prediction for MSP-PODCAST_test3_0008"):
        write_submission(predictions(IDS[:7]), IDS, tmp_path)
    attributes = np.full((8, 3), 4.0)
    attributes[2, 1] = np.nan
    with pytest.raises(DataError, match="there is none for MSP-PODCAST_test3_0003"):
        write_submission(predictions(attributes=attributes), IDS, tmp_path)
    with pytest.raises(DataError, match="the predictions lack dominance"):
        write_submission(
            predictions(attributes=attributes[:, :2], attribute_names=("arousal", "valence")), IDS, tmp_path
        )
    with pytest.raises(LabelError, match="these predictions are over"):
        write_submission(predictions(labels=LabelSet(tuple("abcdefgh"))), IDS, tmp_path)


def test_without_attributes_only_the_first_task_is_entered(folder: Path) -> None:
    written = write_submission(predictions(attributes=np.zeros((8, 0)), attribute_names=()), IDS, folder)
    assert [path.name for path in written] == ["task1.csv"]
    assert sorted(path.name for path in folder.iterdir()) == ["task1.csv"]
    assert check_submission(folder, IDS) == []


def change(line: int, old: str, new: str) -> Callable[[Lines], Lines]:
    """Put `new` for `old` in a line, counted from 1."""

    def changed(lines: Lines) -> Lines:
        assert old in lines[line - 1]
        return [text.replace(old, new) if number == line else text for number, text in enumerate(lines, start=1)]

    return changed


CORRUPTED: dict[str, tuple[str, Callable[[Lines], Lines], int, str]] = {
    "a row is missing": ("task1.csv", lambda t: t[:3] + t[4:], 9, "without a row for MSP-PODCAST_test3_0003.wav"),
    "a row too many": (
        "task1.csv",
        lambda t: [*t, "MSP-PODCAST_test3_0009.wav,A"],
        10,
        "is not a recording of the test set",
    ),
    "a row stands twice": (
        "task2.csv",
        lambda t: t[:4] + t[3:],
        5,
        "MSP-PODCAST_test3_0003.wav is already in line 4",
    ),
    "rows are not sorted": ("task1.csv", lambda t: [*t[:2], t[3], t[2], *t[4:]], 4, "should come before"),
    "the header is another": (
        "task2.csv",
        change(1, "EmoAct,EmoVal", "EmoVal,EmoAct"),
        1,
        "should be FileName,EmoAct,EmoVal",
    ),
    "the header is missing": ("task1.csv", lambda t: t[1:], 1, "the header should be FileName,EmoClass"),
    "a letter of no class": (
        "task1.csv",
        change(6, ",F", ",X"),
        6,
        "EmoClass should be one of A S H U F D C N, got 'X'",
    ),
    "a word for a letter": ("task1.csv", change(9, ",N", ",Neutral"), 9, "got 'Neutral'"),
    "a value above 7": ("task2.csv", change(9, ",7.000000", ",7.000001"), 9, "EmoVal should be a number from 1 to 7"),
    "a value that is NaN": (
        "task2.csv",
        change(3, ",1.413043", ",nan"),
        3,
        "EmoAct should be a number from 1 to 7, got 'nan'",
    ),
    "a value that is empty": (
        "task2.csv",
        change(3, ",1.413043", ","),
        3,
        "EmoAct should be a number from 1 to 7, got ''",
    ),
    "another file ending": (
        "task1.csv",
        change(5, ".wav", ".mp3"),
        5,
        "should end in .wav, got 'MSP-PODCAST_test3_0004.mp3'",
    ),
    "no file ending": ("task2.csv", change(5, ".wav", ""), 5, "should end in .wav"),
    "a column too many": ("task1.csv", change(7, ",D", ",D,0.9"), 7, "has 3 columns, not the 2"),
    "a column too few": ("task2.csv", change(2, ",1.000000,1.000000", ",1.000000"), 2, "has 3 columns, not the 4"),
    "an empty line": ("task1.csv", lambda t: [*t[:5], "", *t[5:]], 6, "has 1 columns"),
    "an open quote": ("task1.csv", change(4, ",H", ',"H'), 4, "got '\"H'"),
}


@pytest.mark.parametrize("kind", CORRUPTED)
def test_a_corrupted_submission_is_refused_with_its_line(kind: str, folder: Path) -> None:
    task, corrupt, line, message = CORRUPTED[kind]
    path = folder / task
    path.write_text("\n".join(corrupt(path.read_text().splitlines())) + "\n")
    faults = check_submission(folder, IDS)
    assert any(fault.place == f"{task}, line {line}" and message in fault.message for fault in faults), faults


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"", 1, "the file is empty"),
        (b"\n \n", 1, "the file is empty"),
        (b"FileName,EmoClass\nMSP-PODCAST_test3_0001.wav,\xe9\n", 2, "is not UTF-8: byte 0xe9"),
        ("FileName,EmoClass\n".encode("utf-16"), 1, "is not UTF-8"),
        ("\ufeffFileName,EmoClass\n".encode(), 1, "the header should be"),
        (b"FileName,EmoClass\n", 2, "ends without a row for"),
    ],
)
def test_a_file_that_is_no_table_is_refused(content: bytes, line: int, message: str, folder: Path) -> None:
    (folder / "task1.csv").write_bytes(content)
    (fault,) = check_submission(folder, IDS)
    assert fault.place == f"task1.csv, line {line}"
    assert message in fault.message


def test_all_faults_are_named_at_once(folder: Path) -> None:
    for task in ("task1.csv", "task2.csv"):
        path = folder / task
        path.write_text(path.read_text().replace("0002.wav", "0002.WAV").replace(",S", ",s"))
    places = [fault.place for fault in check_submission(folder, IDS)]
    assert places == [
        "task1.csv, line 3",
        "task1.csv, line 3",
        "task1.csv, line 10",
        "task2.csv, line 3",
        "task2.csv, line 10",
    ]


def test_a_folder_without_the_files_is_refused(tmp_path: Path) -> None:
    (fault,) = check_submission(tmp_path, IDS)
    assert "has neither task1.csv nor task2.csv" in fault.message


def test_encoders_trained_on_emotion_labels_are_found_in_members_too(tmp_path: Path) -> None:
    def card(folder: Path, **legal: bool) -> None:
        folder.mkdir(parents=True)
        encoders = {name: {"use": name, "challenge_legal": value} for name, value in legal.items()}
        (folder / "card.json").write_text(json.dumps({"name": "x", "encoders": encoders}))

    card(tmp_path / "model", wavlm=True)
    card(tmp_path / "model" / "members" / "01", wavlm=True, hubert=True)
    assert illegal_encoders(tmp_path / "model") == []
    card(tmp_path / "model" / "members" / "02", emotion2vec=False, wavlm=True)
    assert illegal_encoders(tmp_path / "model") == ["emotion2vec"]
    with pytest.raises(DataError, match=r"has no card\.json"):
        illegal_encoders(tmp_path)
    (tmp_path / "model" / "card.json").write_text("{")
    with pytest.raises(DataError, match=r"cannot be read as the card of a model"):
        illegal_encoders(tmp_path / "model")
