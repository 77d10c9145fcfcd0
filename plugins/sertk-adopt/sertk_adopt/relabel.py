"""`sertk relabel`: a model with the classes and attributes that others have, so that they can be combined."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sertk.cards import Card, EncoderSpec, owner_of, plugin_versions, versions
from sertk.checkpoint import Checkpoint, refuse_additions
from sertk.config.schema import Experiment, Head, Use
from sertk.data.label_map import LabelMap, map_path, read_label_map
from sertk.data.labels import LabelSet
from sertk.errors import CheckpointError, LabelError, SertkWarning, did_you_mean
from sertk.locks import sole_writer
from sertk.outputs import refuse_collisions, refuse_foreign
from sertk.provenance import Provenance, from_here, is_current, options_as_parts
from sertk.registry import REGISTRIES
from sertk.revisions import component_parts

VERB, REVISION, NAME = "relabel", 1, "model"


@dataclass(frozen=True)
class Relabelled:
    """A model that was made or found up to date. becomes: of each class, None for one that is left out."""

    folder: Path
    becomes: dict[str, str | None]
    attributes: tuple[str, ...]
    up_to_date: bool = False


def relabel(
    model: str | Path,
    into: str | Path,
    *,
    map: str | Path | None = None,
    attributes: Sequence[str] | None = None,
    force: bool = False,
) -> Relabelled:
    """Make a model that gives the answers of another one for the classes of a label map.

    Parameters
    ----------
    model
        The folder of a model.
    into
        The folder of the new model, which contains the other.
    map
        The label map, `four`, `six`, `eight` or a file: probabilities of merged classes add up, and those of classes
        that are left out are shared out over the others. Without it classes stay.
    attributes
        Those to keep, in their new order; without it all.
    force
        Make again what is up to date.

    Returns
    -------
    Relabelled
        What each class became.

    Raises
    ------
    SertkError
        LabelError for a class that the map does not name or where fewer than two remain; CheckpointError for a folder
        that is no model and an attribute that it does not have; OutputError.
    """
    out, folder = Path(into), Path(model)
    refuse_collisions([out], [folder])
    refuse_foreign(out, VERB)
    refuse_additions(out)
    source = Checkpoint.load(folder)
    kept = list(source.attribute_names if attributes is None else attributes)
    for name in kept:
        if name not in source.attribute_names:
            hint = did_you_mean(name, source.attribute_names)
            known = ", ".join(source.attribute_names) or "none"
            raise CheckpointError(f"{folder}: has no attribute {name!r}. {hint}It has: {known}")
    labels, becomes = _becomes(source, None if map is None else read_label_map(map))
    made = provenance(str(folder), None if map is None else str(map), kept)
    result = Relabelled(out, becomes, tuple(kept))
    if not force and is_current(out, made):
        return Relabelled(out, becomes, tuple(kept), up_to_date=True)
    if empty := [name for name in labels.names if name not in becomes.values()]:
        message = f"no class of {folder} becomes {', '.join(empty)}: their probability is 0"
        warnings.warn(message, SertkWarning, stacklevel=2)
    with sole_writer(out):
        _checkpoint(source, out.name, labels, becomes, kept).save(out, {NAME: folder}, made=made)
    return result


def provenance(model: str, map: str | None, attributes: Sequence[str]) -> Provenance:
    """Plan `sertk relabel`."""
    digest = read_label_map(map).digest if map else ""
    parts = {"revision": str(REVISION), "model": Checkpoint.load(Path(model)).fingerprint, "map": digest}
    parts |= options_as_parts("attributes", list(attributes)) | component_parts([("fusion", "relabelled")])
    path = from_here(map_path(map)) if map and Path(map).is_file() else map
    call = {"model": from_here(Path(model)), "map": path, "attributes": list(attributes)}
    return Provenance(VERB, parts, call, [from_here(Path(model))])


def _becomes(source: Checkpoint, label_map: LabelMap | None) -> tuple[LabelSet, dict[str, str | None]]:
    """The classes there are afterwards, and what each class of the model becomes."""
    if label_map is None or not source.label_set:
        return source.label_set, {name: name for name in source.label_set.names}
    label_map.check(source.label_set)
    becomes = {name: label_map[name] for name in source.label_set.names}
    if len({name for name in becomes.values() if name}) < 2:
        raise LabelError(f"the label map {label_map.name} leaves fewer than two of {', '.join(becomes)}")
    return label_map.labels, becomes


def _checkpoint(
    source: Checkpoint, name: str, labels: LabelSet, becomes: dict[str, str | None], kept: list[str]
) -> Checkpoint:
    card = source.card
    numbers = [-1 if (label := becomes[each]) is None else labels.index(label) for each in card.labels]
    columns = [source.attribute_names.index(each) for each in kept]
    mass = [sum(p for p, n in zip(card.prior, numbers, strict=True) if n == number) for number in range(len(labels))]
    experiment = Experiment(
        data=source.experiment.data,
        features={NAME: str(source.folder)},
        fusion=Use.model_validate(
            {"use": "relabelled", "becomes": numbers, "classes": len(labels), "attributes": columns}
        ),
        head=Head(kind="identity", attributes=kept),
    )
    spec = EncoderSpec(
        use="checkpoint",
        options={"folder": f"members/{NAME}"},
        fingerprint=source.fingerprint,
        modality="posterior",
        dim=len(card.labels) + len(card.ranges),
        frames_per_second=0.0,
        challenge_legal=card.challenge_legal,
        owner=owner_of("checkpoint"),
    )
    owner = REGISTRIES["fusion"].components()["relabelled"]
    return Checkpoint(
        experiment=experiment,
        card=Card(
            name=name,
            labels=list(labels.names),
            letters=labels.letters,
            ranges={each: card.ranges[each] for each in kept},
            encoders={NAME: spec},
            prior=[each / (sum(mass) or 1.0) for each in mass],
            metrics={},
            data_fingerprint=card.data_fingerprint,
            versions=versions({owner.distribution: owner.version, **plugin_versions(experiment)}),
            text_source=card.text_source,
            notes={"relabelled": card.name, "becomes": becomes, "about": card.notes.get("about", "")},
        ),
        weights={},
        train_ids=source.train_ids,
    )
