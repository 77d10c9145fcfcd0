"""What a report is made from: the planner of `report`."""

from __future__ import annotations

from pathlib import Path

from sertk.data.manifest import Manifest
from sertk.data.provenance import recordings_digest
from sertk.files import sha256_file, sha256_json
from sertk.provenance import Provenance, from_here, options_as_parts
from sertk.reports.gather import find_sources, is_labelled, read_model

REPORT = 2
"""The revision of the verb: it is raised when its output changes for the same inputs."""


def report_provenance(exp: str, manifest: str | None, clips: int, draws: int, seed: int) -> Provenance:
    """Plan `sertk report`: predictions, the manifest, and of models what the page shows."""
    sources = find_sources(Path(exp), manifest=None if manifest is None else Path(manifest))
    corpus = Manifest.read(sources.manifest)
    options = {"clips": clips, "draws": draws, "seed": seed}
    parts = {"revision": str(REPORT), "manifest": corpus.fingerprint, **options_as_parts("options", options)}
    for split, files in sources.predictions.items():
        parts |= {f"predictions {split} {system}": sha256_file(path) for system, path in files.items()}
        if clips and is_labelled(utterances := corpus.split(split)):
            parts[f"recordings {split}"] = recordings_digest(corpus.with_utterances(utterances))
    for number, (name, folder) in enumerate(sources.models.items()):
        model = read_model(name, folder)
        history = [{key: value for key, value in row.items() if key != "seconds"} for row in model.history]
        shown = [model.config, model.card.get("encoders"), model.card.get("weights_sha256"), history]
        parts[f"model {name}"] = sha256_json([*shown, None if number else model.card.get("versions")])
    tables = [path for systems in sources.predictions.values() for path in systems.values()]
    reads = tuple(from_here(path) for path in (sources.manifest, *tables, *sources.models.values()))
    call = {"exp": from_here(Path(exp)), "manifest": None if manifest is None else from_here(Path(manifest))}
    return Provenance("report", parts, call | options, reads)
