"""A trained model for the pages, and the fresh environments of the tests of plugins."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def load(path: Path, name: str) -> ModuleType:
    """A module by its file."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


environments = load(ROOT / "tests" / "plugins" / "conftest.py", "fresh_environments")
wheels, fresh = environments.wheels, environments.fresh


@pytest.fixture(scope="session")
def generate() -> ModuleType:
    """The hook that writes the reference."""
    return load(ROOT / "docs" / "generate.py", "docs_generate")


@pytest.fixture(scope="session")
def trained(toy_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with the classes of MSP-Podcast that hears and reads, trained for one epoch on the toy corpus."""
    import torch
    from sertk_msp_podcast.read import read_msp_podcast

    from sertk import registry
    from sertk.config.build import build
    from sertk.config.files import load_experiment
    from sertk.config.schema import Use
    from sertk.data.recording import Recording
    from sertk.data.splits import hold_out
    from sertk.experiment import run
    from sertk.features.extract import Target, extract, store_card

    folder = tmp_path_factory.mktemp("trained")
    manifest, _ = read_msp_podcast(toy_corpus, allow_partial=True)
    manifest = hold_out(manifest, "train", into="held_out", share=0.3)
    manifest.with_utterances(manifest.located()).write(folder / "manifest.jsonl.gz")
    targets = []
    options: dict[str, int]
    for name, options in (("logmel", {"mels": 12, "stack": 10}), ("hashed_text", {"dim": 8})):
        encoder = build(registry.encoders, Use.model_validate({"use": name, **options}))
        targets.append(Target(folder / "features" / name, store_card(name, options, encoder), encoder))
    recordings = [Recording(one) for one in manifest.located() if one.split in ("train", "held_out")]
    extract(targets, recordings, device=torch.device("cpu"))
    (folder / "experiment.toml").write_text(
        f"""
        [data]
        manifest = "{folder}/manifest.jsonl.gz"
        [features]
        speech = "{folder}/features/logmel"
        text = "{folder}/features/hashed_text"
        [fusion]
        use = "concat"
        [head]
        attributes = ["arousal", "valence", "dominance"]
        [[stage]]
        name = "full"
        epochs = 1
        optimizer = {{ lr = 1e-3 }}
        """
    )
    run(load_experiment(folder / "experiment.toml"), folder / "soup", device=torch.device("cpu"))
    return folder / "soup"
