"""From recordings to emotions: every distinct encoder of an ensemble is loaded and run once for all members."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sertk.batching.collate import pad
from sertk.checkpoint import Checkpoint
from sertk.contracts import Encoder
from sertk.data.find import find_files, recording_of, recordings_of
from sertk.data.manifest import Manifest, Utterance
from sertk.data.recording import Recording
from sertk.devices import choose_device
from sertk.digests import file_digests
from sertk.encoders.checkpoint import build_encoder
from sertk.encoders.tree import ModelTree, load_tree, model_parts, reads_of, refuse_stale_leaves
from sertk.ensemble.members import infer_rows
from sertk.ensemble.predictions import Predictions
from sertk.errors import AudioError, DataError, Fault
from sertk.escapes import escaped
from sertk.features.card import StoreCard
from sertk.features.encode import BatchEncoder, Prepared
from sertk.features.plan import batches, spoken_seconds
from sertk.files import sha256_json
from sertk.inputs import located
from sertk.models.classifier import INFERENCE
from sertk.provenance import Provenance, from_here


@dataclass(frozen=True)
class Prediction:
    """What a model says of one recording. probabilities: by class, summing to 1. attributes: by name."""

    id: str
    emotion: str
    probabilities: Mapping[str, float]
    attributes: Mapping[str, float]

    def __repr__(self) -> str:
        """Such as `Prediction('a.wav': Happy 0.79, Neutral 0.11, Sad 0.04, 5 more; arousal 5.31)`."""
        ranked = sorted(self.probabilities.items(), key=lambda item: -item[1])
        parts = [f"{name} {probability:.2f}" for name, probability in ranked[:3]]
        parts += [f"{len(ranked) - 3} more"] if len(ranked) > 3 else []
        attributes = ", ".join(f"{name} {value:.2f}" for name, value in self.attributes.items())
        return f"Prediction({self.id!r}: {', '.join(parts)}{'; ' if attributes else ''}{attributes})"


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
        return _predictions(self.checkpoint, order, values), [Fault(id, why) for id, why in failed.items()]

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


def predict_stores(
    checkpoint: Checkpoint, utterances: Sequence[Utterance], *, device: torch.device
) -> tuple[Predictions, list[Fault]]:
    """Predict utterances from the feature stores that the checkpoint's experiment names, in the order given.

    utterances: as `Manifest.located` gives them. One that a store lacks is left out and listed. Raises
    CheckpointError for features of another encoder, StoreError for those of other content than the utterances have
    now, EnsembleError where no utterance has features.
    """
    if checkpoint.folder is not None:
        refuse_stale_leaves(checkpoint.folder, utterances)
    found = infer_rows(checkpoint, [utterance.id for utterance in utterances], device)
    posteriors = torch.cat([*found.frames.values()])  # (N, C + A)
    faults = [Fault(id, f"has no features in {', '.join(names)}") for id, names in found.lacking.items()]
    return _predictions(checkpoint, list(found.frames), posteriors), faults


VERB = "predict"
REVISION = 1
"""Of predicting itself: raised whenever a model of the same fingerprint says something else of the same input."""


def provenance(
    *, model: str, manifest: str = "", split: str = "", audio: Sequence[str] = (), text: str | None = None
) -> Provenance:
    """What the predictions of a model are made from: stored features of a split, or recordings.

    audio: files and folders. text: the words of a single recording. Raises SertkError for what cannot be read, and
    StoreError for features of other content than the manifest has now.
    """
    folder = Path(model)
    parts = {"revision": str(REVISION), "inference": INFERENCE}
    call: dict[str, Any] = {"model": from_here(folder)}
    if not audio:
        corpus = Manifest.read(Path(manifest))
        utterances = located(corpus, corpus.split(split))
        refuse_stale_leaves(folder, utterances)
        ids = [utterance.id for utterance in utterances]
        parts |= {"ids": sha256_json(ids), **model_parts("model", folder, ids)}
        call |= {"manifest": from_here(Path(manifest)), "split": split}
        leaves = reads_of(folder, stored=True).leaves.values()
        return Provenance(VERB, parts, call, [from_here(path) for path in (folder, Path(manifest), *leaves)])
    words = "text" in reads_of(folder, stored=False).modalities
    files, unread = find_files(map(Path, audio))
    recordings, unfit = recordings_of(files, text=text, words=words)
    utterances = [recording.utterance for recording in recordings]
    content = file_digests([Path(utterance.audio) for utterance in utterances])
    parts |= {"ids": sha256_json([utterance.id for utterance in utterances]), **model_parts("model", folder, None)}
    parts["recordings"] = sha256_json([content[Path(utterance.audio)] for utterance in utterances])
    parts["left out"] = sha256_json([escaped(fault.place) for fault in (*unread, *unfit)])
    if words:
        parts["words"] = sha256_json([utterance.text for utterance in utterances])
    call |= {"audio": [escaped(from_here(Path(path))) for path in audio], "text": text}
    return Provenance(VERB, parts, call, [from_here(folder)])


def rows(predictions: Predictions) -> list[Prediction]:
    """Predictions one by one."""
    names, best = predictions.labels.names, predictions.predicted
    return [
        Prediction(
            id,
            names[best[row]],
            dict(zip(names, predictions.emotion[row].tolist(), strict=True)),
            dict(zip(predictions.attribute_names, predictions.attributes[row].tolist(), strict=True)),
        )
        for row, id in enumerate(predictions.ids)
    ]


def _prepare(encoder: Encoder, recordings: Iterable[Recording]) -> Prepared:
    prepared = Prepared()
    for recording in recordings:
        prepared.add(encoder, recording)
    return prepared


def _predictions(checkpoint: Checkpoint, ids: Sequence[str], posteriors: torch.Tensor) -> Predictions:
    values = posteriors.double().numpy()  # (N, C + A)
    classes = len(checkpoint.card.labels)
    emotion = values[:, :classes] / np.maximum(values[:, :classes].sum(axis=1, keepdims=True), 1e-12)
    return Predictions(tuple(ids), checkpoint.label_set, emotion, values[:, classes:], checkpoint.attribute_names)
