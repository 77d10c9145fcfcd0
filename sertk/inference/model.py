"""From recordings to emotions: each distinct encoder of an ensemble is loaded and run once for all members."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from sertk.batching.collate import pad
from sertk.checkpoint import Checkpoint
from sertk.contracts import Encoder
from sertk.data.find import recording_of
from sertk.data.recording import Recording
from sertk.devices import choose_device
from sertk.encoders.checkpoint import build_encoder
from sertk.encoders.tree import ModelTree, load_tree
from sertk.ensemble.predictions import Predictions
from sertk.errors import AudioError, DataError, Fault
from sertk.features.card import StoreCard
from sertk.features.encode import BatchEncoder, Prepared
from sertk.features.plan import batches, spoken_seconds
from sertk.inference.prediction import Prediction, predictions_of, rows


@dataclass(frozen=True)
class Model:
    """A loaded checkpoint with its encoders, ready for recordings. Get one with `sertk.load`.

    `predict` answers for one recording, `predict_recordings` for many at once; `checkpoint.card` tells where it
    comes from and how it scored. encoders, cards: by fingerprint, each distinct encoder once.
    """

    tree: ModelTree
    encoders: Mapping[str, Encoder]
    cards: Mapping[str, StoreCard]
    device: torch.device

    def __repr__(self) -> str:
        """Such as `Model('soup': Angry, Happy, Neutral; arousal; reads logmel, hashed_text; on cpu)`."""
        card = self.checkpoint.card
        told = [", ".join(card.labels), ", ".join(card.ranges)]
        told += [f"reads {', '.join(one.encoder for one in self.cards.values())}", f"on {self.device}"]
        return f"Model({card.name!r}: {'; '.join(text for text in told if text)})"

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint at the root: its card, its experiment."""
        return self.tree.checkpoint

    @property
    def reads_text(self) -> bool:
        """Whether some encoder reads words, so that a recording should come with its transcript."""
        return any(encoder.modality == "text" for encoder in self.encoders.values())

    def predict(self, audio: str | Path, *, text: str | None = None) -> Prediction:
        """Predict one recording. text: its transcript. Raises AudioError for one that cannot be used."""
        predictions, faults = self.predict_recordings([recording_of(Path(audio), text=text, words=self.reads_text)])
        if faults:
            raise AudioError(faults[0].message)
        return rows(predictions)[0]

    def predict_recordings(
        self,
        recordings: Sequence[Recording],
        *,
        frame_budget: float = 120.0,
        max_batch: int = 32,
        progress: Callable[[int], None] = lambda _: None,
        remark: Callable[[Fault], None] = lambda _: None,
    ) -> tuple[Predictions, list[Fault]]:
        """Predict many recordings, in the order given; a bad one is left out and listed as a fault.

        frame_budget: seconds of audio in a batch, padding included. progress: called with the size of each batch.
        remark: called with what was done to a recording that is predicted all the same, such as cutting its words.
        """
        by_id = {recording.id: recording for recording in recordings}
        if len(by_id) != len(recordings):
            raise DataError(
                f"{len(recordings) - len(by_id)} of {len(recordings)} ids stand twice: ids must be unique"
            )
        encode = {key: BatchEncoder(e, self.cards[key], self.device, "float32") for key, e in self.encoders.items()}
        found: dict[str, torch.Tensor] = {}
        failed: dict[str, str] = {}
        seconds = {recording.id: spoken_seconds(recording) for recording in recordings}
        for ids in batches(seconds, frame_budget=frame_budget, max_batch=max_batch):
            copies = [by_id[id].copy() for id in ids]  # whose samples are let go with the batch
            frames: dict[str, dict[str, torch.Tensor]] = {}
            for key, encoder in self.encoders.items():
                prepared = _prepare(encoder, [copy for copy in copies if copy.id not in failed])
                frames[key], broken = encode[key](prepared)
                failed |= prepared.failed | broken
                for id, message in prepared.remarks.items():
                    remark(Fault(id, message))
            good = [id for id in ids if id not in failed]
            if good:
                leaves = {key: pad([of[id] for id in good]).to(self.device) for key, of in frames.items()}
                posteriors = self.tree.posteriors(leaves).cpu()  # (B, C + A)
                found |= dict(zip(good, posteriors, strict=True))
            progress(len(ids))
        order = [recording.id for recording in recordings if recording.id in found]
        values = torch.stack([found[id] for id in order]) if order else torch.empty(0, self._width)
        return predictions_of(self.checkpoint, order, values), [Fault(id, why) for id, why in failed.items()]

    @property
    def _width(self) -> int:
        return len(self.checkpoint.card.labels) + len(self.checkpoint.card.ranges)


def load(folder: str | Path, *, device: str = "auto") -> Model:
    """Load a checkpoint, its members, and each distinct encoder once. Raises CheckpointError or EncoderError."""
    place = choose_device(device)
    tree, specs = load_tree(Path(folder))
    encoders = {key: build_encoder(spec) for key, spec in specs.items()}
    cards = {
        key: StoreCard(s.use, s.options, s.fingerprint, s.modality, s.dim, s.frames_per_second, s.dtype)
        for key, s in specs.items()
    }
    return Model(tree.to(place), encoders, cards, place)


def _prepare(encoder: Encoder, recordings: Iterable[Recording]) -> Prepared:
    prepared = Prepared()
    for recording in recordings:
        prepared.add(encoder, recording)
    return prepared
