"""Predict recordings, or a split of a corpus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sertk.api.remarks import warn, warn_of_edited, warn_of_left_out, warn_of_remarks
from sertk.checkpoint import Checkpoint
from sertk.data.find import find_files, recordings_of
from sertk.data.manifest import Manifest
from sertk.data.recording import Recording
from sertk.devices import choose_device
from sertk.engine import HERE, Placement
from sertk.ensemble.predictions import Predictions
from sertk.errors import Fault, UsageError
from sertk.escapes import escaped
from sertk.features.plan import spoken_seconds
from sertk.files import write_text
from sertk.inference.model import Model, load
from sertk.inference.provenance import VERB, provenance
from sertk.inference.stores import predict_stores
from sertk.inputs import located
from sertk.outputs import making, names_of, refuse_foreign_files
from sertk.progress import Bars, duration, silent
from sertk.provenance import Provenance, beside, is_current
from sertk.ready import guidance, model_folder

MUCH_LONGER = 3.0
"""So many times the duration of nearly all training recordings; of such a recording one label says little."""

SIDES = (".left_out.tsv",)
"""Beside predictions `x.csv`, in `x.csv.left_out.tsv`: what could not be predicted, and why."""


@dataclass(frozen=True)
class Predicted:
    """What `predict` and `predict_corpus` give.

    predictions: of one model; None where the file `output` was up to date. left_out: what could not be predicted.
    unsure_below: the model's card asks to take an answer of lower probability for unsure.
    """

    predictions: Predictions | None
    left_out: tuple[Fault, ...] = ()
    output: Path | None = None
    unsure_below: float = 0.0

    @property
    def up_to_date(self) -> bool:
        """Whether the file was there already, made from the same."""
        return self.predictions is None


def predict(
    model: str | Path | Model,
    audio: str | Path | Sequence[str | Path],
    *,
    text: str | None = None,
    same_speaker: bool = False,
    output: str | Path | None = None,
    device: str = "auto",
    force: bool = False,
    progress: Bars = silent,
) -> Predicted:
    """Predict recordings.

    Parameters
    ----------
    model
        The folder of a trained model or ensemble, the name of a ready one, or a model from `sertk.load`.
    audio
        Recordings, and folders that are searched for recordings.
    text
        The words of a single recording; without it NAME.txt beside each recording is read.
    same_speaker
        All recordings are of one speaker, by whose statistics a model may standardise.
    output
        A file for the predictions, `*.csv` or `*.jsonl`; `OUTPUT.left_out.tsv` lists what could not be predicted.
    device
        `cpu`, `cuda`, `cuda:1` or `auto`.
    force
        Predict again although `output` is up to date.
    progress
        Opens a bar for the work.

    Returns
    -------
    Predicted
        Predictions by path; a bad recording is left out, listed and warned of.

    Raises
    ------
    SertkError
        AudioError for a path that does not exist, CheckpointError for a folder that is no model, OutputError for a
        file that something else made.
    """
    model = model if isinstance(model, Model) else model_folder(model)
    paths = [Path(audio)] if isinstance(audio, str | Path) else [Path(path) for path in audio]
    target = _target(output)
    made = None
    if target is not None:
        folder = model.checkpoint.folder if isinstance(model, Model) else Path(model)
        refuse_foreign_files(VERB, [target], sides=SIDES, inputs=paths)
        made = provenance(
            model=str(folder), audio=[str(path) for path in paths], text=text, same_speaker=same_speaker
        )
        if not force and is_current(target, made):
            return Predicted(None, output=target)
    files, unread = find_files(paths)
    loaded = model if isinstance(model, Model) else load(model, device=device)
    recordings, unfit = recordings_of(files, text=text, words=loaded.reads_text)
    _warn_of_long(loaded, recordings)
    remarks: list[Fault] = []
    with (progress if len(recordings) > 1 else silent)("predict", len(recordings)) as advance:
        predictions, faults = loaded.predict_recordings(
            recordings, same_speaker=same_speaker, progress=advance, remark=remarks.append
        )
    warn_of_remarks(remarks)
    below = guidance(loaded.checkpoint.folder).get("unsure_below", 0.0) if loaded.checkpoint.folder else 0.0
    result = Predicted(predictions, (*unread, *unfit, *faults), target, float(below))
    warn_of_left_out(result.left_out)
    warn_of_edited(_write(result, made))
    return result


def _warn_of_long(model: Model, recordings: Sequence[Recording]) -> None:
    """Say which recordings are much longer than those that the model was trained on."""
    usual = model.tree.trained_s
    long = [recording for recording in recordings if usual and spoken_seconds(recording) > MUCH_LONGER * usual]
    if usual and long:
        warn(
            f"much longer than what {model.checkpoint.card.name} was trained on (99 % is below {usual:g} s): "
            f"{len(long)} of {len(recordings)} recordings, such as {escaped(long[0].id)}, "
            f"{duration(long[0].seconds)}. `sertk timeline` gives the emotion over time."
        )


def predict_corpus(
    models: str | Path | Sequence[str | Path],
    manifest: str | Path,
    split: str,
    *,
    output: str | Path | None = None,
    into: str | Path | None = None,
    device: str = "auto",
    force: bool = False,
    on: Placement = HERE,
    on_result: Callable[[Predicted], None] | None = None,
) -> list[Predicted]:
    """Predict a split of a corpus from the feature stores that the models were trained on.

    Parameters
    ----------
    models
        Folders of trained models.
    manifest
        The manifest of the corpus.
    split
        The split to predict.
    output
        A file for the predictions of a single model, `*.csv` or `*.jsonl`.
    into
        A folder that gets one CSV file per model.
    device, force
        As for `predict`.
    on
        Where models are at work: how many at a time, or on a Ray cluster.
    on_result
        Called with each result as soon as its file is written. With several jobs it is called in other processes,
        so it must be a function of a module.

    Returns
    -------
    list of Predicted
        In the order of `models`. Utterances without features are left out, listed and warned of.

    Raises
    ------
    SertkError
        CheckpointError for features of another encoder, StoreError for features of other content than the corpus
        has now, OutputError.
    """
    folders = [model_folder(model) for model in ([models] if isinstance(models, str | Path) else models)]
    if into is None and len(folders) > 1:
        raise UsageError("--manifest needs --into FOLDER for several models")
    targets = [Path(into) / f"{name}.csv" for name in names_of(folders)] if into else [_target(output)]
    refuse_foreign_files(VERB, [target for target in targets if target], sides=SIDES, inputs=[Path(manifest)])
    tasks = [
        (each, Path(manifest), split, to, device, force, on_result) for each, to in zip(folders, targets, strict=True)
    ]
    results = []
    for result, edited in on.run(_predict_corpus, tasks, device=device):
        warn_of_left_out(result.left_out)
        warn_of_edited(edited)
        results.append(result)
    return results


def _predict_corpus(
    model: Path,
    manifest: Path,
    split: str,
    output: Path | None,
    device: str,
    force: bool,
    on_result: Callable[[Predicted], None] | None,
) -> tuple[Predicted, list[Path]]:
    """Predict and write for one model, perhaps in a process of its own; give what was put aside, too."""
    made = provenance(model=str(model), manifest=str(manifest), split=split) if output else None
    edited: list[Path] = []
    if output and made and not force and is_current(output, made):
        result = Predicted(None, output=output)
    else:
        corpus = Manifest.read(manifest)
        utterances = located(corpus, corpus.split(split))
        predictions, faults = predict_stores(Checkpoint.load(model), utterances, device=choose_device(device))
        result = Predicted(predictions, tuple(faults), output)
        edited = _write(result, made)
    if on_result is not None:
        on_result(result)
    return result, edited


def _write(result: Predicted, made: Provenance | None) -> list[Path]:
    """Write predictions, and what was left out, where that was asked for; give what somebody had edited."""
    if result.predictions is None or result.output is None or made is None:
        return []
    with making(result.output, made, sides=SIDES) as edited:
        result.predictions.write(result.output)
        if result.left_out:
            lines = [f"{escaped(fault.place)}\t{escaped(fault.message)}\n" for fault in result.left_out]
            write_text(beside(result.output, SIDES[0]), "".join(lines))
    return edited


def _target(output: str | Path | None) -> Path | None:
    if output is None:
        return None
    if Path(output).suffix not in (".csv", ".jsonl"):
        raise UsageError(f"--output ends in .csv or .jsonl, got {str(output)!r}")
    return Path(output)
