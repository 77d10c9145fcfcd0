"""What timelines are made from: the planner of `timeline`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sertk.config.build import build, checked_options
from sertk.config.schema import Use
from sertk.contracts import Segmenter
from sertk.data.find import find_files
from sertk.digests import file_digests
from sertk.encoders.reads import model_parts
from sertk.escapes import escaped
from sertk.files import sha256_json
from sertk.inference.over_time import Rules
from sertk.models.classifier import INFERENCE
from sertk.provenance import Provenance, from_here, options_as_parts
from sertk.registry import segmenters
from sertk.revisions import component_parts

VERB = "timeline"
REVISION = 1
"""Of timelines themselves: raised whenever a model of the same fingerprint gives other ones of the same input."""


def plan(
    model: Path, segmenter: Use, rules: Rules, formats: Sequence[str]
) -> Callable[[Iterable[Path]], dict[Path, Provenance]]:
    """What decides a timeline beside its recording, worked out once; gives the provenance of many recordings.

    Raises SertkError for a model or a segmenter that cannot be used.
    """
    options = dict(checked_options(segmenters, segmenter))
    component: Segmenter = build(segmenters, segmenter)
    files_of: Callable[[Path], Sequence[Path]] = getattr(component, "files", lambda path: ())
    unkeyed = getattr(component, "unkeyed", ())
    shared = {"revision": str(REVISION), "inference": INFERENCE, **model_parts("model", model, None)}
    shared |= component_parts([("segmenter", segmenter.use)])
    keyed = {name: value for name, value in options.items() if name not in unkeyed}
    shared |= options_as_parts(f"segmenter.{segmenter.use}", keyed)
    shared |= options_as_parts("rules", vars(rules)) | {"formats": ", ".join(sorted(formats))}
    call: dict[str, Any] = {"model": from_here(model), "formats": [*formats], "segmenter": segmenter.model_dump()}
    call["rules"] = dict(vars(rules))

    def of(recordings: Iterable[Path]) -> dict[Path, Provenance]:
        paths = [*recordings]
        beside = {path: [*files_of(path)] for path in paths}
        content = file_digests([*paths, *(file for files in beside.values() for file in files)])
        return {
            path: Provenance(
                VERB,
                {
                    **shared,
                    "recording": str(content[path]),
                    "beside": sha256_json([content[file] for file in beside[path]]),
                },
                call | {"recording": escaped(from_here(path))},
                [from_here(model)],
            )
            for path in paths
        }

    return of


def provenance(
    *, model: str, recording: str, segmenter: Mapping[str, Any], rules: Mapping[str, float], formats: Sequence[str]
) -> Provenance:
    """What the timeline of a recording would be made from now. Raises SertkError for what cannot be read."""
    (path,), _ = find_files([Path(recording)])
    return plan(Path(model), Use.model_validate(segmenter), Rules(**rules), formats)([path])[path]
