from __future__ import annotations

import os
import re
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import sertk_corpora.filenames as readers
import soundfile
from sertk_corpora.names_file import SHIPPED, read_names_file, shipped

from sertk.cli import main
from sertk.config.docs import description
from sertk.errors import DataError
from sertk.testing import checks
from sertk.testing.suites.base import Check

COPIES = {
    "ravdess": [
        f"Actor_{actor}/03-01-{emotion}-01-02-01-{actor}" for actor in ("01", "02") for emotion in ("01", "05")
    ],
    "tess": ["OAF_Fear/OAF_back_fear", "OAF_neutral/OAF_bath_neutral", "YAF_pleasant_surprised/YAF_back_ps"],
    "savee": ["DC/a01", "DC/sa02", "JE/su03", "KL/n30"],
    "emovo": ["f1/dis-f1-b1", "f1/gio-f1-n5", "m3/neu-m3-d2"],
    "shemo": ["female/F01A01", "female/F31F02", "male/M41W23", "male/M56N01"],
    "crema_d_acted": ["AudioWAV/1001_DFA_ANG_XX", "AudioWAV/1002_IEO_HAP_LO", "AudioWAV/1091_WSI_SAD_XX"],
}
FIRST = {
    "ravdess": ("03-01-01-01-02-01-01", "01", "male", "en", "Neutral", "Dogs are sitting by the door."),
    "tess": ("OAF_back_fear", "OAF", "female", "en", "Fear", "Say the word back."),
    "savee": ("DC_a01", "DC", "male", "en", "Anger", None),
    "emovo": ("dis-f1-b1", "f1", "female", "it", "Disgust", "Gli operai si alzano presto."),
    "shemo": ("F01A01", "F01", "female", "fa", "Anger", None),
    "crema_d_acted": ("1001_DFA_ANG_XX", "1001", "male", "en", "Anger", "Don't forget a jacket."),
}
corpora = pytest.mark.parametrize("name", COPIES)


def sound(path: Path, seed: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, 1600), 16_000)


def write_copy(folder: Path, name: str) -> Path:
    for number, place in enumerate(COPIES[name]):
        sound(folder / f"{place}.wav", number)
    return folder


@corpora
def test_names_say_speaker_gender_language_emotion_and_words(tmp_path: Path, name: str) -> None:
    manifest, report = getattr(readers, name)(write_copy(tmp_path, name), allow_partial=True)
    one = next(u for u in manifest if u.id == FIRST[name][0])
    assert (one.id, one.speaker, one.gender, one.language, one.emotion, one.text) == FIRST[name]
    assert one.fold
    assert len(manifest) == len(COPIES[name])
    assert set(report.faults) == {"count"}


@corpora
def test_a_copy_of_another_size_is_refused_with_both_counts(tmp_path: Path, name: str) -> None:
    names = read_names_file(SHIPPED / f"{name}.toml")
    count = len(COPIES[name])
    with pytest.raises(DataError, match=f"{count} recordings, {names.title} has {names.recordings:,}: complete"):
        getattr(readers, name)(write_copy(tmp_path, name))


@corpora
def test_five_usual_defects_are_said(tmp_path: Path, name: str) -> None:
    write_copy(tmp_path, name)
    doubled, capital, damaged = (tmp_path / f"{place}.wav" for place in COPIES[name][:3])
    twin = tmp_path / "again" / doubled.relative_to(tmp_path)
    twin.parent.mkdir(parents=True)
    twin.write_bytes(doubled.read_bytes())
    capital.rename(capital.with_suffix(".WAV"))
    damaged.write_bytes(b"RIFF")
    sound(tmp_path / "notes_of_the_session.wav")
    (tmp_path / f"._{doubled.name}").write_bytes(b"\0")
    manifest, report = getattr(readers, name)(tmp_path, allow_partial=True)
    assert len(manifest) == len(COPIES[name]) - 1
    assert {kind: len(listed) for kind, listed in report.faults.items() if kind != "count"} == {
        "recording in two places": 1,
        "strange name": 1,
        "hidden file": 1,
        "bad recording": 1,
    }
    (twice,) = report.faults["recording in two places"]
    assert twice.message == f"is {doubled.relative_to(tmp_path)} again; the first is taken"
    assert any(u.audio.endswith(".WAV") for u in manifest)


@corpora
def test_folds_share_no_speaker_and_test_each_once(tmp_path: Path, name: str) -> None:
    names = read_names_file(SHIPPED / f"{name}.toml")
    parts = names.parts([f"S{number:02d}" for number in range(names.speakers or 0)])
    assert len({speaker for part in parts for speaker in part}) == sum(map(len, parts)) == names.speakers
    folder = write_copy(tmp_path, name)
    tested = [
        u.id
        for fold in range(1, len(parts) + 1)
        for u in getattr(readers, name)(folder, fold=fold, allow_partial=True)[0]
        if u.split == "test"
    ]
    assert len(tested) == len(set(tested)) == len(COPIES[name])
    with pytest.raises(DataError, match=f"no fold {len(parts) + 1}"):
        getattr(readers, name)(folder, fold=len(parts) + 1, allow_partial=True)


def test_a_whole_copy_has_the_published_counts(tmp_path: Path) -> None:
    sound(tmp_path / "one.wav")
    content = (tmp_path / "one.wav").read_bytes()
    (tmp_path / "one.wav").unlink()
    names = read_names_file(SHIPPED / "emovo.toml")
    for speaker in names.speaker:
        (tmp_path / speaker).mkdir()
        for emotion in names.emotion:
            for sentence in names.text:
                (tmp_path / speaker / f"{emotion}-{speaker}-{sentence}.wav").write_bytes(content)
    manifest, report = readers.emovo(tmp_path, fold=2)
    assert Counter(u.split for u in manifest) == {"test": 98, "held_out": 98, "train": 392}
    assert report.form == "588 recordings, 6 speakers; labels by name; fold 2 of 6"
    assert report.faults == {}


def test_both_layouts_of_savee_give_the_same_utterances(tmp_path: Path) -> None:
    for place in COPIES["savee"]:
        sound(tmp_path / "authors" / f"{place}.wav")
        sound(tmp_path / "kaggle" / "ALL" / f"{place.replace('/', '_')}.wav")
    one, two = (readers.savee(tmp_path / each, allow_partial=True)[0] for each in ("authors", "kaggle"))
    assert [(u.id, u.emotion, u.split) for u in one] == [(u.id, u.emotion, u.split) for u in two]


def test_the_misspelt_recording_of_tess_is_kept_and_said(tmp_path: Path) -> None:
    write_copy(tmp_path, "tess")
    sound(tmp_path / "OAF_neutral" / "OA_bite_neutral.wav")
    manifest, report = readers.tess(tmp_path, allow_partial=True)
    one = next(u for u in manifest if u.id == "OAF_bite_neutral")
    assert (one.speaker, one.text) == ("OAF", "Say the word bite.")
    assert [fault.place for fault in report.faults["known issue"]] == ["OAF_bite_neutral"]


def test_with_two_speakers_one_is_trained_on_and_nothing_held_out(tmp_path: Path) -> None:
    manifest, _ = readers.tess(write_copy(tmp_path, "tess"), fold=2, allow_partial=True)
    assert {u.speaker: u.split for u in manifest} == {"OAF": "train", "YAF": "test"}


def test_songs_of_ravdess_are_left_out_with_the_reason(tmp_path: Path) -> None:
    write_copy(tmp_path, "ravdess")
    sound(tmp_path / "Actor_01" / "03-02-01-01-01-01-01.wav")
    report = readers.ravdess(tmp_path, allow_partial=True)[1]
    assert [fault.message for fault in report.faults["left out"]] == ["is a song; left out"]


@corpora
def test_the_card_has_licence_speakers_and_folds(name: str) -> None:
    card = description(getattr(readers, name))
    for fact in ("Licence: ", "Speakers: ", "Folds: ", "EmoBox: "):
        assert fact in card
    assert name in shipped()


MINE = """
title = "My corpus"
pattern = '(?P<speaker>[a-z]+)_(?P<emotion>[ah])_(?P<take>\\d)'
labels = ["Anger", "Happiness"]
emotion = { a = "Anger", h = "Happiness" }
folds = 3
"""


def test_a_description_of_ones_own_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    description = tmp_path / "mine.toml"
    description.write_text(MINE)
    for who in ("ann", "bob", "eve"):
        sound(tmp_path / "corpus" / f"{who}_a_1.wav")
    out = tmp_path / "manifest.jsonl"
    words = ["data", "prepare", "filenames", str(tmp_path / "corpus"), "--pattern", str(description)]
    assert main([*words, "--out", str(out)]) == 0
    assert "3 recordings, 3 speakers; labels by name; fold 1 of 3" in capsys.readouterr().out
    assert main([*words, "--out", str(out)]) == 0
    assert capsys.readouterr().out.startswith("up to date")
    description.write_text(MINE.replace('a = "Anger", h = "Happiness"', 'a = "Happiness", h = "Anger"'))
    assert main([*words, "--out", str(out)]) == 0
    assert '"emotion": "Happiness"' in out.read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(?P<speaker>[a-z]+)", "[a-z]+", r"no group \(\?P<speaker>"),
        ("[ah])_", "[ah]_", "pattern is no regular expression"),
        ('h = "Happiness"', 'h = "Joy"', "Joy is none of the labels Anger, Happiness"),
        ("folds", "parts", "parts: Extra inputs are not permitted"),
        ("title =", "title", "is not TOML"),
    ],
)
def test_a_faulty_description_is_refused_saying_where(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in MINE
    (tmp_path / "mine.toml").write_text(MINE.replace(old, new))
    with pytest.raises(DataError, match=message):
        readers.read_filenames(tmp_path, pattern=tmp_path / "mine.toml")


def test_without_a_description_the_shipped_ones_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"name the description .* --pattern, or the corpus: crema_d_acted, emovo"):
        readers.read_filenames(tmp_path)


BY_NAMES_ALONE = ("without_audio", "bad_recordings")
"""Contracts of corpora with a table: what is missing is seen by the count alone where names are all there is."""


@pytest.mark.parametrize(
    "check",
    [
        check
        for check in checks(
            "corpus", "ravdess", options={"allow_partial": True}, example=partial(write_copy, name="ravdess")
        )
        if check.contract.__name__ not in BY_NAMES_ALONE
    ],
)
def test_contract(check: Check) -> None:
    check()


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("SERTK_CREMAD"), reason="needs the corpus: set SERTK_CREMAD to its folder")
def test_recordings_of_crema_d_alone_have_its_counts() -> None:
    manifest, _ = readers.crema_d_acted(Path(os.environ["SERTK_CREMAD"]))
    assert Counter(u.emotion for u in manifest) == {
        **dict.fromkeys(("Anger", "Disgust", "Fear", "Happiness", "Sadness"), 1271),
        "Neutral": 1087,
    }


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("SERTK_EMODB"), reason="needs the corpus: set SERTK_EMODB to its folder")
def test_the_description_of_the_readme_reads_emodb(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text()
    description = tmp_path / "berlin.toml"
    match = re.search(r"^title.*?(?=```)", text, re.M | re.S)
    assert match
    description.write_text(match[0])
    manifest, report = readers.read_filenames(Path(os.environ["SERTK_EMODB"]), pattern=description)
    assert Counter(u.emotion for u in manifest)["Anger"] == 127
    assert report.form == "535 recordings, 10 speakers; labels by name; fold 1 of 10"
