"""The one page a plugin author reads: what each kind of component is given and what it must give back.

A component is a class or a function, registered as an entry point `name = "module:Class"` in the group of its kind:
`sertk_corpora`, `sertk_encoders`, `sertk_transcribers`, `sertk_segmenters`, `sertk_fusions`, `sertk_samplers`,
`sertk_regularizers`, `sertk_losses`, `sertk_optimizers`, `sertk_aggregators`. sertk passes the positional arguments,
before `/`; a recipe sets the options, after `*`:

    class Attentive(nn.Module):
        def __init__(self, dims: Mapping[str, int], /, *, width: int = 256, dropout: float = 0.1) -> None: ...

The signature is the schema: type hints give the allowed values, unknown options are refused. The first line of the
docstring is what `sertk list` shows, and its section Parameters (numpydoc) is what `sertk show` says of the options.
Losses and aggregators are functions here, since what they give is a function or one model. Floors below import this
page for its types alone (`TYPE_CHECKING`).

`@revision(1)` of `sertk.revisions` gives a component its version: raise the number whenever its output for the same
input changes, and whatever was made with it is made again. Without one, every new version of its distribution, and of
one that is installed editable every change of its source, makes all that anew.

Options that do not go together are refused by the factory, with any exception: `sertk check` builds each component
and tries it on made-up data. One that loads weights calls `sertk.hub.before_weights()` first, which ends the build
where options alone are checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from sertk.batching.dataset import FeatureSet
from sertk.checkpoint import Checkpoint
from sertk.config.schema import Head, Use
from sertk.data.corpora.report import CorpusReport
from sertk.data.manifest import Manifest
from sertk.data.recording import Recording
from sertk.data.sound import Segment, Sound
from sertk.tensors import Features, Outputs, Padded, Targets

Modality = Literal["speech", "text", "posterior"]
Batching = Literal["padded", "equal_length", "single"]


class Corpus(Protocol):
    """Reads a folder of a corpus: the component itself, `(folder, /, *, options)`.

    Every reader has the options `audio` (default true: look at the recordings; without, labels alone are read) and
    `allow_partial` (default false: accept an incomplete copy). Paths of recordings are absolute. A bad row or
    recording is left out and listed in the report, never a reason to stop. `sertk.data.corpora` has tables with
    checked cells, a search for recordings, and the report. The option of type `Path` or a sequence of them names
    further folders; what they contain counts when sertk decides what is up to date.
    """

    def __call__(self, folder: Path, /, **options: Any) -> tuple[Manifest, CorpusReport]:
        """The manifest, and what was found. Raises DataError for a folder that is no copy of the corpus."""
        ...


class Encoder(Protocol):
    """Turns recordings into frames. Factory: `(*, options) -> Encoder`, usually a frozen `nn.Module`.

    dim: D. frames_per_second: 0 where frames are no time steps (tokens, whole utterances). fingerprint: changes
    whenever the output for the same input would (weights, revision, options). batching: `padded` when outputs
    are the same whatever stands beside an utterance in a batch; otherwise how it must be fed to be so.
    challenge_legal: false for encoders trained on emotion labels.

    An encoder may also have `licence`, a text that goes into the cards of its features; `reads`, which of `audio` and
    `text` decide the frames of an utterance, so that a store knows when to extract it again (without it the audio for
    speech, the text for text, else both); and `unkeyed`, the names of options that decide no frame, such as the path
    of weights whose content is in the fingerprint: a store is not made again where they alone differ.
    """

    modality: Modality
    dim: int
    frames_per_second: float
    fingerprint: str
    batching: Batching
    challenge_legal: bool

    def prepare(self, recording: Recording) -> Tensor | Mapping[str, Tensor]:
        """One utterance as (T', ...) input on the CPU, or several by name. Raises AudioError for a bad recording.

        Called from another thread than `__call__`. What it does to an utterance that it takes all the same, such as
        cutting a long transcript, it notes with `recording.remark`.
        """
        ...

    def __call__(self, inputs: Any) -> Padded:
        """Padded batches of what `prepare` gave, to (B, T, dim) on the device of the encoder; T >= 1."""
        ...

    def to(self, device: torch.device) -> Any:
        """Move to a device, as `nn.Module.to` does."""
        ...


class Transcriber(Protocol):
    """Turns recordings into words. Factory: `(*, options) -> Transcriber`. source: what manifests record.

    A transcriber may also have `fingerprint`, a text that changes with its weights; `unkeyed`, the names of options
    that change no words, such as where the weights are; and `reads`, `("audio",)` where it does not say so, of which
    a change transcribes an utterance again.
    """

    source: str

    def __call__(self, recordings: Sequence[Recording]) -> list[str | None]:
        """The words of each recording, in order; None where there are none. Raises AudioError."""
        ...


class Segmenter(Protocol):
    """Divides a recording into the parts that the model is run on. Factory: `(*, options) -> Segmenter`.

    lag_s: how long after its end a segment is final, in seconds. A segmenter may also have `files(sound.path)`, a
    method that gives the files that it reads beside the recording: what they contain counts when sertk decides what
    is up to date.
    """

    lag_s: float

    def __call__(self, sound: Sound, /) -> Iterator[Segment]:
        """Segments in the order of what the model reads of each, as soon as each is final.

        `sound.blocks` gives the sound as it arrives, `sound.cut` a part of it that is not before the last segment.
        What is in no segment is "no speech". A segmenter that waits for the end of a long recording keeps all of it
        in memory: give a segment with `speech=False` at least each half minute. Raises DataError.
        """
        ...


class Fusion(Protocol):
    """Joins modalities. Factory: `(dims: Mapping[str, int], /, *, options) -> nn.Module` with a `width`.

    The output of an utterance must not depend on padding or on its neighbours in the batch.
    """

    width: int

    def __call__(self, features: Features) -> Tensor:
        """{name: (B, T, D)} to (B, width)."""
        ...


class Sampler(Protocol):
    """Draws batches of rows. Factory: `(table: LabelTable, seed: int, /, *, options) -> Sampler`.

    Draws depend on (seed, epoch) alone, so a resumed run sees what an undisturbed one sees.
    """

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws, from 0."""
        ...

    def __iter__(self) -> Iterator[list[int]]:
        """Batches of row numbers of the table."""
        ...

    def __len__(self) -> int:
        """The number of batches of the chosen epoch."""
        ...


class Regularizer(Protocol):
    """Changes a batch in training, never in evaluation. Factory: `(*, options) -> Regularizer`.

    It has one or both of the hooks. Another method whose name begins with `on_` is refused, since it would never be
    called.

    on_batch: `(features: Features, targets: Targets, generator) -> tuple[Features, Targets]`, before the fusion. Give
    new objects: what comes in may be a view of a store.

    on_embedding: `(fused: Tensor, targets: Targets, generator) -> tuple[Tensor, Targets]`, between fusion and head;
    fused: (B, width).

    The generator is on the CPU; all draws come from it.
    """


Loss = Callable[[Outputs, Targets], Tensor]
"""A term of the loss: a scalar, the mean over the batch. Factory: `(table: LabelTable, /, *, options) -> Loss`."""

OptimizerFactory = Callable[..., torch.optim.Optimizer]
"""`(parameters: Mapping[str, Tensor], /, *, options) -> torch.optim.Optimizer` over a model's trainable parameters.

Names are those of the model, such as `fusion.linear.weight`, so that parts of it may have settings of their own. The
model is on its device already. `step()` is called without a closure. What changes from step to step is kept in the
optimizer's `state`, as tensors or numbers for each parameter, so that a stopped run can be resumed.
"""


@dataclass(frozen=True)
class Stack:
    """What an aggregator is given: members, and what they said of the utterances to fit on, joined by id.

    posteriors: one one-frame modality of C + A features a member, with the labels of the same utterances.
    inputs: the features the members themselves read, of the same utterances; None for posteriors from elsewhere.
    members: by name; empty for posteriors from elsewhere. prior: (C,) class prior of the training part.
    leaked: ids among `posteriors` that some member was trained on. device: where to compute.
    """

    members: Mapping[str, Checkpoint]
    posteriors: FeatureSet
    inputs: FeatureSet | None
    prior: Tensor
    leaked: frozenset[str]
    device: torch.device


@dataclass(frozen=True)
class Combined:
    """One model that an aggregator made: a fusion and a head, as an experiment names them, and their weights.

    features: `members` when it reads the members' posteriors, `inputs` when it reads what the members read.
    notes: what its card records beside (seeds, what it was fitted on, members chosen).
    """

    fusion: Use
    head: Head
    weights: Mapping[str, Tensor]
    features: Literal["members", "inputs"] = "members"
    notes: Mapping[str, Any] = field(default_factory=dict)


class Aggregator(Protocol):
    """Many in, one out. Factory: `(*, options) -> Aggregator`.

    An aggregator that fits several models at once (six seeds) gives each under a name of its own; one that gives
    a single model names it "".
    """

    def __call__(self, stack: Stack) -> dict[str, Combined]:
        """Raises EnsembleError for members that cannot be combined."""
        ...


FusionFactory = Callable[..., nn.Module]
