"""sertk: a plugin-based toolkit for speech emotion recognition.

    import sertk

    model = sertk.load("exp/toy/ensembles/soup")
    answer = model.predict("recording.wav", text="what was said")
    answer.emotion, answer.probabilities["Happy"], answer.attributes["arousal"]

What to look at next, with `help`:

    sertk.inference          one recording, many, or a corpus
    sertk.data.manifest      a corpus as sertk sees it
    sertk.experiment         training, as `sertk train` does it
    sertk.contracts          what a component of each kind is given and gives
    sertk.registry           the components that are installed
    sertk.errors             what is raised, and when

The command line has the same and more: `sertk --help`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sertk.inference.model import Model

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(folder: str | Path, *, device: str = "auto") -> Model:
    """Load a trained model or ensemble with its encoders, each distinct one once.

        model = sertk.load("exp/toy/ensembles/soup")
        model.predict("a.wav", text="what was said")   # one recording: a Prediction
        model.predict_recordings(recordings)           # many: (Predictions, faults)

    folder: of a checkpoint, as `sertk train` and `sertk combine` write them.
    device: cpu, cuda, cuda:1, mps, or auto (the first GPU, else the CPU). Raises CheckpointError for a folder that is
    no checkpoint, EncoderError for an encoder that cannot be loaded.
    """
    predict = import_module("sertk.inference.model")  # by name, so that the package stands on no floor
    return predict.load(folder, device=device)  # type: ignore[no-any-return]
