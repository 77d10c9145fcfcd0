"""A made-up crowd: latent emotions, the words they are spoken with, and the votes of raters who disagree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LETTERS = "ASHUFDCN"
NAMES = ("Angry", "Sad", "Happy", "Surprise", "Fear", "Disgust", "Contempt", "Neutral")
OTHER = len(LETTERS)  # the ninth vote: "Other-" and a free text
PRIORS = (0.12, 0.12, 0.22, 0.08, 0.05, 0.05, 0.06, 0.30)  # the corpus's long tail, somewhat compressed
MAX_RATERS = 7

# (arousal, valence, dominance), 1 to 7, a class
CENTROIDS = np.array(
    [
        (5.9, 2.3, 5.9),
        (2.2, 2.6, 2.9),
        (4.9, 5.7, 4.9),
        (6.0, 4.9, 3.7),
        (5.1, 2.5, 2.2),
        (4.2, 2.2, 4.7),
        (2.9, 2.7, 5.6),
        (3.4, 4.1, 4.1),
    ]
)
# Where the votes of a wavering rater go, from a latent class (row) to a class (column); rows are normalised.
CONFUSION = np.array(
    [
        (2.2, 1.0, 0.4, 1.0, 1.0, 2.6, 2.2, 2.2),
        (1.0, 2.2, 0.4, 0.4, 2.2, 1.3, 1.0, 3.1),
        (0.4, 0.4, 2.2, 2.2, 0.3, 0.3, 0.7, 3.1),
        (1.0, 0.6, 2.6, 2.2, 1.6, 0.6, 0.4, 2.2),
        (1.3, 2.6, 0.4, 1.6, 2.2, 1.0, 0.4, 1.6),
        (2.6, 1.3, 0.4, 0.7, 0.7, 2.2, 2.6, 1.6),
        (2.2, 1.0, 0.7, 0.4, 0.3, 2.6, 2.2, 2.6),
        (1.3, 2.2, 2.6, 1.0, 0.7, 0.9, 1.3, 2.2),
    ]
)
SECONDARY = (
    ("Angry", "Annoyed", "Frustrated"),
    ("Sad", "Depressed", "Disappointed", "Dissapointed"),
    ("Happy", "Amused", "Excited"),
    ("Surprise", "Excited", "Confused"),
    ("Fear", "Concerned", "Confused"),
    ("Disgust", "Annoyed", "Disappointed"),
    ("Contempt", "Annoyed", "Disappointed"),
    ("Neutral", "Concerned"),
    ("Other", "Confused", "Concerned"),
)
FREE_TEXTS = (
    "curious",
    "tired",
    "nostalgic",
    "bored; a little",
    "proud, not happy",
    'said "fine"',
    "sarcastic; mocking, maybe",
    'the "oh well" kind; resigned',
)

# Four lexicons. Anger, disgust and contempt share one, sadness and fear one, happiness and surprise one.
LEXICONS = {
    "filler": "the a it was then we went and they said that you know so there is this one about his her our",
    "plain": "meeting table paper office monday report street window",
    "hostile": "rotten liar filthy stupid nonsense rude blame gross",
    "low": "lost alone dark funeral gone worry tears hurt",
    "bright": "wow party gift lovely amazing laugh winner suddenly",
}
TOPIC = ("hostile", "low", "bright", "bright", "low", "hostile", "hostile", "plain")
CONTENT_SHARE = 0.60  # of the words; the rest is filler
ON_TOPIC_SHARE = 0.80  # of the content words; the rest comes from all four lexicons alike


@dataclass(frozen=True)
class Votes:
    """What the raters of N utterances said; R is the largest number of raters of an utterance.

    present (N, R) bool; worker (N, R) index of a rater; primary (N, R) index of a class, OTHER included;
    ratings (N, R, 3) integers 1 to 7 as floats, arousal, valence, dominance, some NaN.
    """

    present: NDArray[np.bool_]
    worker: NDArray[np.int64]
    primary: NDArray[np.int64]
    ratings: NDArray[np.float64]

    def consensus(self) -> NDArray[np.str_]:
        """The letter of the most frequent primary vote, (N,): X where two classes tie, O for Other."""
        counts = np.stack([((self.primary == c) & self.present).sum(axis=1) for c in range(OTHER + 1)], axis=1)
        best = counts.max(axis=1)
        tied = (counts == best[:, None]).sum(axis=1) > 1
        letters = np.array(list(LETTERS + "O"))[counts.argmax(axis=1)]
        return np.asarray(np.where(tied, "X", letters))

    def attributes(self) -> NDArray[np.float64]:
        """Means over the raters who gave a rating, (N, 3), rounded to 6 decimals."""
        given = self.present[:, :, None] & ~np.isnan(self.ratings)
        total = np.where(given, self.ratings, 0.0).sum(axis=1)
        return np.asarray(np.round(total / given.sum(axis=1), 6))

    def replace(self, rows: NDArray[np.int64], other: Votes) -> None:
        """Puts another draw in the place of some utterances."""
        self.present[rows], self.worker[rows] = other.present, other.worker
        self.primary[rows], self.ratings[rows] = other.primary, other.ratings


def draw_affect(emotion: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    """The latent (arousal, valence, dominance) of utterances of latent emotions (N,): (N, 3) within 1 to 7."""
    scatter = rng.normal(0.0, 0.42, (len(emotion), 3))
    return np.asarray(np.clip(CENTROIDS[emotion] + scatter, 1.0, 7.0))


def draw_votes(
    emotion: NDArray[np.int64],
    affect: NDArray[np.float64],
    bias: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    clarity: float = 0.0,
) -> Votes:
    """Lets four to seven raters judge each utterance.

    bias (W, 12): how much each of W raters leans to each of nine votes (log scale) and to high or low ratings.
    clarity, 0 to 1, takes that share of every utterance's ambiguity away.
    """
    n, workers = len(emotion), len(bias)
    present = np.arange(MAX_RATERS) < rng.choice((4, 5, 6, 7), size=(n, 1), p=(0.16, 0.40, 0.32, 0.12))
    first, stride = rng.integers(0, workers, (n, 1)), rng.integers(1, workers // MAX_RATERS + 1, (n, 1))
    worker = (first + stride * np.arange(MAX_RATERS)) % workers  # (N, R), distinct within a row

    ambiguity = rng.beta(12.0, 8.0, (n, 1, 1)) * (1.0 - clarity)
    other = np.where(rng.random((n, 1, 1)) < 0.05, 0.55, 0.015) * (1.0 - clarity)
    wavering = (CONFUSION / CONFUSION.sum(axis=1, keepdims=True))[emotion][:, None, :]  # (N, 1, C)
    chance = (1.0 - ambiguity) * np.eye(OTHER)[emotion][:, None, :] + ambiguity * wavering
    chance = np.concatenate([(1.0 - other) * chance, other], axis=2)  # (N, 1, C + 1)
    chance = chance * np.exp(bias[worker, : OTHER + 1])  # (N, R, C + 1)
    edges = np.cumsum(chance, axis=2)
    primary = (edges < rng.random((n, MAX_RATERS, 1)) * edges[:, :, -1:]).sum(axis=2)

    ratings = affect[:, None, :] + bias[worker, OTHER + 1 :] + rng.normal(0.0, 0.9, (n, MAX_RATERS, 3))
    ratings = np.clip(np.rint(ratings), 1.0, 7.0)
    missing = rng.random(ratings.shape) < 0.01
    missing[:, 0] = False  # so that each attribute has one rating at least
    ratings[missing] = np.nan
    return Votes(present=present, worker=worker, primary=primary, ratings=ratings)


def draw_bias(workers: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How each rater leans, (W, 12): nine votes on a log scale, three attributes in points of the scale."""
    return np.concatenate([rng.normal(0.0, 0.3, (workers, OTHER + 1)), rng.normal(0.0, 0.35, (workers, 3))], axis=1)


def draw_texts(
    emotion: NDArray[np.int64],
    seconds: NDArray[np.float64],
    affect: NDArray[np.float64],
    rng: np.random.Generator,
) -> list[str]:
    """The words of each utterance, more of them the longer and the more aroused it is."""
    vocabulary = [word for lexicon in LEXICONS.values() for word in lexicon.split()]
    source = [name for name, lexicon in LEXICONS.items() for _ in lexicon.split()]
    chance = np.zeros((OTHER, len(vocabulary)))
    for column, name in enumerate(source):
        size = source.count(name)
        for row in range(OTHER):
            if name == "filler":
                chance[row, column] = (1.0 - CONTENT_SHARE) / size
            else:
                on_topic = ON_TOPIC_SHARE * (name == TOPIC[row]) + (1.0 - ON_TOPIC_SHARE) / 4.0
                chance[row, column] = CONTENT_SHARE * on_topic / size
    edges = np.cumsum(chance, axis=1)
    edges = (edges / edges[:, -1:] + np.arange(OTHER)[:, None]).reshape(-1)  # class c owns the interval c to c + 1

    rate = 2.6 * (1.0 + 0.08 * (affect[:, 0] - 4.0))  # words a second
    counts = np.maximum(np.rint(seconds * rate), 2.0).astype(np.int64)
    owner = np.repeat(emotion, counts)
    word = np.searchsorted(edges, owner + rng.random(len(owner)), side="right") - owner * len(vocabulary)
    ends = np.cumsum(counts)
    return [
        " ".join(vocabulary[index] for index in word[end - count : end])
        for end, count in zip(ends, counts, strict=True)
    ]


def draw_secondary(primary: NDArray[np.int64], rng: np.random.Generator) -> list[str]:
    """The secondary votes of raters with these primary votes, (K,), each joined by commas and often empty."""
    size = np.minimum(rng.integers(0, 4, len(primary)), 2)
    neighbour = np.where(rng.random(len(primary)) < 0.5, primary, rng.integers(0, OTHER, len(primary)))
    pick = rng.random((len(primary), 2))
    out: list[str] = []
    for own, near, count, (one, two) in zip(
        primary.tolist(), neighbour.tolist(), size.tolist(), pick.tolist(), strict=True
    ):
        pools = (SECONDARY[own], SECONDARY[near])
        chosen = [pool[int(u * len(pool))] for pool, u in zip(pools, (one, two), strict=True)]
        out.append(",".join(dict.fromkeys(chosen[:count])))
    return out


def draw_primary_words(primary: NDArray[np.int64], rng: np.random.Generator) -> list[str]:
    """Primary votes as the corpus writes them: a full word, or "Other-" and a free text."""
    pick = rng.integers(0, len(FREE_TEXTS), len(primary))
    return [
        NAMES[vote] if vote < OTHER else f"Other-{FREE_TEXTS[text]}"
        for vote, text in zip(primary.tolist(), pick.tolist(), strict=True)
    ]
