"""Copies sound as they are called, are the same at every run, and are known for copies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import chirp
from sertk_corpora.augment import Kind, augment
from sertk_corpora.distortions import DISTORTIONS

from sertk.cli import main
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.errors import DataError, LeftOutWarning, OutputError, UsageError

RATE = 16_000
Distorted = Callable[..., np.ndarray]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Four sweeps from 100 to 7,000 Hz by two speakers in training, and one to test on."""
    times = np.arange(RATE) / RATE
    utterances = []
    for number in range(5):
        sweep = 0.1 * chirp(times, 100, 1.0, 7000, phi=30 * number)
        soundfile.write(tmp_path / f"{number}.wav", sweep, RATE)
        split = "test" if number == 4 else "train"
        utterances.append(
            Utterance(str(number), f"{number}.wav", speaker=f"s{number % 2}", split=split, emotion="Sad")
        )
    path = tmp_path / "manifest.jsonl"
    Manifest("sweeps", LabelSet(("Sad", "Angry"), "SA"), {}, tuple(utterances), "", tmp_path).write(path)
    return path


@pytest.fixture
def distorted(manifest: Path, tmp_path: Path) -> Distorted:
    """Gives the samples of a copy of the first sweep."""

    def of(kind: str, **options: int) -> np.ndarray:
        out = tmp_path / kind.replace(":", "-")
        made = Manifest.read(augment(manifest, out, kinds=[kind], **options).manifest)
        copy = next(u for u in made if u.source_id == "0")
        samples, rate = soundfile.read(made.audio_path(copy))
        assert rate == RATE
        return samples

    return of


def original(manifest: Path) -> np.ndarray:
    return soundfile.read(manifest.with_name("0.wav"))[0]


def share_between(samples: np.ndarray, low: float, high: float) -> float:
    """Of the power, between two frequencies."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(power[(frequencies >= low) & (frequencies < high)].sum() / power.sum())


@pytest.mark.parametrize("kind", ["telephone", "gsm"])
def test_a_telephone_passes_its_band_alone(kind: str, distorted: Distorted, manifest: Path) -> None:
    assert share_between(original(manifest), 300, 3400) < 0.5
    assert share_between(distorted(kind), 250, 3600) > 0.98


@pytest.mark.parametrize("kind", ["mp3:32", "opus:16"])
def test_a_codec_keeps_the_length_and_most_of_the_sound(kind: str, distorted: Distorted, manifest: Path) -> None:
    before, after = original(manifest), distorted(kind)
    assert len(after) == len(before)
    assert not np.array_equal(before, after)
    spectra = [np.abs(np.fft.rfft(samples)) for samples in (before, after)]
    assert np.corrcoef(*spectra)[0, 1] > 0.7


@pytest.mark.parametrize("kind", ["noise:10", "babble:10"])
def test_what_is_added_has_the_ratio_asked_for(kind: str, distorted: Distorted, manifest: Path) -> None:
    before, after = original(manifest), distorted(kind)
    added = after - before
    assert 10 * np.log10((before**2).mean() / (added**2).mean()) == pytest.approx(10, abs=0.1)


def test_speed_and_level_change_by_what_is_asked_for(distorted: Distorted, manifest: Path) -> None:
    assert len(distorted("speed:90")) == pytest.approx(RATE / 0.9, abs=2)
    np.testing.assert_allclose(distorted("gain:-6"), original(manifest) * 10 ** (-6 / 20), atol=1e-4)


def test_nothing_goes_above_full_scale(distorted: Distorted) -> None:
    assert np.abs(distorted("gain:40")).max() == pytest.approx(1, abs=1e-4)


def test_copies_have_the_labels_of_their_originals_and_say_whose_they_are(manifest: Path, tmp_path: Path) -> None:
    first = Manifest.read(augment(manifest, tmp_path / "out", kinds=["gain"]).manifest)
    assert [u.id for u in first] == ["0", "1", "2", "3", "4", "0~gain", "1~gain", "2~gain", "3~gain"]
    copies = [u for u in first if u.source_id]
    assert {(u.source_id, u.speaker, u.split, u.emotion) for u in copies} == {
        (str(n), f"s{n % 2}", "train", "Sad") for n in range(4)
    }
    again = Manifest.read(augment(tmp_path / "out/manifest.jsonl.gz", tmp_path / "again", kinds=["speed"]).manifest)
    assert next(u for u in again if u.id == "0~gain~speed").source_id == "0"
    alone = Manifest.read(augment(manifest, tmp_path / "alone", kinds=["gain"], copies=2, copies_only=True).manifest)
    assert [u.id for u in alone] == [f"{n}~gain{twice}" for twice in ("", "2") for n in range(4)]


def test_the_same_seed_gives_the_same_bytes_whatever_else_is_in_the_corpus(manifest: Path, tmp_path: Path) -> None:
    def digests(out: str, source: Path, seed: int = 1) -> dict[str, tuple[str, str]]:
        made = Manifest.read(augment(source, tmp_path / out, seed=seed, copies=3).manifest)
        files = {u.id: made.audio_path(u).read_bytes() for u in made if u.source_id and "babble" not in u.id}
        return {id: hashlib.sha256(content).hexdigest() for id, content in files.items()}

    corpus = Manifest.read(manifest)
    fewer = tmp_path / "fewer.jsonl"
    corpus.with_utterances(u for u in corpus if u.id != "1").write(fewer)
    whole = digests("whole", manifest)
    assert digests("twice", manifest) == whole
    assert digests("other", manifest, seed=2) != whole
    part = digests("part", fewer)
    assert part
    assert part.items() <= whole.items()


def test_a_share_is_copied_and_what_cannot_be_read_is_listed(manifest: Path, tmp_path: Path) -> None:
    some = augment(manifest, tmp_path / "some", kinds=["telephone"], share=0.5)
    assert 0 < sum(some.counts.values()) < 4
    (tmp_path / "2.wav").write_bytes(b"no sound")
    with pytest.warns(LeftOutWarning, match="2: .*not audio"):
        made = augment(manifest, tmp_path / "out", kinds=["gain"])
    assert sum(made.counts.values()) == 3
    assert '"place": "2"' in (tmp_path / "out/report.jsonl").read_text()


def test_the_verb_skips_what_is_up_to_date_and_spares_what_is_not_its_own(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data", "augment", str(manifest), "--out", str(tmp_path / "out"), "--kind", "mp3:32"]
    assert main(words) == 0
    assert "mp3 4" in capsys.readouterr().out
    assert main(words) == 0
    assert "up to date" in capsys.readouterr().out
    assert main(["why", str(tmp_path / "out")]) == 0
    assert "up to date, made by `sertk data augment`" in capsys.readouterr().out
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(OutputError):
        augment(manifest, tmp_path / "mine")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("mp4", r"no kind 'mp4' of copies. Did you mean 'mp3'\? Kinds: mp3, opus"),
        ("mp3:900", "mp3:STRENGTH or mp3:LOW:HIGH, in kbit/s from 9 to 160"),
        ("noise:loud", "noise:STRENGTH or noise:LOW:HIGH, in dB"),
        ("noise:20:5", "noise:STRENGTH or noise:LOW:HIGH, in dB"),
        ("telephone:3", "telephone has no strength"),
    ],
)
def test_a_kind_that_there_is_not_is_refused(kind: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Kind.parse(kind)


def test_babble_needs_other_speakers(manifest: Path, tmp_path: Path) -> None:
    corpus = Manifest.read(manifest)
    alone = tmp_path / "alone.jsonl"
    corpus.with_utterances(u for u in corpus if u.speaker == "s0").write(alone)
    with pytest.raises(DataError, match="babble is of other speakers"):
        augment(alone, tmp_path / "out", kinds=["babble"])


def test_every_kind_has_a_description() -> None:
    assert all(one.apply.__doc__ for one in DISTORTIONS.values())
