"""From recordings to emotions: each distinct encoder of an ensemble is loaded and run once for all members."""

# Longer than others: one class, whose methods share one way from recordings to rows.
from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray

from sertk.batching.collate import pad
from sertk.checkpoint import Checkpoint
from sertk.contracts import Encoder
from sertk.data.audio import resampled
from sertk.data.find import recording_of, recordings_of
from sertk.data.manifest import Utterance
from sertk.data.recording import Recording
from sertk.devices import choose_device
from sertk.encoders.checkpoint import build_encoder
from sertk.encoders.tree import ModelTree, load_tree
from sertk.ensemble.predictions import Predictions
from sertk.errors import AudioError, DataError, Fault, LeftOutWarning, MissingWordsWarning, SpeakerWarning, UsageError
from sertk.features.card import StoreCard
from sertk.features.encode import BatchEncoder, Prepared
from sertk.features.plan import batches, spoken_seconds
from sertk.inference.prediction import Prediction, predictions_of, rows
from sertk.models.by_speaker import FEWEST
from sertk.models.standardise import moments
from sertk.ready import model_folder
from sertk.tensors import Padded


@dataclass(frozen=True)
class Model:
    """A loaded checkpoint with its encoders, ready for recordings. Get one with `sertk.load`.

    `predict` takes files or samples, `embed` gives fused vectors; `checkpoint.card` says where the model comes from
    and how it scored. encoders, cards: by fingerprint, each distinct encoder once.
    """

    tree: ModelTree
    encoders: Mapping[str, Encoder]
    cards: Mapping[str, StoreCard]
    device: torch.device

    def __repr__(self) -> str:
        """Such as `Model('soup': Angry, Happy, Neutral; arousal; reads logmel, hashed_text; on cpu)`."""
        card = self.checkpoint.card
        parts = [", ".join(card.labels), ", ".join(card.ranges)]
        parts += [f"reads {', '.join(one.encoder for one in self.cards.values())}", f"on {self.device}"]
        return f"Model({card.name!r}: {'; '.join(text for text in parts if text)})"

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint at the root: its card, its experiment."""
        return self.tree.checkpoint

    @property
    def reads_text(self) -> bool:
        """Whether some encoder reads words, so that a recording should come with its transcript."""
        return any(encoder.modality == "text" for encoder in self.encoders.values())

    @overload
    def predict(self, audio: str | Path, *, text: str | None = None) -> Prediction: ...

    @overload
    def predict(
        self, audio: NDArray[np.floating[Any]], sample_rate: int, *, text: str | None = None
    ) -> Prediction: ...

    @overload
    def predict(
        self, audio: list[str | Path] | list[str] | list[Path] | tuple[str | Path, ...], *, same_speaker: bool = False
    ) -> Predictions: ...

    def predict(
        self,
        audio: str | Path | NDArray[np.floating[Any]] | Sequence[str | Path],
        sample_rate: int | None = None,
        *,
        text: str | None = None,
        same_speaker: bool = False,
    ) -> Prediction | Predictions:
        """Predict one recording, or several.

        Parameters
        ----------
        audio
            A file; a list of files; or samples in -1..1, (samples,) or (samples, channels).
        sample_rate
            Of samples, in Hz.
        text
            The words of a single recording. Without it NAME.txt beside a file is read, where the model reads words.
        same_speaker
            All files are of one speaker: a model that standardises by speaker does so by these recordings.

        Returns
        -------
        Prediction or Predictions
            Predictions for a list of files, by path; a bad one is left out with a LeftOutWarning.

        Raises
        ------
        AudioError
            For a single recording that cannot be used.
        UsageError
            For samples without their rate.
        """
        recordings, one = self._recordings(audio, sample_rate, text)
        predictions, faults = self.predict_recordings(recordings, same_speaker=same_speaker)
        _refuse_or_warn(faults, one)
        return rows(predictions)[0] if one else predictions

    def embed(
        self,
        audio: str | Path | NDArray[np.floating[Any]] | Sequence[str | Path],
        sample_rate: int | None = None,
        *,
        text: str | None = None,
    ) -> NDArray[np.float32]:
        """Give the fused vectors that the model's head reads.

        Parameters
        ----------
        audio, sample_rate, text
            As for `predict`.

        Returns
        -------
        ndarray
            (width,) for one recording, (N, width) for a list, without those that are left out. Of a vote the mean
            posteriors, since those are what its head reads.

        Raises
        ------
        AudioError
            For a single recording that cannot be used.
        """
        recordings, one = self._recordings(audio, sample_rate, text)
        found, faults = self._computed(recordings, self.tree.embeddings)
        _refuse_or_warn(faults, one)
        vectors = torch.stack([*found.values()]).numpy() if found else np.empty((0, 0), dtype=np.float32)
        return vectors[0] if one else vectors

    def predict_recordings(
        self,
        recordings: Sequence[Recording],
        *,
        same_speaker: bool = False,
        frame_budget: float = 120.0,
        max_batch: int = 32,
        progress: Callable[[int], None] = lambda _: None,
        remark: Callable[[Fault], None] = lambda _: None,
    ) -> tuple[Predictions, list[Fault]]:
        """Predict many recordings, in the order given; a bad one is left out and listed as a fault.

        Parameters
        ----------
        recordings
            Each with its words, where the model reads words; MissingWordsWarning counts those without.
        same_speaker
            As for `predict`; recordings are encoded twice then. Without it, or with fewer than two recordings, such a
            model takes the statistics of its training part, and a SpeakerWarning says so.
        frame_budget
            Seconds of audio in a batch, padding included.
        max_batch
            Recordings in a batch.
        progress
            Called with the size of each batch.
        remark
            Called with what was done to a recording that is predicted all the same, such as cutting its words.
        """
        tree = self._of_one_speaker(recordings, frame_budget, max_batch) if same_speaker else self.tree
        if self.tree.by_speaker and not tree.own:
            message = (
                f"{self.checkpoint.card.name} standardises by speaker or corpus; without {FEWEST} or more recordings "
                f"that are known to be of one (--same-speaker) it takes the statistics of its training part"
            )
            warnings.warn(message, SpeakerWarning, stacklevel=3)
        found, faults = self._computed(
            recordings, tree.posteriors, frame_budget, max_batch, progress=progress, remark=remark
        )
        values = torch.stack([*found.values()]) if found else torch.empty(0, self._width)
        return predictions_of(self.checkpoint, [*found], values), faults

    def _of_one_speaker(self, recordings: Sequence[Recording], frame_budget: float, max_batch: int) -> ModelTree:
        """The tree with the statistics of these recordings, where some model wants them and there are enough."""
        wanted = self.tree.by_speaker
        frames: dict[str, list[torch.Tensor]] = {key: [] for key in wanted}

        def keep(leaves: Mapping[str, Padded]) -> torch.Tensor:
            for key in wanted:
                frames[key] += [leaves[key].sequence(row).cpu() for row in range(len(leaves[key]))]
            return torch.zeros(len(next(iter(leaves.values()))), 1)

        if not wanted:
            return self.tree
        self._computed(recordings, keep, frame_budget, max_batch)
        enough = {key: moments(of) for key, of in frames.items() if len(of) >= FEWEST}
        return self.tree.of_speaker(enough) if enough else self.tree

    def _recordings(
        self,
        audio: str | Path | NDArray[np.floating[Any]] | Sequence[str | Path],
        sample_rate: int | None,
        text: str | None,
    ) -> tuple[list[Recording], bool]:
        """What `predict` was given as recordings, and whether it was a single one."""
        if isinstance(audio, np.ndarray):
            if sample_rate is None:
                raise UsageError("give the sample rate of samples: model.predict(samples, 16_000)")
            samples = {sample_rate: resampled(audio, sample_rate, sample_rate)}
            return [Recording(Utterance(id="samples", audio="samples", text=text), given=samples)], True
        if isinstance(audio, str | Path):
            return [recording_of(Path(audio), text=text, words=self.reads_text)], True
        if text is not None:
            raise UsageError(
                "text is for a single recording: put a .txt file with its words next to each recording instead"
            )
        recordings, faults = recordings_of(map(Path, audio), words=self.reads_text)
        _refuse_or_warn(faults, one=False)
        return recordings, False

    def _computed(
        self,
        recordings: Sequence[Recording],
        compute: Callable[[Mapping[str, Padded]], torch.Tensor],
        frame_budget: float = 120.0,
        max_batch: int = 32,
        *,
        progress: Callable[[int], None] = lambda _: None,
        remark: Callable[[Fault], None] = lambda _: None,
    ) -> tuple[dict[str, torch.Tensor], list[Fault]]:
        """A row on the CPU for each recording, in the order given, and faults of those that have none."""
        by_id = {recording.id: recording for recording in recordings}
        if len(by_id) != len(recordings):
            raise DataError(
                f"{len(recordings) - len(by_id)} of {len(recordings)} ids occur twice: ids must be unique"
            )
        self._warn_of_missing_words(recordings)
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
                found |= dict(zip(good, compute(leaves).cpu(), strict=True))
            progress(len(ids))
        return {id: found[id] for id in by_id if id in found}, [Fault(id, why) for id, why in failed.items()]

    def _warn_of_missing_words(self, recordings: Sequence[Recording]) -> None:
        wordless = sum(not recording.utterance.text for recording in recordings) if self.reads_text else 0
        if wordless:
            message = (
                f"{wordless} of {len(recordings)} recordings have no words, which the model also reads: give their "
                f"text, or put NAME.txt next to NAME.wav"
            )
            warnings.warn(message, MissingWordsWarning, stacklevel=4)

    @property
    def _width(self) -> int:
        return len(self.checkpoint.card.labels) + len(self.checkpoint.card.ranges)


def load(folder: str | Path, *, device: str = "auto") -> Model:
    """Load a checkpoint, its members, and each distinct encoder once. Raises CheckpointError or EncoderError."""
    place = choose_device(device)
    tree, specs = load_tree(model_folder(folder))
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


def _refuse_or_warn(faults: Sequence[Fault], one: bool) -> None:
    """Raise for a single recording, warn of others."""
    if faults and one:
        raise AudioError(faults[0].message)
    for fault in faults:
        warnings.warn(f"left out {fault.place}: {fault.message}", LeftOutWarning, stacklevel=3)
