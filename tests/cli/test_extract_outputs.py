"""`sertk extract` makes its own stores again and replaces nothing else: onto foreign folders, and beside its own."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sertk.cli import main
from sertk.data.manifest import Manifest
from sertk.features.card import read_card
from sertk.features.store import FeatureStore
from sertk.provenance import Provenance, write_record
from sertk.testing.tiny import write_tiny_corpus

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def model(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model."""
    out = tmp_path_factory.mktemp("trained") / "words"
    short = ["--set", "stage.full.epochs=1", "--set", "stage.second.epochs=1", "--device", "cpu"]
    assert main(["train", str(tiny_store / "experiment.toml"), "--out", str(out), *short]) == 0
    return out


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a manifest and an encoder file, to work in."""
    folder = tmp_path / "site"
    write_tiny_corpus(folder / "corpus", seed=1)
    Manifest.read(folder / "corpus" / "manifest.jsonl.gz").write(folder / "m.jsonl")
    (folder / "words.toml").write_text('[encoder]\nuse = "hashed_text"\ndim = 8\n')
    monkeypatch.chdir(folder)
    return folder


def extract(*encoders: str, into: str = "features", manifest: str = "m.jsonl", more: str = "") -> int:
    return main(["extract", *encoders, "--manifest", manifest, "--into", into, "--device", "cpu", *more.split()])


def contents(folder: Path) -> dict[str, object]:
    def content(path: Path) -> object:
        return path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None

    return {str(path.relative_to(folder)): content(path) for path in folder.rglob("*")}


def text_file(out: Path, model: Path) -> None:
    out.write_text("mine")


def folder_of_recordings(out: Path, model: Path) -> None:
    out.mkdir()
    (out / "shard-00000.wav").write_bytes(b"RIFF")


def trained_model(out: Path, model: Path) -> None:
    shutil.copytree(model, out)


def folder_of_models(out: Path, model: Path) -> None:
    shutil.copytree(model, out / "one")


def predictions(out: Path, model: Path) -> None:
    out.mkdir()
    (out / "development.csv").write_text("id,Angry\na,1\n")
    write_record(out, Provenance("predict", {}))


def folder_of_encoder_files(out: Path, model: Path) -> None:
    out.mkdir()
    (out / "index.json").write_text("{}")
    (out / "wavlm.toml").write_text("[encoder]\n")


def git_repository(out: Path, model: Path) -> None:
    (out / ".git").mkdir(parents=True)
    (out / ".git" / "HEAD").write_text("ref: refs/heads/main")


def pretrained_weights(out: Path, model: Path) -> None:
    out.mkdir()
    (out / "config.json").write_text('{"model_type": "wavlm"}')
    (out / "model.safetensors").write_bytes(b"weights")


def card_of_something_else(out: Path, model: Path) -> None:
    out.mkdir()
    (out / "card.json").write_text('{"encoder": "of mine"}')


def store_of_the_old_format(out: Path, model: Path) -> None:
    out.mkdir()
    (out / "card.json").write_text(
        '{"encoder": "hashed_text", "options": {}, "fingerprint": "f", "dtype": "float16"}'
    )
    (out / "index.json").write_text('{"sertk_store": 1, "shards": []}')


def shards_without_card_or_index(out: Path, model: Path) -> None:
    out.mkdir()
    (out / "shard-00000.safetensors").write_bytes(b"features of hours")


def link_to_nothing(out: Path, model: Path) -> None:
    out.symlink_to("nowhere")


def link_to_a_folder(out: Path, model: Path) -> None:
    (out.parent / "real").mkdir()
    (out.parent / "real" / "thesis.tex").write_text("mine")
    out.symlink_to("real")


def below_a_file(out: Path, model: Path) -> None:
    out.parent.rmdir()
    out.parent.write_text("mine")


FOREIGN = [
    *(text_file, folder_of_recordings, trained_model, folder_of_models, predictions, folder_of_encoder_files),
    *(git_repository, pretrained_weights, card_of_something_else, store_of_the_old_format, link_to_nothing),
    *(shards_without_card_or_index, link_to_a_folder, below_a_file),
]


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("more", ["", "--repair", "--force", "--shard 1/2"])
def test_a_folder_that_is_no_store_is_refused_before_any_work(
    site: Path, model: Path, foreign: object, more: str, capsys: Capture
) -> None:
    Path("features").mkdir()
    foreign(Path("features/words"), model)  # type: ignore[operator]
    before = contents(site)
    assert extract("words.toml", more=more) == 1
    shown = capsys.readouterr()
    assert contents(site) == before
    assert "features" in shown.err
    assert "unexpected" not in shown.err
    assert shown.out == ""


def test_no_store_is_made_inside_a_model_or_a_store(site: Path, model: Path, capsys: Capture) -> None:
    shutil.copytree(model, "model")
    assert extract("words.toml") == 0
    before = contents(site)
    for into in ("model", "features/words"):
        assert extract("words.toml", into=into) == 1
        assert f"{into} is a result of `sertk " in capsys.readouterr().err
    assert contents(site) == before


def test_two_encoders_whose_stores_have_one_name_are_refused(site: Path, model: Path, capsys: Capture) -> None:
    Path("other").mkdir()
    shutil.copy("words.toml", "other/words.toml")
    shutil.copytree(model, "members/words")
    before = contents(site)
    for encoders in (
        ["words.toml", "other/words.toml"],
        ["words.toml", "members/words"],
        ["words.toml", "words.toml"],
    ):
        assert extract(*encoders) == 1
        assert "are the same place" in capsys.readouterr().err
    assert extract("members/words", into="members") == 1
    assert "members/words" in capsys.readouterr().err
    assert contents(site) == before


def test_a_store_takes_its_name_from_the_file_or_the_whole_name_of_the_folder(site: Path, model: Path) -> None:
    shutil.copytree(model, "members/v1.2")
    shutil.copy("words.toml", "words.v2.toml")
    assert extract("words.v2.toml", str(Path("members/v1.2").absolute())) == 0
    assert extract("members/v1.2/", "../site/members/v1.2/../v1.2", into="twice") == 1
    assert {path.name for path in Path("features").iterdir()} == {"words.v2", "v1.2"}


def test_a_store_whose_record_is_lost_is_known_by_its_card(site: Path, capsys: Capture) -> None:
    assert extract("words.toml") == 0
    for damage in (Path.unlink, lambda path: path.write_text("{")):
        damage(Path("features/words/provenance.json"))
        capsys.readouterr()
        assert extract("words.toml") == 0
        assert capsys.readouterr().out == "up to date  features/words\n"
        assert json.loads(Path("features/words/provenance.json").read_text())["verb"] == "extract"


def test_a_damaged_card_is_repaired(site: Path, capsys: Capture) -> None:
    assert extract("words.toml") == 0
    before = contents(Path("features/words"))
    Path("features/words/card.json").write_text("{")
    assert extract("words.toml") == 1
    assert "card.json is damaged" in capsys.readouterr().err
    assert extract("words.toml", more="--repair") == 0
    assert "made again card.json" in capsys.readouterr().out
    after = contents(Path("features/words"))
    assert after["shard-00000.safetensors"] == before["shard-00000.safetensors"]
    assert after["card.json"] == before["card.json"]


def test_other_options_make_a_store_again_and_say_what_differs(site: Path, capsys: Capture) -> None:
    assert extract("words.toml") == 0
    Path("words.toml").write_text('[encoder]\nuse = "hashed_text"\ndim = 12\n')
    capsys.readouterr()
    assert extract("words.toml") == 0
    count = len(Manifest.read(Path("m.jsonl")))
    said = capsys.readouterr().out.splitlines()
    assert said[1:3] == [
        "features/words  dim was 8, is 12: extracted again",
        f"features/words  written {count}  kept 0",
    ]
    assert extract("words.toml", into="fresh") == 0
    again, fresh = (FeatureStore.open(Path(name) / "words") for name in ("features", "fresh"))
    assert again.fingerprint == fresh.fingerprint
    assert all(torch.equal(again[id], fresh[id]) for id in fresh)


def test_another_version_of_the_encoder_makes_a_store_again(
    site: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sertk import registry

    assert extract("words.toml") == 0
    encoder = registry.encoders.get("hashed_text")
    number = encoder.revision
    monkeypatch.setattr(encoder, "revision", number + 1)
    capsys.readouterr()
    assert extract("words.toml") == 0
    said = (
        f"component encoder hashed_text was sertk revision {number}, is sertk revision {number + 1}: extracted again"
    )
    assert said in capsys.readouterr().out
    assert read_card(Path("features/words")).versions == {
        "component encoder hashed_text": f"sertk revision {number + 1}"
    }


def test_another_version_of_a_fusion_makes_posteriors_again(
    site: Path, model: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sertk import registry

    manifest = str(FeatureStore.open(read_stores(model)[0]).folder.parents[1] / "manifest.jsonl.gz")
    assert extract(str(model), manifest=manifest) == 0
    fusion = registry.fusions.get("concat")
    monkeypatch.setattr(fusion, "revision", fusion.revision + 1)
    capsys.readouterr()
    assert extract(str(model), manifest=manifest) == 0
    assert "component fusion concat was sertk revision" in capsys.readouterr().out


def read_stores(model: Path) -> list[Path]:
    from sertk.checkpoint import Checkpoint

    return [Path(folder) for folder in Checkpoint.load(model).experiment.features.values()]


def test_posteriors_of_a_model_are_computed_in_float32_whatever_encoders_are(site: Path, model: Path) -> None:
    manifest = str(read_stores(model)[0].parents[1] / "manifest.jsonl.gz")
    assert extract(str(model), manifest=manifest) == 0
    assert extract(str(model), manifest=manifest, into="half", more="--precision bfloat16") == 0
    full, half = (FeatureStore.open(Path(name) / "words") for name in ("features", "half"))
    assert half.card.precision == "float32"
    assert full.fingerprint == half.fingerprint
    assert all(torch.equal(full[id], half[id]) for id in full)
    assert extract("words.toml", into="encoded", more="--precision bfloat16") == 0
    assert read_card(Path("encoded/words")).precision == "bfloat16"


def test_weights_that_were_moved_are_the_same_encoder(site: Path, capsys: Capture) -> None:
    pytest.importorskip("transformers")
    from sertk.testing.tiny_models import tiny_roberta

    tiny_roberta(site / "roberta")
    Path("words.toml").write_text('[encoder]\nuse = "hf_text"\nmodel = "roberta"\n')
    assert extract("words.toml") == 0
    first = FeatureStore.open(Path("features/words")).fingerprint
    Path("roberta").rename("bert")
    Path("words.toml").write_text(f'[encoder]\nuse = "hf_text"\nmodel = "{site}/bert"\n')
    capsys.readouterr()
    assert extract("words.toml") == 0
    assert capsys.readouterr().out == "up to date  features/words\n"
    assert read_card(Path("features/words")).options["model"] == f"{site}/bert"  # from where it can be built now
    assert FeatureStore.open(Path("features/words")).fingerprint == first
    merges = json.loads(Path("bert/tokenizer.json").read_text())
    merges["model"]["merges"] = merges["model"]["merges"][:20]
    Path("bert/tokenizer.json").write_text(json.dumps(merges))
    assert extract("words.toml") == 0
    assert "features/words  fingerprint was " in capsys.readouterr().out


def test_corpus_and_stores_that_were_moved_together_are_up_to_date(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert extract("words.toml") == 0
    moved = shutil.copytree(site, site.parent / "elsewhere")
    monkeypatch.chdir(moved)
    before = contents(moved)
    capsys.readouterr()
    assert extract("words.toml") == 0
    assert capsys.readouterr().out == "up to date  features/words\n"
    locks = {name for name in before if ".lock" in name}
    assert {k: v for k, v in contents(moved).items() if k not in locks} == {
        k: v for k, v in before.items() if k not in locks
    }


def test_why_says_how_many_utterances_differ_and_which_part_of_the_encoder(site: Path, capsys: Capture) -> None:
    from sertk.extraction.differences import differences, provenance
    from sertk.provenance import is_current, read_record

    store, corpus = Path("features/words"), Manifest.read(Path("m.jsonl"))
    assert extract("words.toml", more="--splits train,held_out") == 0
    record = read_record(store)
    assert record is not None
    assert is_current(store, provenance(**record.made.call))
    assert main(["why", str(store)]) == 0
    first, *rest = corpus.split("train")
    held = corpus.split("held_out")
    new = replace(first, id="new")
    now = corpus.with_utterances([new, *(replace(u, text="other words") for u in rest[:5]), *rest[5:], *held])
    now.write(Path("m.jsonl"))
    found = differences(**record.made.call)
    assert found.changed == sorted(u.id for u in rest[:5])
    assert (found.new, found.gone) == (["new"], [first.id])
    capsys.readouterr()
    assert main(["why", str(store)]) == 1
    said = capsys.readouterr().out
    assert re.search(r"utterances changed +0 +5", said)
    assert re.search(r"utterances new +0 +1", said)
    assert extract("words.toml", more="--splits train,held_out") == 0
    assert "written 1  changed 5" in capsys.readouterr().out
    assert main(["why", str(store)]) == 0  # what is gone from the corpus is no matter
    Path("words.toml").write_text('[encoder]\nuse = "hashed_text"\ndim = 12\n')
    capsys.readouterr()
    assert main(["why", str(store)]) == 1
    assert re.search(r"options.dim +8 +12", capsys.readouterr().out)


def test_a_model_is_not_run_over_features_of_other_words(site: Path, model: Path, capsys: Capture) -> None:
    source = read_stores(model)[0].parents[1] / "manifest.jsonl.gz"
    corpus = Manifest.read(source)
    now = [replace(u, text="other words") if n < 3 else u for n, u in enumerate(corpus)]
    corpus.with_utterances(now).write(Path("m.jsonl"))
    assert extract(str(model)) == 1
    shown = capsys.readouterr().err
    assert f"words: 3 of {len(corpus)} utterances were extracted from other words" in shown
    assert not Path("features").exists()
