"""`combine`: members in, one checkpoint (or one a seed) out, which is used, judged and combined like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from sertk import registry
from sertk.cards import Card, EncoderSpec, plugin_versions, read_card, versions
from sertk.checkpoint import Checkpoint, is_checkpoint
from sertk.config.build import build
from sertk.config.schema import Combination, Experiment
from sertk.contracts import Combined
from sertk.data.manifest import Manifest
from sertk.devices import choose_device
from sertk.ensemble.aggregators import NOTHING
from sertk.ensemble.folds import fold_folders
from sertk.ensemble.members import Member, member_fingerprint
from sertk.ensemble.stack import Stacked, build_stack
from sertk.errors import EnsembleError
from sertk.files import atomic_folder, damaged, sha256_file, sha256_json
from sertk.inputs import read_valid
from sertk.locks import sole_writer

LISTED = 20
"""Utterances left out that a card names; it counts all."""


def combine(
    combination: Combination,
    members: Mapping[str, Path],
    out: Path,
    *,
    out_of_fold: Mapping[str, Path] | None = None,
    device: torch.device | None = None,
) -> dict[str, Checkpoint]:
    """Combine members into one checkpoint at `out`, or into several at `out/NAME`; give them as saved, by name ("").

    members: by name, stores of a checkpoint's posteriors, checkpoints, or predictions files of any system. They are
    joined by id on the split `combination.fit`; utterances that cannot be used are left out and counted on the card.
    out_of_fold: by member, a folder of stores `fold-*`, whose rows stand in for the member's own while fitting.
    All is written or nothing. Raises EnsembleError for members that cannot be combined and for an `out` that holds
    something else, BusyError where another process combines into `out`; other SertkErrors for what cannot be read.
    """
    with sole_writer(out):
        return _combine(combination, members, out, dict(out_of_fold or {}), device or choose_device())


def _combine(
    combination: Combination, members: Mapping[str, Path], out: Path, folds: Mapping[str, Path], device: torch.device
) -> dict[str, Checkpoint]:
    _check_arguments(members, folds, out)
    fingerprint = inputs_fingerprint(combination, members, folds)
    manifest = read_valid(Path(combination.data.manifest))
    stacked = build_stack(combination, manifest, members, folds, device)
    made: dict[str, Combined] = build(registry.aggregators, combination.aggregator)(stacked.stack)
    if not made or ("" in made and len(made) > 1):
        raise EnsembleError(f"{combination.aggregator.use!r} made models named {list(made)}: one named '' or several")
    models = {
        name: _checkpoint(combined, name or out.name, combination, manifest, stacked, bool(folds), fingerprint)
        for name, combined in made.items()
    }
    inner = {name: _member_folders(combined, stacked.members) for name, combined in made.items()}
    if "" in models:
        return {"": models[""].save(out, inner[""])}
    with atomic_folder(out) as temporary:
        saved = {name: model.save(temporary / name, inner[name]) for name, model in models.items()}
    return {name: replace(model, folder=out / name) for name, model in saved.items()}


def inputs_fingerprint(combination: Combination, members: Mapping[str, Path], folds: Mapping[str, Path]) -> str:
    """Changes with whatever decides the result, where files lie aside. Cheap: no posteriors are inferred."""
    data = combination.model_dump(mode="json")
    del data["data"]["manifest"]
    component = registry.aggregators.components().get(combination.aggregator.use)
    return sha256_json(
        {
            "combination": data,
            "aggregator": component.owner if component else "",
            "manifest": sha256_file(Path(combination.data.manifest)),
            "members": [[name, member_fingerprint(path)] for name, path in members.items()],
            "folds": {
                name: [member_fingerprint(fold) for fold in fold_folders(path)] for name, path in folds.items()
            },
        }
    )


def is_up_to_date(out: Path, fingerprint: str) -> bool:
    """Whether `out` holds, undamaged, what `combine` would write for inputs of this fingerprint."""
    found = results_in(out)
    return bool(found) and all(not damaged(folder) and read_card(folder).inputs == fingerprint for folder in found)


def results_in(out: Path) -> list[Path]:
    """The checkpoint at `out`, or those right inside it."""
    if is_checkpoint(out):
        return [out]
    return sorted(path for path in out.iterdir() if is_checkpoint(path)) if out.is_dir() else []


def _check_arguments(members: Mapping[str, Path], folds: Mapping[str, Path], out: Path) -> None:
    if not members:
        raise EnsembleError("there is no member to combine")
    for name in folds.keys() - members.keys():
        raise EnsembleError(f"out-of-fold posteriors are given for {name!r}; members: {', '.join(members)}")
    for path in members.values():
        if path.absolute().is_relative_to(out.absolute()):
            raise EnsembleError(f"the member {path} lies in {out}, which would be replaced: choose another output")
    strange = sorted(set(out.iterdir()) - set(results_in(out))) if out.is_dir() and not is_checkpoint(out) else []
    if strange or out.is_file():
        what = ", ".join(path.name for path in strange[:3]) or "a file"
        raise EnsembleError(f"{out} holds something else ({what}) and would be replaced: choose another output")


def _checkpoint(
    combined: Combined,
    name: str,
    combination: Combination,
    manifest: Manifest,
    stacked: Stacked,
    folded: bool,
    fingerprint: str,
) -> Checkpoint:
    stack, members = stacked.stack, stacked.members
    experiment, encoders = _reading(combined, combination, members)
    table = stack.posteriors.table
    notes = {
        "aggregator": combination.aggregator.use,
        "members": [member.name for member in members],
        "split": combination.fit,
        "out_of_fold": folded,
        "utterances": len(table),
        "leaked": len(stack.leaked),
        "left_out": len(stacked.left_out),
        "left_out_ids": [fault.place for fault in stacked.left_out[:LISTED]],
        "corpus": manifest.corpus,
        "about": manifest.note,
        **combined.notes,
    }
    foreign = [member.name for member in members if member.checkpoint is None]
    if foreign:
        notes["from_elsewhere"] = (
            f"{', '.join(foreign)}: known by their predictions alone, so audio cannot be predicted"
        )
    texts = {m.checkpoint.card.text_source for m in members if m.checkpoint and m.checkpoint.card.text_source}
    fitted = frozenset() if combined.notes.get("fit_on") == NOTHING else frozenset(table.ids)
    owner = registry.aggregators.components()[combination.aggregator.use]
    return Checkpoint(
        experiment=experiment,
        card=Card(
            name=name,
            labels=list(table.labels.names),
            letters=table.labels.letters,
            ranges=dict(zip(table.attribute_names, table.ranges, strict=True)),
            encoders=encoders,
            prior=stack.prior.tolist(),
            metrics={},
            data_fingerprint=manifest.fingerprint,
            inputs=fingerprint,
            versions=versions({owner.distribution: owner.version, **plugin_versions(experiment)}),
            text_source=", ".join(sorted(texts)) or None,
            notes=notes,
        ),
        weights={key: tensor.detach().cpu() for key, tensor in combined.weights.items()},
        train_ids=stacked.train_ids | fitted,
    )


def _reading(
    combined: Combined, combination: Combination, members: Sequence[Member]
) -> tuple[Experiment, dict[str, EncoderSpec]]:
    """What the model reads: the members' posteriors, or what the first member itself reads."""
    first = members[0].checkpoint
    if combined.features == "inputs":
        if first is None:
            raise EnsembleError(f"{members[0].path} is a predictions file: it has no inputs that a model could read")
        experiment = first.experiment.model_copy(
            update={"data": combination.data, "fusion": combined.fusion, "head": combined.head, "stage": []}
        )
        return experiment, dict(first.card.encoders)
    experiment = Experiment(
        seed=combination.seed,
        init_seed=combined.notes.get("init_seed", combination.seed),
        data=combination.data,
        features={member.name: str(member.path) for member in members},
        fusion=combined.fusion,
        head=combined.head,
    )
    return experiment, {member.name: member.spec for member in members}


def _member_folders(combined: Combined, members: Sequence[Member]) -> dict[str, Path]:
    """The checkpoints that go into the new one, by the name of the modality that they make."""
    first = members[0].checkpoint
    if combined.features == "members":
        return {m.name: m.checkpoint.folder for m in members if m.checkpoint and m.checkpoint.folder}
    assert first is not None  # _reading has seen to it
    return {name: first.member_folder(name) for name, spec in first.card.encoders.items() if spec.use == "checkpoint"}
