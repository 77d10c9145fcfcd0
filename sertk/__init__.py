"""sertk: a plugin-based toolkit for speech emotion recognition.

    import sertk

    model = sertk.load("exp/toy/ensembles/soup")
    answer = model.predict("recording.wav", text="what the speaker says")
    answer.emotion, answer.probabilities["Happy"], answer.attributes["arousal"]

Each verb of the command line is a function: `prepare`, `map_labels`, `merge`, `transcribe`, `extract`,
`store_features`, `train`, `combine`, `predict`, `predict_corpus`, `timeline`, `live`, `crossval`, `score`, `report`;
`score_frames` scores tables in memory. What to look at next, with `help`:

    sertk.contracts          what a component of each kind is given and returns
    sertk.registry           the components that are installed
    sertk.data.manifest      a corpus as sertk sees it
    sertk.errors             what is raised, and when
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sertk.api.combine import combine
    from sertk.api.crossval import crossval
    from sertk.api.data import prepare
    from sertk.api.extract import extract
    from sertk.api.features import store_features
    from sertk.api.frames import score_frames
    from sertk.api.live import live
    from sertk.api.mapping import map_labels, merge
    from sertk.api.predict import predict, predict_corpus
    from sertk.api.report import report
    from sertk.api.score import score
    from sertk.api.timeline import timeline
    from sertk.api.train import train
    from sertk.api.transcribe import transcribe
    from sertk.inference.model import Model

__version__ = "0.1.0"
FUNCTIONS = {
    "prepare": "sertk.api.data",
    "map_labels": "sertk.api.mapping",
    "merge": "sertk.api.mapping",
    "transcribe": "sertk.api.transcribe",
    "extract": "sertk.api.extract",
    "store_features": "sertk.api.features",
    "train": "sertk.api.train",
    "combine": "sertk.api.combine",
    "predict": "sertk.api.predict",
    "predict_corpus": "sertk.api.predict",
    "crossval": "sertk.api.crossval",
    "score": "sertk.api.score",
    "score_frames": "sertk.api.frames",
    "report": "sertk.api.report",
    "timeline": "sertk.api.timeline",
    "live": "sertk.api.live",
}
"""The functions of the package and their modules, imported when they are first asked for."""

__all__ = [
    "__version__",
    "combine",
    "crossval",
    "extract",
    "live",
    "load",
    "map_labels",
    "merge",
    "predict",
    "predict_corpus",
    "prepare",
    "report",
    "score",
    "score_frames",
    "store_features",
    "timeline",
    "train",
    "transcribe",
]


def __getattr__(name: str) -> Any:
    if name in FUNCTIONS:
        return getattr(import_module(FUNCTIONS[name]), name)
    raise AttributeError(f"module 'sertk' has no attribute {name!r}")


def load(folder: str | Path, *, device: str = "auto") -> Model:
    """Load a trained model or ensemble with its encoders, each distinct one once.

    Parameters
    ----------
    folder
        Of a model, as `sertk train` and `sertk combine` write them; or the name of a ready one, such as `small`.
    device
        `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`: the first GPU, else the CPU.

    Returns
    -------
    Model
        With `predict` for files or samples, and `embed`.

    Raises
    ------
    CheckpointError
        For a folder that is no model.
    EncoderError
        For an encoder that cannot be loaded.
    """
    return import_module("sertk.inference.model").load(folder, device=device)  # type: ignore[no-any-return]
