"""`sertk adopt`, `sertk convert` and `sertk relabel`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import typer

from sertk.cli.models_option import MODELS
from sertk.cli.output import say, up_to_date


class Activation(StrEnum):
    """Of a dense layer."""

    tanh = "tanh"
    none = "none"


class Pooling(StrEnum):
    """Over frames."""

    mean = "mean"
    max = "max"
    sum = "sum"


class Lora(StrEnum):
    """Whether weights contain the factors of LoRA."""

    merged = "merged"
    unmerged = "unmerged"


class Classes(StrEnum):
    """The classes of which head."""

    primary = "primary"
    secondary = "secondary"


def adopt(
    source: str = typer.Argument(..., help="hf:OWNER/NAME, hf:OWNER/NAME@REVISION, or the folder of a checkpoint."),
    into: Path = typer.Option(..., "--into", help="The folder of the model."),
    shape: str | None = typer.Option(None, help="The adopter. Default: the one that recognises the checkpoint."),
    labels: str | None = typer.Option(None, help="Classes or attributes in the order of the outputs: NAME,NAME,..."),
    range: tuple[float, float] | None = typer.Option(
        None, help="The scale of attributes, such as 1 7. Default: 0 1."
    ),
    activation: Activation | None = typer.Option(None, help="Of the dense layer, where no file of it says."),
    pooling: Pooling | None = typer.Option(None, help="Over frames, where no file of it says."),
    lora: Lora | None = typer.Option(None, help="Whether its weights contain the factors of LoRA already."),
    head: Classes | None = typer.Option(None, help="The classes of which head. Default: primary."),
    encoder: str | None = typer.Option(None, help="Hub id or folder with the settings of its encoder."),
    licence: str | None = typer.Option(None, help="Its licence, where its page does not say."),
    models: Path | None = MODELS,
    force: bool = typer.Option(False, "--force", help="Adopt again even if up to date."),
) -> None:
    """Make a model of a public checkpoint; refuse one whose weights are not all used."""
    from sertk_adopt.adopt import adopt as adopt_checkpoint

    made = adopt_checkpoint(
        source,
        into,
        shape=shape,
        labels=None if labels is None else tuple(name.strip() for name in labels.split(",")),
        range=range,
        activation=activation and activation.value,
        pooling=pooling and pooling.value,
        lora=lora and lora.value,
        head=head and head.value,
        encoder=encoder,
        licence=licence,
        force=force,
    )
    if made.up_to_date:
        return up_to_date(into)
    at = f" at {made.revision[:12]}" if made.revision else ""
    say(f"{into}  {made.shape}{at}: {', '.join((*made.labels, *made.attributes))}")
    for name, why in made.unused.items():
        say(f"left out  {name}: {why}")
    say(f"licence  {made.licence}")
    say(f"sertk predict {into} RECORDING.wav")


def convert(
    source: str = typer.Argument(
        ..., help="hf:OWNER/NAME, hf:OWNER/NAME@REVISION, or a folder with pickled weights."
    ),
    into: Path = typer.Option(..., "--into", help="The folder to write."),
    force: bool = typer.Option(False, "--force", help="Convert again even if up to date."),
) -> None:
    """Make safetensors of pickled weights, read as tensors and nothing else in a process of its own."""
    from sertk_adopt.convert import convert as convert_weights

    made = convert_weights(source, into, force=force)
    if made.up_to_date:
        return up_to_date(into)
    say(f"{into}  {made.tensors} tensors")
    for name, kind in (made.left_out or {}).items():
        say(f"left out  {name}: {kind}")


def relabel(
    model: Path = typer.Argument(..., help="The folder of a model."),
    into: Path = typer.Option(..., "--into", help="The folder of the new model, which contains the other."),
    map: str | None = typer.Option(None, "--map", help="The label map: four, six, eight, or a file. Default: none."),
    attributes: str | None = typer.Option(
        None, help="Attributes to keep, in order: NAME,NAME; or none. Default: all."
    ),
    force: bool = typer.Option(False, "--force", help="Make it again even if up to date."),
) -> None:
    """Give a model the classes of a label map, so that it can be combined with others."""
    from sertk_adopt.relabel import relabel as relabel_model

    kept = None if attributes is None else [name for name in attributes.split(",") if name not in ("", "none")]
    made = relabel_model(model, into, map=map, attributes=kept, force=force)
    if made.up_to_date:
        return up_to_date(into)
    parts = (f"{name} to {label}" if label else f"without {name}" for name, label in made.becomes.items())
    say(f"{into}  {', '.join((*parts, *made.attributes))}")
