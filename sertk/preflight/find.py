"""All that is wrong with a configuration beyond its schema, on made-up data or on the labels of a manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sertk import registry
from sertk.config.build import build
from sertk.config.schema import Combination, EncoderFile, Experiment, Section
from sertk.data.manifest import Manifest
from sertk.errors import ConfigError, DataError, Fault
from sertk.hub import without_weights
from sertk.preflight.combination import combination_faults
from sertk.preflight.complaints import alike, complaints
from sertk.preflight.experiment import experiment_faults, splits_of
from sertk.preflight.made_up import made_up_manifests

File = TypeVar("File", bound=Section)


def load_sound(
    load: Callable[[Path, Sequence[str]], File],
    path: Path,
    sets: Sequence[str] = (),
    *,
    corpus: Manifest | None = None,
) -> File:
    """Read a file, build its components and try them. Raises ConfigError with all faults, naming the file.

    corpus: what the file asks for is looked for in it; without one, components are tried on made-up data.
    """
    section = load(path, sets)
    faults = [*component_faults(section), *(corpus_faults(section, corpus) if corpus else [])]
    if faults:
        raise ConfigError(str(path), list(dict.fromkeys(faults)))
    return section


def component_faults(section: Section) -> list[Fault]:
    """What the components of a file complain of whatever the data: they are built and tried on made-up data."""
    if isinstance(section, EncoderFile):
        with without_weights():
            return complaints("encoder", section.encoder, lambda: build(registry.encoders, section.encoder))
    if isinstance(section, Experiment):
        manifests = made_up_manifests(splits_of(section), section.head.attributes)
        return alike(lambda manifest: experiment_faults(section, manifest, made_up=True), manifests)
    if isinstance(section, Combination):
        manifests = made_up_manifests([section.fit], ["arousal"])
        return alike(lambda manifest: combination_faults(section, manifest, made_up=True), manifests)
    return []


def corpus_faults(section: Section, manifest: Manifest) -> list[Fault]:
    """What a file asks of a corpus that its manifest does not have, and what components say of its labels."""
    if isinstance(section, Experiment):
        return experiment_faults(section, manifest)
    return combination_faults(section, manifest) if isinstance(section, Combination) else []


def split_faults(manifest: Manifest, splits: Sequence[str]) -> list[Fault]:
    """A fault for each split that has no utterance."""
    faults = []
    for split in splits:
        try:
            manifest.split(split)
        except DataError as error:
            faults.append(Fault(f"split {split}", str(error)))
    return faults
