"""What is wrong with a combination on a corpus: with the part it fits on, its aggregator, and what that names."""

from __future__ import annotations

from sertk import registry
from sertk.config.build import build
from sertk.config.check import kind_at, place_of, uses
from sertk.config.options import options_model
from sertk.config.schema import Combination
from sertk.data.manifest import Manifest
from sertk.data.targets import label_table
from sertk.errors import DataError, Fault
from sertk.preflight.complaints import complaints
from sertk.preflight.components import loss_faults, sampler_faults


def combination_faults(combination: Combination, manifest: Manifest, *, made_up: bool = False) -> list[Fault]:
    """All faults of a combination on a corpus. made_up: the corpus is, so what is wrong with its labels is none."""
    use, data = combination.aggregator, combination.data
    faults = complaints("aggregator", use, lambda: build(registry.aggregators, use), made_up=made_up)
    try:
        utterances = manifest.split(combination.fit)
        table, without = label_table(
            utterances,
            manifest.labels,
            manifest.ranges,
            attributes=tuple(manifest.ranges),
            targets=data.targets,
            other=data.other,
        )
    except DataError as error:
        return [*faults, Fault("fit", str(error))]
    if not len(table):
        return [*faults, Fault("fit", f"none of its {len(without)} utterances has a {data.targets} target.")]
    written = combination.model_dump(mode="json")
    model = options_model(registry.aggregators.get(use.use))
    for location, use_model, entry in uses(model, written["aggregator"], ("aggregator",)):
        inner, place = use_model.model_validate(entry), place_of(written, location)
        if kind_at(location) == "sampler":
            faults += sampler_faults(place, inner, table, made_up=made_up)
        elif kind_at(location) == "loss":
            faults += loss_faults(place, inner, table, made_up=made_up)
    return faults
