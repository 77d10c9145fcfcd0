"""A model whose plugin is not installed names the distribution to install, in every verb that opens it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.plugins  # which write and read the corpus

COMPONENTS = {
    "fusions": """
from sertk.models.fusions.late import Late

def stray_fusion(dims, /, *, width: int = 8):
    "Fuse as a plugin."
    return Late(dims, width=width, layers=1, heads=1, ffn_dim=8)
""",
    "encoders": """
from sertk.encoders.logmel import logmel

def stray_encoder(*, mels: int = 8):
    "Encode as a plugin."
    return logmel(mels=mels, stack=8)
""",
}
EXPERIMENT = """
[data]
manifest = "manifest.jsonl.gz"
[features]
speech = "features/encoder"
[fusion]
use = "stray_fusion"
[[stage]]
name = "full"
epochs = 1
"""


def write_distribution(folder: Path, kind: str) -> Path:
    """A distribution with one component, laid out as pip installs it."""
    name = f"stray_{kind}"
    info = folder / f"{name}-0.3.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{name}.py").write_text(COMPONENTS[kind])
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: stray-{kind}\nVersion: 0.3.0\n")
    (info / "entry_points.txt").write_text(f"[sertk_{kind}]\n{name[:-1]} = {name}:{name[:-1]}\n")
    return folder


def sertk(*words: str, cwd: Path, plugins: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    code = "import sys; from sertk.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, plugins))}
    return subprocess.run(
        [sys.executable, "-c", code, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def place(toy_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that two plugins have made, its features, and a recording."""
    folder = tmp_path_factory.mktemp("missing")
    plugins = tuple(write_distribution(folder / kind, kind) for kind in COMPONENTS)
    (folder / "encoder.toml").write_text('[encoder]\nuse = "stray_encoder"\n')
    (folder / "experiment.toml").write_text(EXPERIMENT)
    for words in (
        ("data", "prepare", "msp_podcast", str(toy_corpus), "--out", "corpus.jsonl.gz"),
        ("data", "split", "corpus.jsonl.gz", "--share", "0.3", "--out", "manifest.jsonl.gz"),
        ("extract", "encoder.toml", "--manifest", "manifest.jsonl.gz", "--into", "features"),
        ("train", "experiment.toml", "--out", "model"),
    ):
        done = sertk(*words, cwd=folder, plugins=plugins)
        assert done.returncode == 0, done.stderr
    (folder / "clip.wav").symlink_to(next((toy_corpus / "Audios").glob("*.wav")))
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "model", "clip.wav"),
        ("predict", "model", "--manifest", "manifest.jsonl.gz", "--split", "development", "--output", "p.csv"),
        ("extract", "model", "--manifest", "manifest.jsonl.gz", "--into", "posteriors"),
    ],
)
def test_a_model_whose_fusion_is_missing_names_the_distribution(words: tuple[str, ...], place: Path) -> None:
    done = sertk(*words, cwd=place, plugins=(place / "encoders",))
    assert done.returncode == 1
    assert "model: There is no fusion 'stray_fusion'" in done.stderr
    assert "It was made with stray-fusions 0.3.0: pip install stray-fusions" in done.stderr
    assert "stray-encoders" not in done.stderr


def test_a_model_whose_encoder_is_missing_names_the_distribution(place: Path) -> None:
    done = sertk("predict", "model", "clip.wav", cwd=place, plugins=(place / "fusions",))
    assert done.returncode == 1
    assert "There is no encoder 'stray_encoder'" in done.stderr
    assert "It was made with stray-encoders 0.3.0: pip install stray-encoders" in done.stderr
