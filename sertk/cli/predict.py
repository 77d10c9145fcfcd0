"""`sertk predict`: recordings, or a split of a corpus, to emotions and attributes."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sertk.cli.engine import ADDRESS, ENGINE, GPUS, choose, needs
from sertk.cli.output import progress, say, table, up_to_date, warn, warn_remarks
from sertk.escapes import escaped

if TYPE_CHECKING:
    from sertk.ensemble.predictions import Predictions
    from sertk.errors import Fault
    from sertk.provenance import Provenance

SIDES = (".left_out.tsv",)
"""Beside predictions `x.csv`, in `x.csv.left_out.tsv`: what could not be predicted, and why."""
BAR = 20
"""Columns of a probability bar of 1."""


def command(
    model: Path = typer.Argument(..., help="The folder of a trained model or ensemble."),
    audio: list[Path] = typer.Argument(None, help="Recordings and folders; with --manifest: further models."),
    text: str | None = typer.Option(None, help="The words of a single recording; else NAME.txt beside it is read."),
    output: Path | None = typer.Option(None, help="Write the predictions to x.csv or x.jsonl."),
    manifest: Path | None = typer.Option(None, help="Predict a corpus from the models' feature stores instead."),
    split: str | None = typer.Option(None, help="The split of the manifest."),
    into: Path | None = typer.Option(None, help="With --manifest: a folder that gets a CSV file a model."),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1 or auto."),
    force: bool = typer.Option(False, help="Predict again what is up to date."),
    jobs: int = typer.Option(1, min=1, help="With --manifest: models at work side by side, each in its own process."),
    engine: str = ENGINE,
    address: str | None = ADDRESS,
    gpus: float | None = GPUS,
) -> None:
    """Predict recordings, from raw audio to the ensemble's answer: emotion, probabilities, attributes."""
    if output and output.suffix not in (".csv", ".jsonl"):
        raise typer.BadParameter(f"--output ends in .csv or .jsonl, got {str(output)!r}")
    if manifest is None:
        if not audio or split or into:
            raise typer.BadParameter("give recordings, or --manifest and --split for a corpus with feature stores")
        _predict_recordings(model, audio, text, output, device, force)
        return
    models = [model, *(audio or [])]
    if split is None or (into is None and len(models) > 1):
        raise typer.BadParameter("--manifest needs --split, and --into FOLDER for several models")
    from sertk.inference.provenance import VERB
    from sertk.outputs import names_of, refuse_foreign_files

    targets = [into / f"{name}.csv" for name in names_of(models)] if into else [output]
    refuse_foreign_files(VERB, [target for target in targets if target], sides=SIDES, inputs=[manifest])
    tasks = [(each, manifest, split, to, device, force) for each, to in zip(models, targets, strict=True)]
    choose(engine, address, jobs)(_predict_corpus, tasks, needs=needs(device, gpus))


def _predict_recordings(
    model: Path, audio: list[Path], text: str | None, output: Path | None, device: str, force: bool
) -> None:
    from sertk.data.find import find_files, recordings_of
    from sertk.inference.model import load
    from sertk.inference.provenance import VERB, provenance
    from sertk.outputs import refuse_foreign_files
    from sertk.provenance import is_current

    made = None
    if output is not None:
        refuse_foreign_files(VERB, [output], sides=SIDES, inputs=audio)
        made = provenance(model=str(model), audio=[str(path) for path in audio], text=text)
        if not force and is_current(output, made):
            up_to_date(output)
            return
    files, unread = find_files(audio)
    loaded = load(model, device=device)
    recordings, unfit = recordings_of(files, text=text, words=loaded.reads_text)
    wordless = [r.id for r in recordings if not r.utterance.text] if loaded.reads_text else []
    if wordless:
        warn(
            f"{len(wordless)} of {len(recordings)} recordings have no words, which the model reads too: "
            f"give --text, or put NAME.txt beside NAME.wav"
        )
    remarks: list[Fault] = []
    with progress("predict", len(recordings)) if len(recordings) > 1 else nullcontext(lambda _: None) as advance:
        predictions, faults = loaded.predict_recordings(recordings, progress=advance, remark=remarks.append)
    warn_remarks(remarks)
    _show(predictions, [*unread, *unfit, *faults], output, made)
    if not len(predictions):
        raise typer.Exit(1)


def _predict_corpus(model: Path, manifest: Path, split: str, output: Path | None, device: str, force: bool) -> None:
    from sertk.checkpoint import Checkpoint
    from sertk.data.manifest import Manifest
    from sertk.devices import choose_device
    from sertk.inference.provenance import provenance
    from sertk.inference.stores import predict_stores
    from sertk.inputs import located
    from sertk.provenance import is_current

    made = provenance(model=str(model), manifest=str(manifest), split=split) if output else None
    if output and made and not force and is_current(output, made):
        up_to_date(output)
        return
    corpus = Manifest.read(manifest)
    utterances = located(corpus, corpus.split(split))
    predictions, faults = predict_stores(Checkpoint.load(model), utterances, device=choose_device(device))
    _show(predictions, faults, output, made)


def _show(predictions: Predictions, faults: list[Fault], output: Path | None, made: Provenance | None) -> None:
    from sertk.files import write_text
    from sertk.inference.prediction import rows
    from sertk.outputs import making
    from sertk.provenance import beside

    for fault in faults[:10]:
        warn(f"left out {escaped(fault.place)}: {fault.message}")
    if len(faults) > 10:
        warn(f"... and {len(faults) - 10} more")
    if output and made:
        with making(output, made, sides=SIDES) as moved:
            predictions.write(output)
            if faults:
                lines = [f"{escaped(fault.place)}\t{escaped(fault.message)}\n" for fault in faults]
                write_text(beside(output, SIDES[0]), "".join(lines))
        for path in moved:
            warn(f"{output} was edited since it was made: what it was is in {path}")
        say(f"{output}  {len(predictions)} predictions" + (f"  left out {len(faults)}" if faults else ""))
        return
    columns = ("recording", "emotion", "", "probability", *predictions.attribute_names)
    found = rows(predictions)
    table(
        columns,
        [
            (
                row.id,
                row.emotion,
                "█" * round(BAR * row.probabilities[row.emotion]),
                f"{row.probabilities[row.emotion]:.2f}",
                *(f"{value:.2f}" for value in row.attributes.values()),
            )
            for row in found
        ],
        right=("probability", *predictions.attribute_names),
    )
    if len(found) == 1:
        say()
        ranked = sorted(found[0].probabilities.items(), key=lambda item: -item[1])
        table(("emotion", "probability", ""), [(n, f"{p:.3f}", "█" * round(BAR * p)) for n, p in ranked])
