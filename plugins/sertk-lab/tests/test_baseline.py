"""`sertk baseline`: from a table to scores, a report and a model, as a recipe that can be edited and run again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sertk_lab.baselines.features import CHOICES
from sertk_lab.baselines.recipe import folds_of, recipe_files
from sertk_lab.baselines.run import plan_baseline

from sertk import registry
from sertk.cards import read_card
from sertk.cli import main
from sertk.config.files import load_encoder_file, load_experiment
from sertk.data.manifest import Manifest
from sertk.errors import OutputError, UsageError

Capture = pytest.CaptureFixture[str]
WriteCorpus = Callable[..., Manifest]
WriteTable = Callable[[Manifest, Path], Path]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, write_corpus: WriteCorpus) -> Manifest:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "noise")


@pytest.fixture
def table(corpus: Manifest, tmp_path: Path, write_table: WriteTable) -> Path:
    return write_table(corpus, tmp_path / "table.csv")


def needs_deepser() -> None:
    pytest.importorskip("sertk_deepser", reason="needs the plugin sertk-deepser")


def baseline(source: Path, out: Path, *words: str) -> int:
    given = ["--speaker", "who", "--features", "logmel", "--jobs", "1", *words]
    return main(["baseline", str(source), "--out", str(out), *given])


@pytest.mark.plugins
def test_it_says_what_it_will_do_and_about_how_long_before_it_starts(
    table: Path, tmp_path: Path, capsys: Capture
) -> None:
    needs_deepser()
    out = tmp_path / "base"
    assert baseline(table, out, "--plan") == 0
    shown = capsys.readouterr().out
    assert "72 utterances of 6 speakers in 3 classes: angry, happy, sad" in shown
    for words in ("frames features of 72", "pooled features of 72", "deepser: 6 folds", "linear: 6 folds"):
        line = next(line for line in shown.splitlines() if words in line)
        assert line.rstrip().endswith(" s")
        assert "?" not in line
    assert not (out / "data").exists()
    assert main(["run", str(out / "run.sh"), "--options"]) == 0
    assert "crossval" in capsys.readouterr().out


@pytest.mark.plugins
def test_every_file_of_the_recipe_is_sound(table: Path, tmp_path: Path) -> None:
    needs_deepser()
    out = tmp_path / "base"
    assert baseline(table, out, "--plan") == 0
    files = sorted(map(str, [*out.glob("conf/*.toml"), *out.glob("conf/*/*.toml")]))
    assert len(files) == 5
    assert main(["check", *files, "--quiet"]) == 0
    subprocess.run(["bash", "-n", str(out / "run.sh")], check=True)


@pytest.mark.parametrize("features", [*CHOICES])
def test_the_files_of_all_features_are_sound(features: str, corpus: Manifest, tmp_path: Path) -> None:
    if features in ("egemaps", "compare") and "opensmile" not in registry.encoders:
        pytest.skip("needs sertk-opensmile")
    texts = recipe_files(corpus, ["true"], features=features, folds=3, deepser=False, by_recording=False, jobs=1)
    for name in ("conf/encoders/pooled.toml", "conf/members/linear.toml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(texts[name])
    assert load_encoder_file(tmp_path / "conf/encoders/pooled.toml").encoder.use
    stage = load_experiment(tmp_path / "conf/members/linear.toml").stage[0]
    assert stage.solver
    assert stage.solver.blocks == CHOICES[features].blocks


def test_without_the_network_s_plugin_the_way_round_it_is_named(table: Path, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "sertk"), "baseline", str(table), "--speaker", "who"]
    hidden = {**os.environ, "SERTK_PLUGINS": "sertk-lab"}
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "base")], env=hidden, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "pip install sertk-deepser, or leave it out: --no-deepser" in done.stderr
    assert not (tmp_path / "base").exists()


def test_what_a_reviewer_would_ask_is_printed(
    corpus: Manifest, tmp_path: Path, write_table: WriteTable, capsys: Capture
) -> None:
    few = corpus.with_utterances([u for u in corpus if u.emotion != "sad" or u.speaker in ("s0", "s1", "s2")])
    table = write_table(few, tmp_path / "few.csv")
    assert baseline(table, tmp_path / "base", "--plan", "--no-deepser") == 0
    warned = capsys.readouterr().err
    assert "a reviewer would ask: few speakers: classes of fewer than 5 speakers: 1: sad (3)" in warned


def test_features_that_are_not_here_are_named_with_how_to_get_them(table: Path, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "sertk"), "baseline", str(table), "--speaker", "who"]
    without = {**os.environ, "SERTK_MODELS": str(tmp_path), "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")}
    done = subprocess.run(
        [*command, "--no-deepser", "--out", str(tmp_path / "base")],
        env=without,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--features whisper cannot be used here" in done.stderr
    assert "hf download openai/whisper-base" in done.stderr
    assert "--features logmel needs nothing" in done.stderr


def test_unknown_features_are_refused_with_those_that_there_are(table: Path, tmp_path: Path, capsys: Capture) -> None:
    assert baseline(table, tmp_path / "base", "--no-deepser", "--features", "logmell") == 2
    assert "Did you mean 'logmel'?" in capsys.readouterr().err


def test_a_baseline_of_other_options_and_a_foreign_folder_are_left_alone(table: Path, tmp_path: Path) -> None:
    options = {"speaker": "who"}
    made = plan_baseline(table, tmp_path / "base", features="logmel", deepser=False, options=options)
    assert made.written
    (tmp_path / "base" / "conf" / "vote.toml").write_text("# mine\n")
    again = plan_baseline(table, tmp_path / "base", features="logmel", deepser=False, options=options)
    assert not again.written
    assert (tmp_path / "base" / "conf" / "vote.toml").read_text() == "# mine\n"
    with pytest.raises(OutputError, match="folds was speakers, is 3"):
        plan_baseline(table, tmp_path / "base", features="logmel", deepser=False, folds="3", options=options)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"a folder with notes\.txt"):
        plan_baseline(table, tmp_path / "other", features="logmel", deepser=False, options=options)


def test_folds_are_those_of_the_corpus_else_one_per_speaker_if_they_are_few(
    corpus: Manifest, tmp_path: Path, write_corpus: WriteCorpus
) -> None:
    assert folds_of(corpus, None) == "speakers"
    assert folds_of(corpus, "4") == 4
    assert folds_of(write_corpus(tmp_path / "many", speakers=13, times=1), None) == 5
    with pytest.raises(UsageError, match="a number, speakers or given, got 'all'"):
        folds_of(corpus, "all")


@pytest.mark.slow
@pytest.mark.plugins
def test_from_a_table_to_scores_report_and_a_model_and_again_after_an_edit(
    corpus: Manifest, table: Path, tmp_path: Path, capsys: Capture
) -> None:
    needs_deepser()
    out = tmp_path / "base"
    assert baseline(table, out, "--folds", "3") == 0
    page = (out / "results" / "RESULTS.md").read_text()
    rows = {line.split(" | ")[0].strip("| "): line for line in page.splitlines() if line.startswith("| ")}
    assert {"linear", "deepser", "vote"} <= rows.keys()
    assert float(rows["linear"].split(" | ")[4].split()[0]) > 0.6  # UAR; a guess has 0.33
    assert "The true labels in a random order: macro-F1 and UAR 0.33" in page
    assert "## Differences from linear" in page
    assert (out / "results" / "report.html").is_file()
    card = read_card(out / "model").scores["cross-validation"]
    assert card["utterances"] == 72
    assert "models trained in the same way" in card["remarks"][0]
    capsys.readouterr()
    assert main(["predict", str(out / "model"), str(corpus.folder / "s0_sad_0.wav")]) == 0
    assert "sad" in capsys.readouterr().out
    assert main(["run", str(out / "run.sh")]) == 0
    assert "Nothing to do: everything is up to date." in capsys.readouterr().out
    conf = out / "conf" / "members" / "linear.toml"
    conf.write_text(conf.read_text().replace("penalty  = [0.001,", "penalty  = [0.0005,"))
    assert baseline(table, out, "--folds", "3") == 0
    assert "0.0005" in conf.read_text()
    shown = capsys.readouterr().out
    assert "up to date  members/deepser" in shown
    assert "members/linear" in shown
    assert "up to date  members/linear" not in shown
    assert "0.0005" in (out / "members" / "linear" / "config.toml").read_text()


@pytest.mark.slow
def test_a_manifest_is_taken_as_it_is(corpus: Manifest, tmp_path: Path) -> None:
    manifest = tmp_path / "noise.jsonl.gz"
    corpus.write(manifest)
    out = tmp_path / "base"
    words = ["--out", str(out), "--features", "logmel", "--no-deepser", "--folds", "3", "--jobs", "1"]
    assert main(["baseline", str(manifest), *words]) == 0
    assert (out / "model" / "card.json").is_file()
    assert "linear" in (out / "results" / "RESULTS.md").read_text()
