"""What the tables of an ablation are made from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sertk.data.manifest import Manifest
from sertk.features.store import FeatureStore
from sertk.files import sha256_file
from sertk.provenance import Provenance, from_here, options_as_parts
from sertk_lab.ablation.cells import Cell, plan_cells
from sertk_lab.ablation.config import FULL, Ablations, load_ablations
from sertk_lab.ablation.systems import folder_of, groups

VERB, REVISION = "ablate", 1
"""The verb, and its revision, raised when its tables change for the same inputs."""
PAGES = ("ablations.md", "ablations.csv")
"""The files that it writes."""


def provenance(config: str, into: str, seeds: int | None) -> Provenance:
    """Plan the tables of `sertk ablate`. Raises SertkError where a model is not there."""
    asked = load_ablations(Path(config))
    asked = asked.model_copy(update={"seeds": seeds}) if seeds else asked
    cells = plan_cells(asked, Path(config).parent, Path(into))
    return provenance_of(asked, cells, Path(config), Path(into), seeds)


def provenance_of(asked: Ablations, cells: Sequence[Cell], config: Path, into: Path, seeds: int | None) -> Provenance:
    """What the tables are made from: what the models say, the labels, and what the file asks for."""
    manifest = Path(cells[0].experiment.data.manifest)
    parts = {"revision": str(REVISION), "manifest": Manifest.read(manifest).fingerprint}
    parts |= options_as_parts("ablations", asked.model_dump(mode="json", exclude_none=True))
    for cell in cells:
        parts[f"model {cell.arm}/{cell.member}/{cell.seed}"] = FeatureStore.open(cell.posteriors).fingerprint
        parts[f"size {cell.arm}/{cell.member}/{cell.seed}"] = f"{cell.steps} steps, {cell.parameters} parameters"
    for file in _predictions(asked, cells, into):
        parts[f"predictions {file.relative_to(into)}"] = sha256_file(file)
    reads = [from_here(manifest), *(from_here(path) for cell in cells for path in (cell.folder, cell.posteriors))]
    call = {"config": from_here(config), "into": from_here(into), "seeds": seeds}
    return Provenance(VERB, parts, call, tuple(reads))


def _predictions(asked: Ablations, cells: Sequence[Cell], into: Path) -> list[Path]:
    """The predictions of all systems that combine members."""
    if asked.ensemble is None:
        return []
    full = [cell for cell in cells if cell.arm == FULL]
    each = [group for n in range(asked.seeds) for group in groups(asked.ensemble, full, n + 1)]
    folders = [folder_of(into, group, system) for group in each for system in asked.ensemble.system]
    return [file for folder in folders for file in sorted((folder / "predictions").glob("*.csv"))]
