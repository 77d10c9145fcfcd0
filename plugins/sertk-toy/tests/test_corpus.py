# Longer than others: one corpus is made, and each of its published tables and defects is looked at.
from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sertk_toy.corpus import write_toy_corpus
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score

from sertk.errors import DataError

LETTER = {
    "Angry": "A",
    "Sad": "S",
    "Happy": "H",
    "Surprise": "U",
    "Fear": "F",
    "Disgust": "D",
    "Contempt": "C",
    "Neutral": "N",
}
UTTERANCES = 240
TEST3 = 64
Row = dict[str, str]
Rater = tuple[str, str, str, float, float, float]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "corpus"
    write_toy_corpus(folder, utterances=UTTERANCES, seed=3)
    return folder


@pytest.fixture(scope="module")
def labels_600(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "labels"
    write_toy_corpus(folder, audio=False)
    return folder


def table(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def consensus_of(folder: Path) -> list[Row]:
    return table(folder / "Labels" / "labels_consensus.csv")


def unpack(packed: str) -> Rater:
    """Worker from the front, the three attributes from the back: free text may hold semicolons."""
    worker, rest = packed.split("; ", 1)
    middle, a, v, d, end = rest.rsplit(";", 4)
    assert end == ""
    primary, second = middle.rsplit("; ", 1)
    for key, field in zip("AVD", (a, v, d), strict=True):
        assert field.startswith(f" {key}:")
    return worker, primary, second, float(a[3:]), float(v[3:]), float(d[3:])


def raters_of(folder: Path) -> dict[str, list[Rater]]:
    raters: dict[str, list[Rater]] = {}
    for row in table(folder / "Labels" / "labels_detailed.csv"):
        raters.setdefault(row["FileName"], []).append(unpack(row["EmoDetail"]))
    return raters


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_layout_is_that_of_the_challenge_release(corpus: Path) -> None:
    assert sorted(path.name for path in corpus.iterdir()) == [
        "Audios",
        "Labels",
        "Partitions.txt",
        "Speaker_ids.txt",
        "Toy",
        "Transcripts",
        "readme.txt",
    ]
    assert sorted(path.name for path in (corpus / "Labels").iterdir()) == [
        "labels.txt",
        "labels_consensus.csv",
        "labels_consensus.json",
        "labels_detailed.csv",
        "labels_detailed.json",
    ]
    header = (corpus / "Labels" / "labels_consensus.csv").read_text().splitlines()[0]
    assert header == "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
    assert (corpus / "Labels" / "labels_detailed.csv").read_text().splitlines()[0] == "FileName,EmoDetail"
    rows = consensus_of(corpus)
    assert len(rows) == UTTERANCES
    assert len(list((corpus / "Audios").iterdir())) == UTTERANCES + TEST3
    assert {path.stem for path in (corpus / "Transcripts").iterdir()} == {row["FileName"][:-4] for row in rows}
    assert all(path.read_text().strip() for path in (corpus / "Transcripts").iterdir())
    assert {row["EmoClass"] for row in rows} <= set("ASHUFDCNOX")
    assert all(1.0 <= float(row[key]) <= 7.0 for row in rows for key in ("EmoAct", "EmoVal", "EmoDom"))


def test_partitions_agree_with_the_consensus_and_list_test3(corpus: Path) -> None:
    pairs = [line.split("; ") for line in (corpus / "Partitions.txt").read_text().splitlines()]
    listed = {name: split for split, name in pairs}
    expected = {row["FileName"]: row["Split_Set"] for row in consensus_of(corpus)}
    expected |= {f"MSP-PODCAST_test3_{number:04d}.wav": "Test3" for number in range(1, TEST3 + 1)}
    assert listed == expected
    assert Counter(listed.values()) == {"Train": 144, "Development": 60, "Test1": 24, "Test2": 12, "Test3": TEST3}


def test_test3_has_audio_and_a_balanced_truth_but_no_labels_or_words(corpus: Path) -> None:
    truth = table(corpus / "Toy" / "test3_truth.csv")
    assert list(truth[0]) == ["FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom"]
    assert Counter(row["EmoClass"] for row in truth) == dict.fromkeys("ASHUFDCN", TEST3 // 8)
    assert all((corpus / "Audios" / row["FileName"]).is_file() for row in truth)
    assert not any("test3" in path.read_text() for path in (corpus / "Labels").iterdir())
    assert not list((corpus / "Transcripts").glob("*test3*"))
    told = {path.stem for path in (corpus / "Toy" / "Transcripts").iterdir()}
    assert told == {row["FileName"][:-4] for row in truth}
    assert "test3" not in (corpus / "Speaker_ids.txt").read_text()


def test_audio_is_16_khz_mono_pcm16_of_one_to_three_and_a_half_seconds(corpus: Path) -> None:
    for path in (corpus / "Audios").iterdir():
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.format, info.subtype) == (16000, 1, "WAV", "PCM_16")
        assert 1.0 <= info.frames / 16000 <= 3.5
        samples, _ = soundfile.read(path)
        assert 0.003 < float(np.sqrt(np.mean(samples**2))) < 0.5


def test_readme_says_that_the_corpus_is_made_up(corpus: Path) -> None:
    text = (corpus / "readme.txt").read_text()
    assert text.startswith("THIS CORPUS IS MADE UP.")
    assert "Scores on it say nothing about people" in text


def test_consensus_is_the_plurality_of_the_packed_votes_and_the_mean_of_the_ratings(labels_600: Path) -> None:
    raters = raters_of(labels_600)
    rows = consensus_of(labels_600)
    assert [row["FileName"] for row in rows] == list(raters)
    for row in rows:
        votes = raters[row["FileName"]]
        assert 4 <= len(votes) <= 7
        assert len({vote[0] for vote in votes}) == len(votes)
        ranked = Counter("O" if vote[1].startswith("Other-") else LETTER[vote[1]] for vote in votes).most_common()
        tied = len(ranked) > 1 and ranked[0][1] == ranked[1][1]
        assert row["EmoClass"] == ("X" if tied else ranked[0][0])
        for key, column in (("EmoAct", 3), ("EmoVal", 4), ("EmoDom", 5)):
            assert float(row[key]) == pytest.approx(np.nanmean([vote[column] for vote in votes]), abs=1e-6)


def test_votes_hold_what_makes_the_real_ones_hard_to_read(labels_600: Path) -> None:
    votes = [vote for of_one in raters_of(labels_600).values() for vote in of_one]
    other = [vote[1] for vote in votes if vote[1].startswith("Other-")]
    assert 0.02 < len(other) / len(votes) < 0.07
    for mark in ';,"':
        assert any(mark in text for text in other)
    assert any("," in vote[2] for vote in votes)
    assert any(vote[2] == "" for vote in votes)
    assert 0.0 < float(np.isnan([vote[3:] for vote in votes]).mean()) < 0.05
    assert {rating for vote in votes for rating in vote[3:] if rating == rating} == {
        1.0,
        2.0,
        3.0,
        4.0,
        5.0,
        6.0,
        7.0,
    }
    assert len({vote[0] for vote in votes}) < len(votes) / 20


def test_json_and_text_twins_agree_with_the_csv(corpus: Path) -> None:
    labels = corpus / "Labels"
    rows = {row.pop("FileName"): row for row in consensus_of(corpus)}
    assert json.loads((labels / "labels_consensus.json").read_text()) == rows

    raters = raters_of(corpus)
    keys = ("EmoClass_Major", "EmoClass_Second", "EmoAct", "EmoVal", "EmoDom")
    twin = json.loads((labels / "labels_detailed.json").read_text())
    assert list(twin) == list(raters)
    for name, votes in raters.items():
        assert twin[name] == {vote[0]: dict(zip(keys, map(str, vote[1:]), strict=True)) for vote in votes}

    blocks = (labels / "labels.txt").read_text().rstrip("\n").split("\n\n")
    assert len(blocks) == len(rows)
    for block, (name, row) in zip(blocks, rows.items(), strict=True):
        first, *rest = block.splitlines()
        file, letter, a, v, d, _ = first.split(";")
        assert (file, letter.strip()) == (name, row["EmoClass"])
        written = [float(field.split(":")[1]) for field in (a, v, d)]
        assert written == [float(row[key]) for key in ("EmoAct", "EmoVal", "EmoDom")]
        assert [str(unpack(line)) for line in rest] == [str(vote) for vote in raters[name]]


def test_about_a_fifth_is_without_agreement_and_a_few_are_other(labels_600: Path) -> None:
    counts = Counter(row["EmoClass"] for row in consensus_of(labels_600))
    assert 0.14 < counts["X"] / 600 < 0.26
    assert 0.01 < counts["O"] / 600 < 0.07


def test_every_class_is_in_train_and_development_with_a_long_tail(labels_600: Path) -> None:
    rows = consensus_of(labels_600)
    for split, least in (("Train", 8), ("Development", 4)):
        counts = Counter(row["EmoClass"] for row in rows if row["Split_Set"] == split)
        assert all(counts[letter] >= least for letter in "ASHUFDCN"), counts
        assert counts["N"] >= 3 * min(counts[letter] for letter in "ASHUFDCN")


@pytest.mark.parametrize("seed", range(5))
def test_the_smallest_corpus_has_every_class_in_train_and_development(tmp_path: Path, seed: int) -> None:
    write_toy_corpus(tmp_path / "small", utterances=64, seed=seed, audio=False)
    rows = consensus_of(tmp_path / "small")
    for split in ("Train", "Development"):
        assert set("ASHUFDCN") <= {row["EmoClass"] for row in rows if row["Split_Set"] == split}


def test_speakers_are_disjoint_across_splits_and_some_of_train_are_unknown(labels_600: Path) -> None:
    rows = consensus_of(labels_600)
    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(row["SpkrID"], set()).add(row["Split_Set"])
    assert splits.pop("Unknown") == {"Train"}
    assert all(len(where) == 1 for where in splits.values())

    lines = (labels_600 / "Speaker_ids.txt").read_text().splitlines()
    genders = dict(line.split("; ") for line in lines if line.startswith("Speaker_"))
    owners = dict(line.split(";") for line in lines if line.startswith("MSP-"))
    assert owners == {row["FileName"]: row["SpkrID"] for row in rows}
    known = [row for row in rows if row["SpkrID"] != "Unknown"]
    assert genders == {f"Speaker_{row['SpkrID']}": row["Gender"] for row in known}


def test_same_arguments_give_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in (("one", 7), ("two", 7), ("three", 8)):
        write_toy_corpus(tmp_path / name, utterances=64, seed=seed)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert digests(tmp_path / "one")["Labels/labels.txt"] != digests(tmp_path / "three")["Labels/labels.txt"]


def test_leaving_out_the_audio_changes_nothing_else(tmp_path: Path) -> None:
    write_toy_corpus(tmp_path / "full", utterances=64)
    write_toy_corpus(tmp_path / "mute", utterances=64, audio=False)
    full, mute = digests(tmp_path / "full"), digests(tmp_path / "mute")
    differing = {name for name in full if name not in mute or full[name] != mute[name]}
    assert {name for name in differing if not name.startswith("Audios/")} == {"readme.txt"}
    assert list((tmp_path / "mute" / "Audios").iterdir()) == []


def test_a_folder_that_holds_the_corpus_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    write_toy_corpus(folder, utterances=64, audio=False)
    (folder / "Labels" / "labels.txt").write_text("kept")
    write_toy_corpus(folder, utterances=64, audio=False)
    assert (folder / "Labels" / "labels.txt").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_a_folder_with_other_content_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="is not empty"):
        write_toy_corpus(tmp_path, utterances=64, audio=False)
    write_toy_corpus(tmp_path / "toy", utterances=64, audio=False)
    with pytest.raises(DataError, match="is not empty"):
        write_toy_corpus(tmp_path / "toy", utterances=64, seed=2, audio=False)
    with pytest.raises(DataError, match="is a file"):
        write_toy_corpus(tmp_path / "mine.txt", utterances=64, audio=False)


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    write_toy_corpus(tmp_path / "a" / "b", utterances=64, audio=False)
    (tmp_path / "empty").mkdir()
    write_toy_corpus(tmp_path / "empty", utterances=64, audio=False)
    assert digests(tmp_path / "empty") == digests(tmp_path / "a" / "b")


def test_bad_arguments_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 64"):
        write_toy_corpus(tmp_path / "toy", utterances=63)
    with pytest.raises(DataError, match="seed"):
        write_toy_corpus(tmp_path / "toy", seed=-1)
    with pytest.raises(DataError, match="challenge_2025"):
        write_toy_corpus(tmp_path / "toy", layout="1.6")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def log_bands(path: Path) -> np.ndarray:
    """Mean and standard deviation over time of the log energy in 24 bands."""
    samples, _ = soundfile.read(path)
    frames = np.lib.stride_tricks.sliding_window_view(samples, 512)[::256] * np.hanning(512)
    power = np.abs(np.fft.rfft(frames))[:, :240] ** 2
    bands = np.log(power.reshape(len(frames), 24, 10).sum(axis=2) + 1e-6)
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0)])


def test_the_voice_tells_arousal_and_the_words_tell_valence(corpus: Path) -> None:
    rows = [row for row in consensus_of(corpus) if row["EmoClass"] in "ASHUFDCN"]
    train = np.array([row["Split_Set"] == "Train" for row in rows])
    voice = np.array([log_bands(corpus / "Audios" / row["FileName"]) for row in rows])
    voice = (voice - voice[train].mean(axis=0)) / voice[train].std(axis=0)
    texts = [(corpus / "Transcripts" / (row["FileName"][:-4] + ".txt")).read_text().split() for row in rows]
    vocabulary = sorted({word for text in texts for word in text})
    words = np.array([[float(text.count(word)) for word in vocabulary] for text in texts])

    def recall(features: np.ndarray, classes: str) -> float:
        """Balanced recall outside Train of telling some classes from the others; 0.5 is chance."""
        is_one = np.array([row["EmoClass"] in classes for row in rows])
        model = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000).fit(features[train], is_one[train])
        return float(recall_score(is_one[~train], model.predict(features[~train]), average="macro"))

    aroused, unpleasant = "AHUF", "ADC"
    assert recall(voice, aroused) > 0.70
    assert recall(words, unpleasant) > 0.65
    assert recall(voice, aroused) > recall(words, aroused) + 0.05
    assert recall(words, unpleasant) > recall(voice, unpleasant) + 0.05
