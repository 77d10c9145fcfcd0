"""The presets of the MSP-Podcast recipe: complete, and different exactly where docs/method/medusa.md says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from sertk.cli import main
from sertk.config.files import load_any, load_encoder_file, load_experiment
from sertk.config.trees import Difference, tree_differences
from sertk.models.classifier import Classifier, build_classifier
from sertk.models.size import count_parameters

pytestmark = pytest.mark.plugins
RECIPE = Path(__file__).parents[2] / "recipes/msp_podcast_2025"
CONF = RECIPE / "conf"
DIMS = {"wavlm": 1024, "hubert": 1024, "roberta": 1024, "modernbert": 1024, "whisper": 1280}
"""Widths of the large checkpoints that the paper names."""
MEMBERS = [f"members/{number:02}.toml" for number in range(1, 15)]
ENCODERS = [f"encoders/{name}.toml" for name in sorted(DIMS)]


def rows(found: Sequence[Difference]) -> set[tuple[str, str | None, str | None, tuple[str, ...]]]:
    return {(one.place, one.first, one.second, one.files) for one in found}


def test_authors_code_differs_from_paper_in_the_rows_of_the_tables_and_nowhere_else() -> None:
    texts = ("encoders/modernbert.toml", "encoders/roberta.toml")
    assert rows(tree_differences(CONF, CONF / "authors_code")) == {
        # features
        ("dtype", '"float16"', '"float32"', tuple(ENCODERS)),  # precision
        ("encoder.keep_padding", "false", "true", ("encoders/whisper.toml",)),  # Whisper length
        ("encoder.drop_ends", "0", "1", texts),  # special tokens
        ("compute.precision", '"bfloat16"', '"float32"', tuple(MEMBERS)),  # precision
        # DeepSER
        ("fusion.width", "1024", "512", tuple(MEMBERS)),
        ("fusion.mask_padding", "true", "false", tuple(MEMBERS)),
        # targets, losses, sampling
        ("stage.balanced.optimizer.lr", "1e-05", "1e-06", tuple(MEMBERS)),
        ("stage.balanced.sampler.afresh", "true", "false", tuple(MEMBERS)),
    }


def test_check_diff_shows_how_two_presets_differ(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--diff", str(CONF), str(CONF / "authors_code")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 8
    assert any("(14 files)" in line and "fusion.mask_padding" in line for line in lines)


def test_a_file_that_one_folder_lacks_is_a_difference(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.toml").write_text('[encoder]\nuse = "logmel"\n')
    (tmp_path / "one/b.toml").write_text('[encoder]\nuse = "logmel"\n')
    assert tree_differences(tmp_path / "one", tmp_path / "other") == [
        Difference(("b.toml",), "(file)", "there", None)
    ]


@pytest.mark.parametrize("preset", [".", "authors_code", "plus"])
def test_a_preset_is_complete_and_without_fault(preset: str) -> None:
    folder = CONF / preset
    combinations = ["meta", "prior_corrected", "soft_vote", "soup", "vote"] + ["greedy"] * (preset == "plus")
    wanted = [*MEMBERS, *ENCODERS, *(f"{name}.toml" for name in combinations)]
    for name in wanted:
        load_any(folder / name)
    assert (folder / "settings.sh").is_file()
    for name in MEMBERS:  # every store that a member reads is one that the preset extracts
        read = load_experiment(folder / name).features
        assert {Path(store).name for store in read.values()} <= {Path(encoder).stem for encoder in ENCODERS}


@pytest.mark.parametrize(
    ("preset", "member", "millions"),
    [(".", "05", 78.8), (".", "14", 99.0), ("authors_code", "05", 28.6), ("authors_code", "14", 36.1)],
)
def test_members_have_the_parameters_of_the_paper(preset: str, member: str, millions: float) -> None:
    assert round(count_parameters(build(CONF / preset / f"members/{member}.toml")) / 1e6, 1) == millions


def test_plus_mixes_as_many_layers_as_its_stores_hold() -> None:
    layers = {"wavlm": 25, "hubert": 25, "roberta": 25, "modernbert": 29, "whisper": 33}
    for name in MEMBERS:
        experiment = load_experiment(CONF / "plus" / name)
        assert experiment.fusion.options["input_layers"] == {of: layers[of] for of in experiment.features}
        with torch.device("meta"):
            build(CONF / "plus" / name, **{of: layers[of] * DIMS[of] for of in experiment.features})
    assert all(load_encoder_file(CONF / "plus" / name).encoder.options["layers"] == "all" for name in ENCODERS)


def build(path: Path, **dims: int) -> Classifier:
    experiment = load_experiment(path)
    with torch.device("meta"):
        return build_classifier(
            experiment.fusion,
            experiment.head,
            dims={name: (DIMS | dims)[name] for name in experiment.features},
            classes=8,
            ranges=[(1.0, 7.0)] * 3,
            seed=experiment.init_seed,
        )
