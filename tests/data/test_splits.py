from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.data.splits import hold_out, speaker_folds
from sertk.data.validation import shared_speakers
from sertk.errors import DataError

EIGHT = LabelSet(("Angry", "Sad", "Happy", "Surprise", "Fear", "Disgust", "Contempt", "Neutral"), letters="ASHUFDCN")


def corpus(speakers: int, utterances: int, *, unknown: int = 0, seed: int = 0) -> Manifest:
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(utterances):
        speaker = None if number < unknown else f"s{number % speakers}"
        emotion = str(generator.choice(["Neutral", "Happy", "Sad", "Fear"], p=[0.5, 0.3, 0.15, 0.05]))
        rows.append(Utterance(id=f"u{number}", audio="a", split="train", speaker=speaker, emotion=emotion))
    rows.append(Utterance(id="other", audio="a", split="dev", speaker="s0"))
    return Manifest("c", EIGHT, {}, tuple(rows))


def test_held_out_speakers_are_in_one_split_only_with_the_share_of_each_class() -> None:
    manifest = corpus(100, 3000)
    held = hold_out(manifest, "train", into="held_out", share=0.1, seed=5)
    assert shared_speakers(held, "train", "held_out") == []
    assert [u.id for u in held] == [u.id for u in manifest]
    assert len(held.split("dev")) == 1
    before = Counter(u.emotion for u in manifest.split("train"))
    after = Counter(u.emotion for u in held.split("held_out"))
    for emotion, count in before.items():
        assert after[emotion] / count == pytest.approx(0.1, abs=0.04)


def test_the_seed_decides_and_the_order_of_rows_does_not() -> None:
    manifest = corpus(60, 600)
    turned = manifest.with_utterances(reversed(manifest.utterances))

    def held(made: Manifest, seed: int) -> set[str]:
        return {u.id for u in hold_out(made, "train", into="h", seed=seed).split("h")}

    assert held(manifest, 1) == held(manifest, 1) == held(turned, 1)
    assert held(manifest, 1) != held(manifest, 2)


def test_unknown_speakers_stay() -> None:
    held = hold_out(corpus(20, 300, unknown=100), "train", into="h", share=0.3)
    assert all(u.speaker for u in held.split("h"))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.floats(0.01, 0.99), st.integers(0, 99))
def test_the_held_out_split_is_never_empty(speakers: int, share: float, seed: int) -> None:
    held = hold_out(corpus(speakers, speakers * 5, seed=seed), "train", into="h", share=share, seed=seed)
    assert {u.speaker for u in held.split("h")}
    assert {u.speaker for u in held.split("train")}
    assert shared_speakers(held, "train", "h") == []


def test_too_few_speakers_and_impossible_shares_are_refused() -> None:
    with pytest.raises(DataError, match="as many known speakers, found 1"):
        hold_out(corpus(1, 50), "train", into="h")
    with pytest.raises(DataError, match="no utterance is in split"):
        hold_out(corpus(5, 50), "test", into="h")
    for share in (0.0, 1.0, 1.5):
        with pytest.raises(DataError, match="between 0 and 1"):
            hold_out(corpus(5, 50), "train", into="h", share=share)


def test_folds_share_no_speaker_and_miss_only_unknown_ones() -> None:
    utterances = corpus(23, 400, unknown=40).split("train")
    folds = speaker_folds(utterances, 5, seed=3)
    speakers = {u.id: u.speaker for u in utterances}
    assert sum(len(fold) for fold in folds) == 360
    assert len(set().union(*folds)) == 360
    voices = [{speakers[key] for key in fold} for fold in folds]
    assert sum(len(v) for v in voices) == 23 == len(set().union(*voices))
    assert max(len(fold) for fold in folds) < 1.5 * min(len(fold) for fold in folds)
