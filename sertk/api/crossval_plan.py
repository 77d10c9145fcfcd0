"""What a cross-validation is made from: its folds, its files, and the key of its results."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from sertk.api.folds import CombinationOf, overrides
from sertk.config.components import components_of
from sertk.config.files import filled, load_combination, load_experiment
from sertk.config.schema import Combination, Experiment
from sertk.data.folds import Division, Folds, divide
from sertk.data.manifest import Manifest
from sertk.ensemble.pool import pool_provenance
from sertk.errors import UsageError
from sertk.experiment import REVISION as TRAINING
from sertk.experiment import SOLVER_REVISION
from sertk.features.store import FeatureStore
from sertk.files import sha256_json
from sertk.inputs import read_valid
from sertk.models.classifier import INFERENCE
from sertk.preflight.find import load_sound
from sertk.provenance import Provenance, from_here, options_as_parts
from sertk.revisions import component_parts

VERB = "crossval"
REVISION = 1
"""Of cross-validation itself: raised whenever the same inputs give other folds or other pooled predictions."""


def provenance(*, predictions: Mapping[str, str] | None = None, **asked: Any) -> Provenance:
    """What `crossval` would give. predictions: the file of each fold, for pooled predictions alone."""
    if predictions is not None:
        return pool_provenance(VERB, {name: Path(path) for name, path in predictions.items()})
    asked |= {"configs": [Path(path) for path in asked["configs"]], "manifest": Path(asked["manifest"])}
    asked["combinations"] = [CombinationOf.parse(word) for word in asked["combinations"]]
    return Asked(**asked).plan()[1]


@dataclass(frozen=True)
class Asked:
    """The arguments of `crossval` that results depend on."""

    configs: Sequence[Path]
    manifest: Path
    combinations: Sequence[CombinationOf]
    folds: Folds
    dev: float | Literal["next"]
    splits: Sequence[str]
    by_recording: bool
    sets: Sequence[str] = field(default=())
    only: Sequence[str] = field(default=())

    def plan(self) -> tuple[Division, Provenance, list[Path]]:
        """The folds, what results are made from, and the feature stores. Raises SertkError."""
        self._check_names()
        corpus = read_valid(self.manifest)
        division = divide(corpus, self.folds, splits=tuple(self.splits), by_recording=self.by_recording)
        names = division.chosen(self.only)
        ids = [utterance.id for utterance in corpus]
        rows = [{**asdict(utterance), "audio": ""} for utterance in division.manifest]
        head = [corpus.corpus, corpus.note, corpus.labels.names, corpus.labels.letters, dict(corpus.ranges)]
        parts = {
            "revision": f"{REVISION} {TRAINING} {SOLVER_REVISION}",
            "inference": INFERENCE,
            "manifest": sha256_json([head, rows]),
            "dev": str(self.dev),
            "systems": sha256_json([[one.name, one.members] for one in self.combinations]),
        }
        if len(names) < len(division.names):
            parts["only"] = json.dumps(names)
        stores: list[Path] = []
        for path in self.configs:
            experiment = load_experiment(path, [*self.sets, *overrides(self.manifest)])
            parts |= _parts(f"member.{path.stem}", experiment)
            for name, folder in experiment.features.items():
                stores.append(Path(folder))
                parts[f"member.{path.stem}.features.{name}"] = FeatureStore.open(Path(folder)).fingerprint_of(ids)
        for one in self.combinations:
            combination = load_combination(one.config, overrides(self.manifest))
            parts |= _parts(f"combination.{one.name}", combination)
        call = {
            "configs": [from_here(path) for path in self.configs],
            "manifest": from_here(self.manifest),
            "combinations": [str(replace(one, config=Path(from_here(one.config)))) for one in self.combinations],
            "folds": self.folds,
            "dev": self.dev,
            "splits": [*self.splits],
            "by_recording": self.by_recording,
            "sets": [*self.sets],
            "only": [*self.only],
        }
        reads = [from_here(path) for path in dict.fromkeys([self.manifest, *stores])]
        return division, Provenance(VERB, parts, call, reads), stores

    def check(self, corpus: Manifest) -> None:
        """Try all files on the corpus as one fold has it. Raises ConfigError with all faults of a file."""
        data = overrides(self.manifest)
        for path in self.configs:
            load_sound(load_experiment, path, [*self.sets, *data], corpus=corpus)
        for one in self.combinations:
            load_sound(load_combination, one.config, data, corpus=corpus)

    def _check_names(self) -> None:
        if not self.configs:
            raise UsageError("there is no member: give experiment files")
        names = [*(path.stem for path in self.configs), *(one.name for one in self.combinations)]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(
                    f"two systems are called {name!r}, by which their results are kept: rename an experiment file, "
                    f"or give --combine NAME=FILE"
                )
        for number, one in enumerate(self.combinations):
            earlier = [other.name for other in self.combinations[:number]]
            for pattern in one.members:
                if not (fnmatch.filter(names, pattern) or any(pattern.startswith(name) for name in earlier)):
                    raise UsageError(
                        f"--combine {one}: no system is called {pattern!r}; there are {', '.join(names)}"
                    )
        if self.dev != "next" and not 0 < float(self.dev) < 1:
            raise UsageError(f"the held-out part is `next` or a share between 0 and 1, got {self.dev!r}")


def _parts(name: str, section: Experiment | Combination) -> dict[str, str]:
    """Options and component versions of a file, as parts of a key."""
    whole = filled(section)
    options = whole.model_dump(mode="json", exclude_none=True)
    del options["data"]["manifest"]
    options.pop("compute", None)
    options |= {"features": [*options["features"]]} if "features" in options else {}
    return options_as_parts(name, options) | {
        f"{name}.{part}": version for part, version in component_parts(components_of(whole)).items()
    }
