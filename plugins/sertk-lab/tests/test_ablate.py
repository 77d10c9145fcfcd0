"""Ablations: what their tables say of given predictions, and that they train, resume and compare what they name."""

# Longer than others: one small ablation is built for all of its tables, its training and its bad input.

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sertk_lab.ablation.cells import plan_cells
from sertk_lab.ablation.config import load_ablations
from sertk_lab.ablation.statistics import Runs, Table, seen_in_words, table_of
from sertk_lab.ablation.tables import cells, columns, comma_separated, legend, markdown

from sertk.checkpoint import Checkpoint
from sertk.cli import main
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest
from sertk.ensemble.predictions import Predictions
from sertk.errors import ConfigError, DataError
from sertk.scoring.bootstrap import Interval
from sertk.scoring.truth import AlignedPredictions, Truth

LABELS = LabelSet(("Angry", "Happy", "Sad"))
COUNT, SPEAKERS = 600, 60
RECIPE = Path(__file__).parents[3] / "recipes/msp_podcast_2025"


def a_truth() -> Truth:
    rows = np.arange(COUNT)
    return Truth(
        ids=tuple(f"u{row}" for row in rows),
        labels=LABELS,
        consensus=rows % 3,
        votes=np.full((COUNT, 3), np.nan),
        attributes=np.empty((COUNT, 0)),
        attribute_names=(),
        speakers=tuple(f"s{row % SPEAKERS}" for row in rows),
        genders=(None,) * COUNT,
        seconds=np.ones(COUNT),
    )


TRUTH = a_truth()


def a_case(right: float, seed: int) -> AlignedPredictions:
    """Predictions of which about the share `right` is correct."""
    random = np.random.default_rng(seed)
    wrong = (TRUTH.consensus + random.integers(1, 3, COUNT)) % 3
    said = np.where(random.random(COUNT) < right, TRUTH.consensus, wrong)
    return AlignedPredictions(TRUTH, Predictions(TRUTH.ids, LABELS, np.eye(3)[said], np.empty((COUNT, 0))))


def some_runs(name: str, right: float, *, seeds: int = 3, models: int = 2, first: int = 0, **more: object) -> Runs:
    made = tuple(tuple(a_case(right, first + 10 * seed + model) for model in range(models)) for seed in range(seeds))
    return Runs(name, made, **more)  # type: ignore[arg-type]


def a_table(**options: int) -> Table:
    full = some_runs("whole", 0.7, paper=0.42)
    others = [
        some_runs("much worse", 0.4, first=500, paper=0.39),
        some_runs("the same", 0.7, first=900),
        some_runs("better", 0.9, first=1300),
        some_runs("control", 0.4, first=1700, expected="either"),
    ]
    return table_of("Arms", full, others, ["macro_f1", "accuracy"], **options)


def width_of(table: Table) -> float:
    found = table.rows[1].difference
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


def test_rows_are_means_over_seeds_and_members_and_deviations_over_seeds() -> None:
    full = some_runs("whole", 0.7)
    row = table_of("t", full, [], ["accuracy"]).rows[0]
    right = [[(case.predictions.predicted == TRUTH.consensus).mean() for case in part] for part in full.cases]
    assert row.means["accuracy"] == pytest.approx(np.mean(right))
    assert row.deviations["accuracy"] == pytest.approx(np.std(np.mean(right, axis=1), ddof=1))
    assert (row.seeds, row.models, row.difference) == (3, 6, None)


def test_percentages_divide_by_the_full_system_and_by_the_ablated_one() -> None:
    full, worse = a_table().rows[:2]
    assert worse.difference is not None
    loss = worse.means["macro_f1"] - full.means["macro_f1"]
    assert worse.difference.value == pytest.approx(loss)
    assert worse.of_full == pytest.approx(100 * loss / full.means["macro_f1"])
    assert worse.of_ablated == pytest.approx(100 * loss / worse.means["macro_f1"])
    assert worse.paper_difference == pytest.approx(-0.03)


def test_directions_that_do_not_show_are_said_in_words() -> None:
    rows = {row.name: row for row in a_table().rows}
    assert rows["much worse"].seen == "seen"
    assert rows["the same"].seen == "not seen here: interval covers 0"
    assert rows["better"].seen == "reversed: higher here"
    assert rows["control"].seen == "lower"
    assert rows["whole"].seen == ""
    assert seen_in_words("higher", Interval(0.1, 0.05, 0.2)) == "seen"
    assert seen_in_words("either", Interval(0.1, -0.05, 0.2)) == "no difference seen: interval covers 0"
    assert seen_in_words("lower", Interval(0.1, None, None)) == "not tested: too few speakers"


def test_an_arm_that_says_the_same_has_no_difference_at_all() -> None:
    row = table_of("t", some_runs("a", 0.6), [some_runs("b", 0.6)], ["macro_f1"]).rows[1]
    assert row.difference == Interval(0.0, 0.0, 0.0)


def test_intervals_are_wider_with_seeds_that_disagree() -> None:
    steady = width_of(table_of("t", some_runs("a", 0.7), [some_runs("b", 0.6, first=70)], ["macro_f1"]))
    shares = (0.45, 0.6, 0.75)
    torn = Runs("b", tuple(tuple(a_case(share, 80 + n) for n in range(2)) for share in shares))
    assert width_of(table_of("t", some_runs("a", 0.7), [torn], ["macro_f1"])) > 1.5 * steady


def test_a_table_names_what_was_resampled_and_tests_nothing_on_few_speakers() -> None:
    def table(speakers: tuple[str | None, ...]) -> Table:
        def changed(one: AlignedPredictions) -> AlignedPredictions:
            names = tuple(speakers[row % len(speakers)] for row in range(COUNT))
            return replace(one, truth=replace(one.truth, speakers=names))

        full, other = (
            Runs(one.name, tuple(tuple(changed(case) for case in part) for part in one.cases))
            for one in (some_runs("a", 0.7), some_runs("b", 0.4, first=500))
        )
        return table_of("t", full, [other], ["macro_f1"], draws=50)

    unknown, two = " ".join(legend(table((None,)))), table(("x", "y"))
    assert "600 utterances of unknown speakers" in unknown
    assert "paired bootstrap over utterances and seeds" in unknown
    assert "paired bootstrap over speakers and seeds" in " ".join(legend(two))
    assert two.rows[1].seen == "not tested: too few speakers"
    assert two.rows[1].difference is not None
    assert two.rows[1].difference.low is None


def test_arms_are_compared_on_the_utterances_of_all() -> None:
    full, other = some_runs("a", 0.7, seeds=1, models=1), some_runs("b", 0.7, seeds=1, models=1, first=9)
    cut = Runs("b", ((other.cases[0][0].take(np.arange(100, COUNT)),),))
    assert table_of("t", full, [cut], ["macro_f1"]).utterances == COUNT - 100


def test_metrics_that_are_not_there_and_arms_of_other_seeds_are_refused() -> None:
    with pytest.raises(DataError, match="no metric mean_ccc of these utterances"):
        table_of("t", some_runs("a", 0.7), [], ["mean_ccc"])
    with pytest.raises(DataError, match="need the same seeds"):
        table_of("t", some_runs("a", 0.7), [some_runs("b", 0.7, seeds=2)], ["macro_f1"])


def test_the_same_table_is_written_as_text_markdown_and_csv() -> None:
    table = a_table(draws=200)
    heads, rows = columns(table), cells(table)
    assert [len(row) for row in rows] == [len(heads)] * 5
    worse = dict(zip(heads, rows[1], strict=True))
    assert worse["paper's difference"] == "-0.030"
    assert worse["difference"].startswith("-0.2")
    assert "[" in worse["difference"]
    assert "±" in worse["macro-F1"]
    page = markdown([table], head="Ablations", made=["by hand"])
    assert page.count("\n| ") == 2 + 5
    assert "not seen here: interval covers 0" in page
    assert all(line in page for line in legend(table))
    read = list(csv.DictReader(io.StringIO(comma_separated([table]))))
    assert [row["system"] for row in read] == [row.name for row in table.rows]
    assert float(read[1]["low"]) < float(read[1]["difference"]) < float(read[1]["high"]) < 0
    assert read[0]["difference"] == ""


# --- cells


ABLATIONS = """
members = ["experiment.toml"]
seeds   = {seeds}
metrics = ["balanced_macro_f1", "accuracy"]
draws   = 100
set     = ['fusion={{ use = "late", width = 16, ffn_dim = 16 }}', "stage.full.epochs=2", "stage.second.epochs=1"]

[[arm]]
name = "one-hot targets"
set  = ['data.targets="majority"']

[[arm]]
name             = "concat, equal parameters"
set              = ['fusion={{ use = "gated", width = 8 }}']
match_parameters = true

[[arm]]
name          = "no second stage"
without_stage = "second"
"""
ENSEMBLE = """
[ensemble]
members = ["experiment.toml", "other.toml"]
top     = [1]
full    = "prior-corrected"

[[ensemble.system]]
name    = "soft vote"
combine = "combine.toml"

[[ensemble.system]]
name    = "prior-corrected"
combine = "combine.toml"
set     = ['aggregator.use="prior_corrected"']
"""


@pytest.fixture
def asked(tiny_store: Path, tmp_path: Path) -> Path:
    for name, seed in (("experiment", 1), ("other", 2)):
        text = (tiny_store / "experiment.toml").read_text()
        (tmp_path / f"{name}.toml").write_text(f"seed = {seed}\ninit_seed = {seed}\n{text}")
    combine = f'[aggregator]\nuse = "soft_vote"\n[data]\nmanifest = "{tiny_store}/manifest.jsonl.gz"\n'
    (tmp_path / "combine.toml").write_text(combine)
    path = tmp_path / "ablations.toml"
    path.write_text(ABLATIONS.format(seeds=2))
    return path


def test_arms_have_the_steps_of_the_full_system_and_members_and_seeds_of_their_own(asked: Path) -> None:
    found = plan_cells(load_ablations(asked), asked.parent, asked.parent / "out")
    assert len(found) == 4 * 2
    full = found[0]
    for cell in found:
        each = cell.steps / sum(stage.epochs for stage in cell.experiment.stage)
        assert abs(cell.steps - full.steps) <= each  # whole epochs
        assert all(stage.patience is None for stage in cell.experiment.stage)
    assert [stage.name for stage in found[-1].experiment.stage] == ["full"]
    assert found[-1].experiment.stage[0].epochs == 3  # two of its own and one for the stage that is gone
    matched = next(cell for cell in found if cell.arm == "concat-equal-parameters")
    assert abs(matched.parameters / full.parameters - 1) < 0.1
    assert {cell.experiment.init_seed for cell in found if cell.seed == 1} == {1}
    assert len({cell.experiment.init_seed for cell in found}) == 2


def test_faults_of_an_ablation_file_are_told_at_once(asked: Path) -> None:
    asked.write_text(asked.read_text().replace("draws   = 100", "draws = 0\nseed = 3") + '\n[[arm]]\nname = "full"\n')
    with pytest.raises(ConfigError) as told:
        load_ablations(asked)
    assert {fault.place for fault in told.value.faults} == {"draws", "seed"}
    asked.write_text(ABLATIONS.format(seeds=1).replace('without_stage = "second"', 'without_stage = "third"'))
    with pytest.raises(ConfigError, match="which are: full, second"):
        plan_cells(load_ablations(asked), asked.parent, asked.parent / "out")


def test_an_ablation_is_trained_once_and_goes_on_where_it_stopped(
    asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked.write_text(ABLATIONS.format(seeds=1) + ENSEMBLE)
    words = ["ablate", str(asked), "--into", str(tmp_path / "out"), "--device", "cpu"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "5 models, 0 of them up to date" in said
    for line in ("one-hot targets", "no second stage", "soft vote, top 1", "prior-corrected, all 2", "one member"):
        assert line in said
    written = (tmp_path / "out/ablations.md").read_bytes()
    cell = tmp_path / "out/cells/one-hot-targets/experiment/seed-1"
    assert Checkpoint.load(cell).experiment.data.targets == "majority"
    assert not (cell / "state").exists()
    shutil.rmtree(cell.with_name("seed-1-posteriors"))  # as if stopped before it was finished
    assert main(words) == 0
    again = capsys.readouterr().out
    assert "5 models, 4 of them up to date" in again
    assert "up to date  " in again
    assert (tmp_path / "out/ablations.md").read_bytes() == written
    assert main([*words, "--seeds", "2", "--plan"]) == 0
    assert capsys.readouterr().out.count("to do") == 5


def test_tables_of_somebody_else_are_not_replaced(
    asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/ablations.md").write_text("my notes\n")
    assert main(["ablate", str(asked), "--into", str(tmp_path / "out"), "--device", "cpu"]) == 1
    assert "not an earlier result of `sertk ablate`" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["ablations.md"]
    assert (tmp_path / "out/ablations.md").read_text() == "my notes\n"


@pytest.mark.plugins
def test_meta_classifiers_are_averaged_and_each_counts_as_one_model(
    asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sertk_meta", reason="needs the plugin sertk-meta")
    pytest.importorskip("sertk_soup", reason="needs the plugin sertk-soup")
    manifest = (asked.parent / "combine.toml").read_text().splitlines()[-1]
    meta = '[aggregator]\nuse = "meta_classifier"\nseeds = [1, 2, 3]\nsampler = { use = "shuffle" }\n'
    (tmp_path / "meta.toml").write_text(f"{meta}[data]\n{manifest}\n")
    (tmp_path / "soup.toml").write_text(f'[aggregator]\nuse = "soup"\n[data]\n{manifest}\n')
    asked.write_text(
        'seeds = 1\nset = ["stage.full.epochs=1", "stage.second.epochs=1"]\n[ensemble]\n'
        'members = ["experiment.toml", "other.toml"]\nfull = "soup"\n'
        '[[ensemble.system]]\nname = "single"\ncombine = "meta.toml"\n'
        '[[ensemble.system]]\nname = "soup"\ncombine = "meta.toml"\nthen = "soup.toml"\n'
        '[[ensemble.system]]\nname = "greedy"\ncombine = "combine.toml"\n'
        "set = ['aggregator={ use = \"greedy\" }']\n"
    )
    assert main(["ablate", str(asked), "--into", str(tmp_path / "out"), "--device", "cpu"]) == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out/ablations.csv").read_text())))
    assert {row["system"]: row["models"] for row in rows} == {
        "soup, all 2": "1",
        "one member (mean of all)": "2",
        "single, all 2": "3",
        "greedy, all 2": "1",
    }
    assert "Ensembles of members experiment, other, fitted on held_out" in capsys.readouterr().out


@pytest.mark.plugins
@pytest.mark.skipif(not RECIPE.is_dir(), reason="needs the recipes of the repository")
def test_the_check_of_an_ablation_names_the_arm_at_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = shutil.copytree(RECIPE / "conf/toy", tmp_path / "conf")
    text = (conf / "ablations.toml").read_text().replace("attribute_mse.weight=0", "attribute_mse.wight=0")
    (conf / "ablations.toml").write_text(text.replace('"vote.toml"', '"votes.toml"'))
    assert main(["check", str(conf / "ablations.toml")]) == 1
    said = capsys.readouterr().err
    assert "arm.no multitask (members/01.toml)" in said
    assert "wight" in said
    assert "ensemble.system.majority vote (votes.toml)" in said


@pytest.mark.slow
@pytest.mark.plugins
def test_the_toy_ablation_prints_both_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    from sertk_toy.corpus import write_toy_corpus

    write_toy_corpus(Path("corpus"), utterances=240)  # fewer, and a part has no consensus on the rarest class
    conf = RECIPE / "conf/toy"
    encoders = [str(path) for path in (conf / "encoders").glob("*.toml")]
    for words in (
        ["data", "prepare", "msp_podcast", "corpus", "--out", "data/corpus.jsonl.gz"],
        ["data", "split", "data/corpus.jsonl.gz", "--share", "0.3", "--out", "data/manifest.jsonl.gz"],
        ["extract", *encoders, "--manifest", "data/manifest.jsonl.gz", "--into", "features", "--device", "cpu"],
        ["ablate", str(conf / "ablations.toml"), "--into", "ablations", "--seeds", "2", "--device", "cpu"],
    ):
        assert main(words) == 0
    said = capsys.readouterr().out
    assert "late fusion, equal parameters" in said
    assert "greedy selection of members, top 2" in said
    assert len(Manifest.read(Path("data/manifest.jsonl.gz"))) > 0
    rows = list(csv.DictReader(io.StringIO(Path("ablations/ablations.csv").read_text())))
    assert len(rows) == 7 + 1 + 2 * 6
    assert all(row["seeds"] == "2" for row in rows)
