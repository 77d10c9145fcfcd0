"""The digests of what frames are computed from, and whether a store is of what is there now."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.errors import StoreError
from sertk.features.card import StoreCard
from sertk.features.sources import UNKNOWN, source_digests
from sertk.features.stale import refuse_stale, stale
from sertk.features.store import FeatureStore, StoreWriter

CARD = StoreCard("e", {}, "f00d", "speech", 2, 100.0, "float32", reads=["audio"])


@pytest.fixture
def sound(tmp_path: Path) -> Utterance:
    soundfile.write(tmp_path / "a.wav", np.sin(np.arange(16_000) / 9).astype(np.float32), 16_000)
    return Utterance(id="a", audio=str(tmp_path / "a.wav"), text="good morning")


def one(reads: list[str], utterance: Utterance) -> str:
    return source_digests(reads, [Recording(utterance)])[utterance.id]  # type: ignore[arg-type]


def test_a_digest_is_of_what_is_read_and_of_nothing_else(sound: Utterance, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "b.wav"
    moved.parent.mkdir()
    shutil.copy(sound.audio, moved)
    same = replace(sound, audio=str(moved), speaker="s", emotion="Angry", text_source="whisper", split="test")
    words, start, cut = replace(sound, text="good night"), replace(sound, start=0.5), replace(sound, duration=0.25)
    moved.with_name("c.wav").write_bytes(moved.read_bytes()[:-2] + b"\0\1")
    other = replace(sound, audio=str(moved.with_name("c.wav")))
    for reads, differ in (
        (["audio"], (start, cut, other)),
        (["text"], (words,)),
        (["audio", "text"], (words, start, cut, other)),
    ):
        digests = [one(reads, each) for each in (sound, same, words, start, cut, other)]
        assert all(len(digest) == 32 for digest in digests)
        changed = [
            each
            for each, digest in zip((same, words, start, cut, other), digests[1:], strict=True)
            if digest != digests[0]
        ]
        assert changed == list(differ)


def test_a_number_is_a_number_however_it_is_written(sound: Utterance) -> None:
    assert one(["audio"], replace(sound, start=1, duration=2)) == one(
        ["audio"], replace(sound, start=1.0, duration=2.0)
    )
    assert one(["audio"], replace(sound, duration=0.0)) != one(["audio"], sound)


def test_no_words_are_not_empty_words(sound: Utterance) -> None:
    assert one(["text"], replace(sound, text=None)) != one(["text"], replace(sound, text=""))


@pytest.mark.parametrize("audio", ["gone.wav", ".", "a\0b.wav"])
def test_what_cannot_be_read_is_unknown(sound: Utterance, tmp_path: Path, audio: str) -> None:
    lost = replace(sound, audio=f"{tmp_path}/{audio}")
    assert one(["audio"], lost) == one(["audio", "text"], lost) == UNKNOWN
    assert one(["text"], lost) == one(["text"], sound)


def test_samples_by_hand_count_by_their_content(sound: Utterance) -> None:
    samples = np.sin(np.arange(8000) / 10).astype(np.float32)
    made = [
        Recording(replace(sound, id=str(n)), {16_000: each})
        for n, each in enumerate((samples, samples.copy(), -samples))
    ]
    first, same, other = source_digests(["audio"], made).values()
    assert first == same != other
    read = Recording(sound)
    read.waveform()  # which samples were read from the file is no matter
    assert source_digests(["audio"], [read])["a"] == one(["audio"], sound)


def write(folder: Path, card: StoreCard, sources: dict[str, str]) -> FeatureStore:
    with StoreWriter(folder, card) as writer:
        for id, source in sources.items():
            writer.add(id, torch.ones(2, 2), source)
    return FeatureStore.open(folder)


def test_a_store_tells_which_utterances_are_others_now(sound: Utterance, tmp_path: Path) -> None:
    utterances = [replace(sound, id=f"u{n}", start=n / 10) for n in range(6)]
    store = write(tmp_path / "s", CARD, source_digests(["audio"], [Recording(u) for u in utterances]))
    now = [replace(u, text="whatever", start=u.start + (0.05 if u.id in ("u2", "u4") else 0)) for u in utterances]
    now[5] = replace(now[5], audio=str(tmp_path / "gone.wav"), start=3.0)
    assert stale(store, utterances) == []
    assert stale(store, [*now, replace(sound, id="new")]) == ["u2", "u4"]
    refuse_stale(store, utterances)
    with pytest.raises(StoreError, match=r"s: 2 of 6 utterances were extracted from other recordings .* u2: run"):
        refuse_stale(store, now)


def test_posteriors_are_stale_with_the_features_or_with_the_words_below_them(
    sound: Utterance, tmp_path: Path
) -> None:
    from sertk.features.sources import joined_digests

    text = replace(CARD, modality="text", reads=["text"])
    utterances = [replace(sound, id=f"u{n}", text=f"text {n}") for n in range(4)]
    digests = source_digests(["text"], [Recording(u) for u in utterances])
    features = write(tmp_path / "words", text, digests)
    joined = joined_digests([(features.card.key, features.sources)], digests)
    card = replace(CARD, modality="posterior", reads=["stores"], stores=[str(tmp_path / "words")])
    posteriors = write(tmp_path / "posteriors", card, joined)
    assert stale(posteriors, utterances) == []
    assert stale(posteriors, [replace(u, text="another") if u.id == "u1" else u for u in utterances]) == ["u1"]
    shutil.rmtree(tmp_path / "words")
    assert stale(posteriors, utterances) == []  # what is gone tells nothing
    write(tmp_path / "words", text, digests | {"u3": "0" * 32})
    with pytest.raises(StoreError, match=r"1 of 4 utterances were extracted from other features .* u3"):
        refuse_stale(posteriors, utterances)
    shutil.rmtree(tmp_path / "words")
    write(tmp_path / "words", replace(text, dtype="float16"), digests)  # the same words, other frames
    assert stale(posteriors, utterances) == ["u0", "u1", "u2", "u3"]


def test_the_fingerprint_of_some_utterances_follows_their_content_and_the_encoder(tmp_path: Path) -> None:
    sources = {f"u{n}": f"{n:032x}" for n in range(5)}
    first = write(tmp_path / "1", CARD, sources)
    ids = ["u0", "u3"]
    other = write(tmp_path / "2", CARD, sources | {"u1": "f" * 32})
    assert other.fingerprint_of(ids) == first.fingerprint_of(ids[::-1])
    assert other.fingerprint != first.fingerprint
    assert write(tmp_path / "3", CARD, sources | {"u3": "f" * 32}).fingerprint_of(ids) != first.fingerprint_of(ids)
    for change in (
        {"fingerprint": "beef"},
        {"options": {"mels": 3}},
        {"dtype": "float16"},
        {"precision": "float16"},
        {"versions": {"component encoder e": "e 2.0"}},
        {"encoder": "other"},
    ):
        card = replace(CARD, **change)  # type: ignore[arg-type]
        assert write(tmp_path / str(change), card, sources).fingerprint_of(ids) != first.fingerprint_of(ids)
    for change in ({"options": {"model": "/there/wavlm"}, "unkeyed": ["model"]}, {"error": 0.1}, {"licence": "free"}):
        card = replace(CARD, **change)  # type: ignore[arg-type]
        assert write(tmp_path / str(change)[:12], card, sources).fingerprint_of(ids) == first.fingerprint_of(ids)
    assert first.fingerprint_of(["u0", "unknown"]) == first.fingerprint_of(["u0"])
