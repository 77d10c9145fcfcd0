"""Each fault that a reviewer would find in a corpus is named, and a corpus without faults gives none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sertk.data.audio_stats import audio_stats, leading_samples
from sertk.data.audit import audit
from sertk.data.concerns import Concern, concerns, told_by
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.reports.audit_page import audit_page, concern_lines

CLASSES = ("angry", "happy", "sad")
RATE = 8000
SPEAKERS, TIMES = 6, 4


def noise(seed: int, *, seconds: float = 0.5, lead: float = 0.02) -> np.ndarray:
    rng = np.random.default_rng(seed)
    samples = rng.normal(0, 0.1, round(RATE * (seconds + lead)))
    samples[: round(RATE * lead)] *= 1e-3
    return samples


def corpus(folder: Path) -> Manifest:
    """Three classes by each of six speakers, in recordings that differ in nothing that could tell the class."""
    rng = np.random.default_rng(7)
    utterances = []
    for speaker in range(SPEAKERS):
        for emotion in CLASSES:
            for time in range(TIMES):
                id = f"s{speaker}_{emotion}_{time}"
                seconds, lead = rng.uniform(0.4, 0.6), rng.uniform(0.01, 0.05)
                soundfile.write(folder / f"{id}.wav", noise(len(utterances), seconds=seconds, lead=lead), RATE)
                utterances.append(Utterance(id, f"{id}.wav", speaker=f"s{speaker}", emotion=emotion, split="train"))
    return Manifest("made up", LabelSet(CLASSES), {}, tuple(utterances), folder=folder)


def changed(manifest: Manifest, change: Callable[[Utterance], Utterance]) -> Manifest:
    return manifest.with_utterances([change(u) for u in manifest])


def found(manifest: Manifest) -> dict[str, Concern]:
    return {one.kind: one for one in concerns(manifest, list(audio_stats(manifest)))}


@pytest.fixture
def sound(tmp_path: Path) -> Manifest:
    return corpus(tmp_path)


def test_a_sound_corpus_gives_no_concern(sound: Manifest) -> None:
    assert found(sound) == {}
    assert concerns(sound) == []


def test_a_speaker_in_two_splits_leaks(sound: Manifest) -> None:
    leaky = changed(sound, lambda u: replace(u, split="test") if u.id == "s0_sad_1" else u)
    assert found(leaky)["leakage"].cases == ("s0",)


def test_one_speaker_under_two_spellings_leaks(sound: Manifest) -> None:
    leaky = changed(sound, lambda u: replace(u, speaker="S 0") if u.id == "s0_sad_1" else u)
    assert found(leaky)["leakage"].cases == ("S 0, s0",)


def test_the_same_samples_from_two_speakers_or_with_two_labels_are_named(sound: Manifest) -> None:
    (sound.folder / "s1_sad_0.wav").write_bytes((sound.folder / "s0_angry_0.wav").read_bytes())
    messages = {one.message: one.cases for one in concerns(sound, list(audio_stats(sound)))}
    assert messages == {
        "the same samples with different speakers: 1": ("s0_angry_0, s1_sad_0",),
        "the same samples with different labels: 1": ("s0_angry_0, s1_sad_0",),
    }


def test_the_same_samples_twice_from_one_speaker_with_one_label_are_no_concern(sound: Manifest) -> None:
    (sound.folder / "s0_angry_1.wav").write_bytes((sound.folder / "s0_angry_0.wav").read_bytes())
    assert found(sound) == {}


def test_a_class_of_few_speakers_is_named_with_their_number(sound: Manifest) -> None:
    few = sound.with_utterances([u for u in sound if u.emotion != "sad" or u.speaker in ("s0", "s1")])
    assert found(few)["few speakers"].cases == ("sad (2)",)


def test_a_speaker_per_class_tells_the_label(sound: Manifest) -> None:
    alone = sound.with_utterances([u for u in sound if u.emotion == CLASSES[int((u.speaker or "s0")[1:]) % 3]])
    assert found(alone)["speaker tells label"].message.endswith("tells the label: 6 of 6")


def test_a_channel_per_class_tells_the_label(sound: Manifest) -> None:
    for u in sound:
        if u.emotion == "angry":
            samples, _ = soundfile.read(sound.folder / u.audio)
            soundfile.write(sound.folder / u.audio, samples, 2 * RATE)
    one = found(sound)["channel"]
    assert "UAR 0.67 without listening, where guessing has 0.33" in one.message


def test_a_file_type_per_class_tells_the_label(sound: Manifest) -> None:
    for u in sound:
        if u.emotion == "sad":
            soundfile.write(sound.folder / f"{u.id}.flac", soundfile.read(sound.folder / u.audio)[0], RATE)
    packed = changed(sound, lambda u: replace(u, audio=f"{u.id}.flac") if u.emotion == "sad" else u)
    assert "channel" in found(packed)


@pytest.mark.parametrize(("kind", "longer"), [("length", {"seconds": 0.9}), ("leading silence", {"lead": 0.1})])
def test_a_length_that_tells_the_label_is_named(sound: Manifest, kind: str, longer: dict[str, float]) -> None:
    for number, u in enumerate(sound):
        if u.emotion == "sad":
            soundfile.write(sound.folder / u.audio, noise(1000 + number, **longer), RATE)
    assert kind in found(sound)


def test_a_silent_recording_and_an_unknown_speaker_are_named(sound: Manifest) -> None:
    soundfile.write(sound.folder / "s0_sad_1.wav", np.zeros(RATE), RATE)
    faulty = changed(sound, lambda u: replace(u, speaker=None) if u.id == "s1_sad_0" else u)
    named = found(faulty)
    assert named["silence"].cases == ("s0_sad_1",)
    assert named["unknown speakers"].cases == ("s1_sad_0",)


def test_durations_of_the_manifest_serve_where_no_recording_is_read(sound: Manifest) -> None:
    timed = changed(sound, lambda u: replace(u, duration=1.0 + CLASSES.index(u.emotion or "")))
    assert [one.kind for one in concerns(timed)] == ["length"]


def test_what_tells_a_label_is_judged_on_other_speakers(sound: Manifest) -> None:
    by_voice = told_by(list(sound), lambda u: (u.speaker, u.emotion))
    by_class = told_by(list(sound), lambda u: u.emotion)
    assert by_class is not None
    assert by_class.uar == 1.0
    assert by_voice is not None
    assert by_voice.uar == pytest.approx(1 / 3)
    assert told_by([u for u in sound if u.emotion == "sad"], lambda u: u.emotion) is None


def test_leading_silence_ends_where_the_sound_begins() -> None:
    samples = np.array([[0.0], [0.001], [-0.5], [0.0]], dtype=np.float32)
    assert leading_samples(samples) == 2


def test_the_audit_shows_every_concern(sound: Manifest) -> None:
    leaky = changed(sound, lambda u: replace(u, split="test") if u.id == "s0_sad_1" else u)
    report = audit(leaky, audio_stats(leaky))
    assert concern_lines(report) == ["leakage: speakers in several splits, which training hears: 1: s0"]
    assert "leakage: speakers in several splits" in audit_page(report)
