"""The people of the toy corpus: who speaks in which split, in which state, with which words, and how it is rated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sertk_toy import crowd, synthesis

SPLITS = ("Train", "Development", "Test1", "Test2", "Test3")
TEST3 = SPLITS.index("Test3")


@dataclass(frozen=True)
class Speakers:
    """Everybody who speaks: split (S,) an index into SPLITS, podcast (S,), label and gender as written, voices."""

    split: NDArray[np.int64]
    podcast: NDArray[np.int64]
    label: list[str]
    gender: list[str]
    voices: list[synthesis.Voice]


@dataclass(frozen=True)
class Utterances:
    """All N utterances in the order of their names, Test3 last; letters and attributes are the consensus."""

    names: list[str]
    split: NDArray[np.int64]
    speaker: NDArray[np.int64]
    seconds: NDArray[np.float64]
    affect: NDArray[np.float64]
    texts: list[str]
    votes: crowd.Votes
    letters: NDArray[np.str_]
    attributes: NDArray[np.float64]


def split_of_each(utterances: int) -> NDArray[np.int64]:
    """The split of each utterance, (N,): the labelled ones, then a sixth of their number (64 at least) for Test3."""
    train, test1, test2 = (round(utterances * share) for share in (0.60, 0.10, 0.05))
    test3 = max(64, 8 * ((utterances // 6 + 4) // 8))
    return np.repeat(np.arange(len(SPLITS)), (train, utterances - train - test1 - test2, test1, test2, test3))


def draw_speakers(split: NDArray[np.int64], utterances: int, rng: np.random.Generator) -> Speakers:
    """Draws the speakers of each split, 12 utterances each in a small corpus and 40 in a large one."""
    each = min(40.0, 8.0 + utterances / 150.0)
    counts = np.maximum(np.rint(np.bincount(split) / each), 2).astype(np.int64)
    of = np.repeat(np.arange(len(SPLITS)), counts)  # (S,)
    size = len(of)
    unknown = np.flatnonzero(of == 0)[: max(1, round(0.1 * int(counts[0])))]  # some Train speakers go unnamed
    numbers = rng.permutation(size) + 1
    female = rng.random(size) < 0.5
    pitch_hz = np.where(female, 200.0, 115.0) * np.exp(rng.normal(0.0, 0.10, size))
    scale = np.where(female, 1.15, 1.0) * np.exp(rng.normal(0.0, 0.03, size))
    loudness_db = rng.normal(0.0, 1.5, size)
    breathiness = rng.uniform(0.15, 0.40, size)
    return Speakers(
        split=of,
        podcast=rng.permutation(size) + 1,
        label=["Unknown" if index in unknown else str(numbers[index]) for index in range(size)],
        gender=[
            "Unknown" if s in unknown else "Female" if is_female else "Male" for s, is_female in enumerate(female)
        ],
        voices=[
            synthesis.Voice(*values)
            for values in zip(
                pitch_hz.tolist(), scale.tolist(), loudness_db.tolist(), breathiness.tolist(), strict=True
            )
        ],
    )


def draw_utterances(
    split: NDArray[np.int64], speakers: Speakers, utterances: int, rng: np.random.Generator
) -> Utterances:
    """Draws who says what in which state, and what the raters make of it."""
    emotion, speaker = np.zeros_like(split), np.zeros_like(split)
    for part in range(len(SPLITS)):
        rows, own = np.flatnonzero(split == part), np.flatnonzero(speakers.split == part)
        emotion[rows] = rng.permutation(np.repeat(np.arange(8), _quota(len(rows), part)))
        speaker[rows] = np.concatenate([own, rng.choice(own, len(rows))])[: len(rows)]  # each speaks once at least
    order = np.argsort(np.where(split == TEST3, len(speakers.label) + 1, speakers.podcast[speaker]), kind="stable")
    split, emotion, speaker = split[order], emotion[order], speaker[order]

    affect = crowd.draw_affect(emotion, rng)
    seconds = np.clip(rng.lognormal(0.65, 0.30, len(split)), 1.0, 3.5)
    texts = crowd.draw_texts(emotion, seconds, affect, rng)
    bias = crowd.draw_bias(max(24, utterances // 12), rng)
    votes = crowd.draw_votes(emotion, affect, bias, rng)
    _settle(votes, split, emotion, affect, bias, rng)
    return Utterances(
        names=_names(split, speakers.podcast[speaker]),
        split=split,
        speaker=speaker,
        seconds=seconds,
        affect=affect,
        texts=texts,
        votes=votes,
        letters=votes.consensus(),
        attributes=votes.attributes(),
    )


def _floor(size: int, part: int) -> int:
    """How many utterances of each class a split has at least, by consensus: 8 in Train and 4 in Development."""
    wanted = (8, 4, 0, 0, 0)[part]
    return min(wanted, max(1, size // 24))


def _quota(size: int, part: int) -> NDArray[np.int64]:
    """How many utterances of each latent class a split of this size has, (8,)."""
    if part == TEST3:
        return np.full(8, size // 8, dtype=np.int64)
    shares = np.floor(np.array(crowd.PRIORS) * size).astype(np.int64)
    counts: NDArray[np.int64] = np.maximum(shares, _floor(size, part))
    while counts.sum() != size:
        counts[int(np.argmax(counts))] += 1 if counts.sum() < size else -1
    return counts


def _settle(
    votes: crowd.Votes,
    split: NDArray[np.int64],
    emotion: NDArray[np.int64],
    affect: NDArray[np.float64],
    bias: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    """Lets raters vote again until Test3 is balanced by consensus and Train and Development hold every class.

    Each time they are a little more of one mind, so this ends.
    """
    latent = np.array(list(crowd.LETTERS))[emotion]
    for attempt in range(1, 1000):
        letters = votes.consensus()
        again = [np.flatnonzero((split == TEST3) & (letters != latent))]
        for part in range(2):
            for letter in crowd.LETTERS:
                here = split == part
                lacking = _floor(int(here.sum()), part) - int((here & (letters == letter)).sum())
                again.append(np.flatnonzero(here & (latent == letter) & (letters != latent))[: max(0, lacking)])
        rows = np.concatenate(again)
        if len(rows) == 0:
            return
        clarity = min(1.0, attempt / 20.0)
        votes.replace(rows, crowd.draw_votes(emotion[rows], affect[rows], bias, rng, clarity=clarity))
    raise AssertionError("raters of one mind still disagree")


def _names(split: NDArray[np.int64], podcast: NDArray[np.int64]) -> list[str]:
    """The name of each utterance without its ending: podcast and turn, or the position within Test3."""
    turns: dict[str, int] = {}
    names = []
    for part, number in zip(split.tolist(), podcast.tolist(), strict=True):
        stem = "MSP-PODCAST_test3" if part == TEST3 else f"MSP-PODCAST_{number:04d}"
        turns[stem] = turns[stem] + 1 if stem in turns else 1
        names.append(f"{stem}_{turns[stem]:04d}")
    return names
