"""`combine`: members in, one checkpoint (or one a seed) out, which is used, judged and combined like any other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sertk import registry
from sertk.cards import Card, EncoderSpec, plugin_versions, versions
from sertk.checkpoint import Checkpoint
from sertk.config.build import build
from sertk.config.components import components_of
from sertk.config.files import filled, load_combination
from sertk.config.schema import Combination, Experiment
from sertk.contracts import Combined
from sertk.data.copies import with_origins
from sertk.data.manifest import Manifest
from sertk.devices import choose_device
from sertk.ensemble.aggregators import NOTHING
from sertk.ensemble.folds import fold_models
from sertk.ensemble.members import Member, member_parts, refuse_stale_member
from sertk.ensemble.results import VERB, check_output
from sertk.ensemble.stack import Stacked, build_stack, label_parts
from sertk.errors import EnsembleError
from sertk.files import atomic_folder
from sertk.inputs import located, read_valid
from sertk.locks import sole_writer
from sertk.models.classifier import INFERENCE
from sertk.provenance import Provenance, from_here, options_as_parts
from sertk.revisions import component_parts

LISTED = 20
"""Utterances left out that a card names; it counts all."""


REVISION = 1
"""Of combining itself, aggregators aside: raised whenever the same inputs give another model."""


def provenance(
    *,
    members: Mapping[str, str],
    out_of_fold: Mapping[str, str] | None = None,
    config: str = "",
    sets: Sequence[str] = (),
    combination: Mapping[str, Any] | None = None,
) -> Provenance:
    """What `combine` would make models from.

    members, out_of_fold: paths by name. config, sets: a combination file and what overrides it; or the combination
    itself. Cheap: no posteriors are inferred. Raises SertkError for what cannot be read.
    """
    paths, folds = ({name: Path(path) for name, path in each.items()} for each in (members, out_of_fold or {}))
    if combination is not None:
        return provenance_of(Combination.model_validate(combination), paths, folds)
    call = {"config": from_here(Path(config)), "sets": list(sets)}
    return provenance_of(load_combination(Path(config), sets), paths, folds, call)


def provenance_of(
    combination: Combination,
    members: Mapping[str, Path],
    folds: Mapping[str, Path],
    call: Mapping[str, Any] | None = None,
) -> Provenance:
    """What a combination is made from. call: what names it for `provenance`, by default the combination itself.

    Raises StoreError for posteriors, or features of a member, that are of other content than the manifest has now.
    """
    manifest = read_valid(Path(combination.data.manifest))
    whole = filled(combination)
    options = whole.model_dump(mode="json", exclude_none=True)
    del options["data"]["manifest"]
    utterances = located(manifest, manifest.split(combination.fit))
    ids = [utterance.id for utterance in utterances]
    parts = {"revision": str(REVISION), "inference": INFERENCE, "members": json.dumps([*members])}
    parts |= options_as_parts("combination", options) | component_parts(components_of(whole))
    parts |= label_parts(combination, manifest, members)
    read = {f"member.{name}": path for name, path in members.items()}
    for name, folder in folds.items():
        models = fold_models(folder, name)
        read |= {f"folds.{name}.{fold.predictions.parents[1].name}": fold.predictions for fold in models}
    for name, path in read.items():
        refuse_stale_member(path, utterances)
        parts |= member_parts(name, path, ids)
    places = {"members": {name: from_here(path) for name, path in members.items()}}
    places |= {"out_of_fold": {name: from_here(path) for name, path in folds.items()}}
    named = {"combination": combination.model_dump(mode="json")} if call is None else call
    reads = [Path(combination.data.manifest), *members.values(), *folds.values()]
    return Provenance(VERB, parts, {**named, **places}, [from_here(path) for path in reads])


def combine(
    combination: Combination,
    members: Mapping[str, Path],
    out: Path,
    *,
    out_of_fold: Mapping[str, Path] | None = None,
    device: torch.device | None = None,
    call: Mapping[str, Any] | None = None,
) -> dict[str, Checkpoint]:
    """Combine members into one checkpoint at `out`, or into several at `out/NAME`; give them as saved, by name ("").

    members: by name, stores of a checkpoint's posteriors, checkpoints, or predictions files of any system. They are
    joined by id on the split `combination.fit`; utterances that cannot be used are left out and counted on the card.
    out_of_fold: by member, a cross-validation of it, whose posteriors are fitted on in place of the member's own.
    call: see `provenance_of`. All is written or nothing. Raises EnsembleError for members that cannot be combined,
    OutputError for an `out` that holds something else, BusyError where another process combines into `out`; other
    SertkErrors for what cannot be read.
    """
    folds = dict(out_of_fold or {})
    if not members:
        raise EnsembleError("there is no member to combine")
    for name in folds.keys() - members.keys():
        raise EnsembleError(f"out-of-fold posteriors are given for {name!r}; members: {', '.join(members)}")
    check_output(out, [Path(combination.data.manifest), *members.values(), *folds.values()])
    with sole_writer(out):
        made = provenance_of(combination, members, folds, call)
        return _combine(combination, members, out, folds, device or choose_device(), made)


def _combine(
    combination: Combination,
    members: Mapping[str, Path],
    out: Path,
    folds: Mapping[str, Path],
    device: torch.device,
    made: Provenance,
) -> dict[str, Checkpoint]:
    manifest = read_valid(Path(combination.data.manifest))
    stacked = build_stack(combination, manifest, members, folds, device)
    found: dict[str, Combined] = build(registry.aggregators, combination.aggregator)(stacked.stack)
    if not found or ("" in found and len(found) > 1):
        raise EnsembleError(f"{combination.aggregator.use!r} made models named {[*found]}: one named '' or several")
    for name, combined in found.items():
        for key, value in combined.weights.items():
            if not value.isfinite().all():
                raise EnsembleError(
                    f"weights by {combination.aggregator.use!r} are not finite ({key!r} of {name or out.name}); "
                    f"is one of {len(members)} members of no use at all? Score their predictions"
                )
    models = {
        name: _checkpoint(combined, name or out.name, combination, manifest, stacked, bool(folds), [*found])
        for name, combined in found.items()
    }
    inner = {name: _member_folders(combined, stacked.members) for name, combined in found.items()}
    if "" in models:
        return {"": models[""].save(out, inner[""], made=made)}
    with atomic_folder(out) as temporary:
        saved = {
            name: model.save(temporary / name, inner[name], made=made, place=out / name)
            for name, model in models.items()
        }
    return {name: replace(model, folder=out / name) for name, model in saved.items()}


def _checkpoint(
    combined: Combined,
    name: str,
    combination: Combination,
    manifest: Manifest,
    stacked: Stacked,
    folded: bool,
    models: list[str],
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
    if guidance := combination.guidance.model_dump(exclude_none=True):
        notes["guidance"] = guidance
    if models != [""]:
        notes["models"] = models
    foreign = [member.name for member in members if member.checkpoint is None]
    if foreign:
        notes["from_elsewhere"] = (
            f"{', '.join(foreign)}: only their predictions are known, so audio cannot be predicted"
        )
    texts = {m.checkpoint.card.text_source for m in members if m.checkpoint and m.checkpoint.card.text_source}
    fitted = frozenset() if combined.notes.get("fit_on") == NOTHING else with_origins(manifest, table.ids)
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
            raise EnsembleError(f"{members[0].path} is a predictions file: a model needs inputs to read")
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
