"""Random features with the lengths of the corpus, as a feature store and as one .npy file an utterance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sertk_msp_podcast.labels import MSP_PODCAST

from sertk.batching.dataset import FeatureSet
from sertk.data.labels import LabelTable
from sertk.features.sources import digest
from sertk.features.store import FeatureStore, StoreCard, StoreWriter

NAMES = ("arousal", "valence", "dominance")
RANGES = ((1.0, 7.0),) * 3
DIM = 1024
SHORTEST, LONGEST, FRAMES_PER_SECOND = 2.75, 11.0, 50
TOKENS = (10, 40)


@dataclass(frozen=True)
class Lengths:
    """Frames of speech and tokens of text of N utterances."""

    speech: NDArray[np.int64]
    text: NDArray[np.int64]

    def take(self, rows: Sequence[int]) -> Lengths:
        return Lengths(self.speech[rows], self.text[rows])

    @property
    def seconds(self) -> float:
        """Of audio."""
        return float(self.speech.sum()) / FRAMES_PER_SECOND


def draw_lengths(count: int, seed: int = 1) -> Lengths:
    """2.75 to 11 s at 50 frames a second, and 10 to 40 tokens."""
    random = np.random.default_rng(seed)
    speech = (random.uniform(SHORTEST, LONGEST, count) * FRAMES_PER_SECOND).astype(np.int64)
    return Lengths(speech, random.integers(TOKENS[0], TOKENS[1] + 1, count))


def label_table(lengths: Lengths, seed: int = 1) -> LabelTable:
    """Made-up soft targets and attributes of utterances of these lengths."""
    random = np.random.default_rng(seed)
    count = len(lengths.speech)
    emotion = random.dirichlet(np.full(len(MSP_PODCAST), 0.3), count)
    return LabelTable(
        ids=tuple(f"utterance-{row:06d}" for row in range(count)),
        labels=MSP_PODCAST,
        targets=emotion,
        consensus=emotion.argmax(axis=1),
        attributes=random.uniform(1, 7, (count, len(NAMES))),
        attribute_names=NAMES,
        ranges=RANGES,
        frames=lengths.speech,
        speakers=(None,) * count,
    )


def write_corpus(folder: Path, lengths: Lengths, table: LabelTable, *, dim: int = DIM) -> FeatureSet:
    """Write float16 features twice, `store/NAME` and `npy/NAME/ID.npy`, and open the stores.

    The class of an utterance lies in its frames, weakly, so that there is something to learn.
    """
    random = np.random.default_rng(2)
    directions = random.standard_normal((len(table.labels), dim)).astype(np.float32)
    for name, frames in (("speech", lengths.speech), ("text", lengths.text)):
        card = StoreCard("random", {}, "random", name, dim, float(FRAMES_PER_SECOND), "float16")
        (folder / "npy" / name).mkdir(parents=True)
        with StoreWriter(folder / "store" / name, card) as writer:
            for row, id in enumerate(table.ids):
                noise = random.standard_normal((int(frames[row]), dim), dtype=np.float32)
                value = (noise + 0.2 * directions[table.consensus[row]]).astype(np.float16)
                writer.add(id, torch.from_numpy(value), digest(value.tolist()))
                np.save(folder / "npy" / name / f"{id}.npy", value)
    return FeatureSet(table, {name: FeatureStore.open(folder / "store" / name) for name in ("speech", "text")})


@dataclass
class Fixed:
    """A sampler of given batches in an order drawn afresh every epoch."""

    batches: Sequence[Sequence[int]]
    epoch: int = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        for index in np.random.default_rng(self.epoch).permutation(len(self.batches)):
            yield list(self.batches[index])


def padding(batches: Sequence[Sequence[int]], frames: Mapping[str, NDArray[np.int64]]) -> float:
    """Share of what a batch holds that is padding, over all modalities."""
    held = sum(len(rows) * int(each[list(rows)].max()) for rows in batches for each in frames.values())
    content = sum(int(each[list(rows)].sum()) for rows in batches for each in frames.values())
    return 1 - content / held
