"""The parts of the recipe that a test run has time for; the corpus itself is read where SERTK_CREMAD names it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sertk_lab.ablation.config import load_ablations

from sertk import registry
from sertk.config.files import load_combination, load_encoder_file, load_experiment
from sertk.features.store import FeatureStore
from sertk.recipes.stages import read_stages

RECIPES = Path(__file__).parents[2] / "recipes"
RECIPE = RECIPES / "crema_d"
NEEDED = {"deepser", "opensmile", "manifold_mixup", "balanced", "meta_classifier", "soup"}
HAVE = {name for kind in (registry.fusions, registry.encoders, registry.regularizers) for name in kind.names()}
HAVE |= {name for kind in (registry.samplers, registry.aggregators) for name in kind.names()}

needs_plugins = pytest.mark.skipif(not NEEDED <= HAVE, reason=f"needs the plugins with {NEEDED - HAVE}")


@needs_plugins
def test_all_configurations_of_the_recipes_are_sound_and_read_features_that_are_extracted() -> None:
    for conf in (recipe / "conf" / preset for recipe in (RECIPE, RECIPES / "emodb") for preset in ("", "small")):
        encoders = {path.stem for path in (conf / "encoders").glob("*.toml")}
        assert encoders
        for path in sorted((conf / "encoders").glob("*.toml")):
            load_encoder_file(path)
        for path in [*(conf / "members").glob("*.toml"), *(conf / "gpu").glob("*.toml")]:
            experiment = load_experiment(path)
            assert {Path(folder).name for folder in experiment.features.values()} <= encoders
            assert set(experiment.standardise) == set(experiment.features), "scales are unlike each other"
            assert ("by_speaker" in path.stem) == (experiment.standardise_by == "speaker")
        for path in conf.glob("*vote.toml"):
            load_combination(path)
    for preset, ablations in (("", "ablations"), ("small", "")):
        members = [load_experiment(path) for path in sorted((RECIPE / "conf" / preset / "members").glob("*.toml"))]
        trained = [member for member in members if member.stage[0].solver is None]
        assert len({member.seed for member in trained}) == len(trained) >= 3
        assert load_ablations(RECIPE / "conf" / preset / ablations / "ablations.toml").seeds >= 3


def test_the_scripts_declare_their_stages_and_say_what_is_missing() -> None:
    assert [stage.name for stage in read_stages(RECIPE / "run.sh")] == ["prepare", "extract", "crossval", "report"]
    environment = {name: value for name, value in os.environ.items() if name not in ("CREMA_D", "EMODB")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    for recipe, variable in ((RECIPE, "CREMA_D"), (RECIPES / "emodb", "EMODB")):
        done = subprocess.run(
            ["bash", str(recipe / "run.sh")], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "--corpus FOLDER" in done.stderr
        assert variable in done.stderr


@needs_plugins
@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("SERTK_CREMAD"), reason="needs the corpus: set SERTK_CREMAD to its folder")
def test_real_clips_go_through_prepare_and_extract_and_the_silent_one_is_listed(tmp_path: Path) -> None:
    corpus = Path(os.environ["SERTK_CREMAD"]).absolute()
    with open(corpus / "metadata.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["clip"][:4] in ("1001", "1076") and "MTI" in row["clip"]]
    part = tmp_path / "part"
    part.mkdir()
    (part / "audio").symlink_to(corpus / "audio")
    with open(part / "metadata.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    sertk = [str(Path(sys.executable).with_name("sertk"))]
    manifest = tmp_path / "manifest.jsonl.gz"
    encoders = [RECIPE / "conf" / "encoders" / f"{name}.toml" for name in ("logmel", "egemaps", "egemaps_lld")]
    for words in (
        ["data", "prepare", "crema_d", part, "--allow-partial", "--fold", 5, "--out", manifest],
        ["extract", *encoders, "--manifest", manifest, "--into", tmp_path / "features", "--device", "cpu"],
    ):
        done = subprocess.run([*sertk, *map(str, words)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    for name, dim in (("logmel", 640), ("egemaps", 88), ("egemaps_lld", 250)):
        store = FeatureStore.open(tmp_path / "features" / name)
        assert (store.dim, len(store)) == (dim, len(rows) - 1)
        assert "1076_MTI_SAD_XX" in (tmp_path / "features" / name / "report.jsonl").read_text()
