"""`sertk predict`: recordings, or a split of a corpus, to emotions and attributes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sertk.cli.engine import ADDRESS, ENGINE, GPUS, placement
from sertk.cli.models_option import MODELS, ready_model
from sertk.cli.output import progress, say, show, up_to_date
from sertk.tables import Table, listing

if TYPE_CHECKING:
    from sertk.api.predict import Predicted
    from sertk.ensemble.predictions import Predictions
    from sertk.inference.prediction import Prediction

BAR = 20
"""Columns of a probability bar of 1."""
_CLASSES = ("emotion", "", "probability")


def command(
    words: list[str] = typer.Argument(
        ...,
        metavar="[MODEL] AUDIO...",
        help="A model (folder or name; default: a ready one), then recordings and folders. With --manifest: models.",
    ),
    text: str | None = typer.Option(None, help="The words of a single recording. Default: NAME.txt next to it."),
    same_speaker: bool = typer.Option(False, help="All recordings are of one speaker, whose statistics may be used."),
    output: Path | None = typer.Option(None, help="Write the predictions to x.csv or x.jsonl."),
    manifest: Path | None = typer.Option(None, help="Predict a corpus instead, from the models' feature stores."),
    split: str | None = typer.Option(None, help="The split of the manifest."),
    into: Path | None = typer.Option(None, help="With --manifest: the folder to write one CSV file per model into."),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1 or auto."),
    models: Path | None = MODELS,
    force: bool = typer.Option(False, help="Predict again even if up to date."),
    jobs: int = typer.Option(1, min=1, help="With --manifest: number of parallel processes, one model each."),
    engine: str = ENGINE,
    address: str | None = ADDRESS,
    gpus: float | None = GPUS,
) -> None:
    """Predict the emotion, class probabilities and attributes of recordings, or of a split of a corpus."""
    from sertk.api.predict import predict, predict_corpus
    from sertk.ready import split_models

    found, audio = split_models(words)
    if manifest is None:
        if not audio or split or into or len(found) > 1:
            raise typer.BadParameter(
                "give one model and recordings, or --manifest and --split for a corpus with feature stores"
            )
        model = found[0] if found else ready_model()
        result = predict(
            *(model, audio),
            text=text,
            same_speaker=same_speaker,
            output=output,
            device=device,
            force=force,
            progress=progress,
        )
        _show(result)
        if result.predictions is not None and not len(result.predictions):
            raise typer.Exit(1)
        return
    if split is None:
        raise typer.BadParameter("--manifest needs --split, and --into FOLDER for several models")
    on = placement(engine, jobs, address, gpus)
    predict_corpus(
        [*found, *audio],
        manifest,
        split,
        output=output,
        into=into,
        device=device,
        force=force,
        on=on,
        on_result=_show,
    )


def _show(result: Predicted) -> None:
    if result.predictions is None and result.output is not None:
        up_to_date(result.output)
    elif result.predictions is not None and result.output is not None:
        left_out = f"  left out {len(result.left_out)}" if result.left_out else ""
        say(f"{result.output}  {len(result.predictions)} predictions{left_out}")
    elif result.predictions is not None:
        _show_predictions(result.predictions, result.unsure_below)


def _show_predictions(predictions: Predictions, unsure_below: float) -> None:
    from sertk.inference.prediction import rows

    found = rows(predictions)
    columns = ("recording", *(_CLASSES if predictions.labels else ()), *predictions.attribute_names)
    cells = [
        (row.id, *_best(row, unsure_below), *(f"{value:.2f}" for value in row.attributes.values())) for row in found
    ]
    show(Table(columns, cells, align="lllr" if predictions.labels else "l"))
    if len(found) == 1 and predictions.labels:
        say()
        ranked = sorted(found[0].probabilities.items(), key=lambda item: -item[1])
        show(listing(("emotion", "probability", ""), [(n, f"{p:.3f}", "█" * round(BAR * p)) for n, p in ranked]))


def _best(row: Prediction, unsure_below: float) -> tuple[str, ...]:
    """The cells of the most probable class; none of a model without classes."""
    if not row.probabilities:
        return ()
    probability = row.probabilities[row.emotion]
    answer = row.emotion if probability >= unsure_below else f"unsure ({row.emotion})"
    return answer, "█" * round(BAR * probability), f"{probability:.2f}"
