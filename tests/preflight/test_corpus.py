"""What a file asks of a corpus is looked for in its manifest before any work: splits, attributes, labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sertk.cli import main
from sertk.config.files import load_any
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest, Utterance
from sertk.preflight.find import corpus_faults

Write = Callable[..., Path]
LABELS = LabelSet(("Angry", "Happy", "Neutral"))


def a_corpus(splits: tuple[str, ...] = ("train", "held_out"), **attributes: float) -> Manifest:
    """Thirty utterances a split by ten speakers each, of all classes, with these attributes."""
    utterances = tuple(
        Utterance(
            id=f"{split}-{number}",
            audio="none.wav",
            speaker=f"{split}-{number % 10}",
            split=split,
            votes={LABELS.names[number % 3]: 3.0},
            emotion=LABELS.names[number % 3],
            attributes=attributes,
        )
        for split in splits
        for number in range(30)
    )
    return Manifest("made up", LABELS, dict.fromkeys(attributes, (1.0, 7.0)), utterances)


def without(manifest: Manifest, split: str, emotion: str) -> Manifest:
    kept = [u for u in manifest if not (u.split == split and u.emotion == emotion)]
    return manifest.with_utterances(kept)


def unlabelled(manifest: Manifest, split: str) -> Manifest:
    return manifest.with_utterances(replace(u, votes={}, emotion=None) if u.split == split else u for u in manifest)


def faults(path: Path, manifest: Manifest, *sets: str) -> dict[str, str]:
    return {fault.place: fault.message for fault in corpus_faults(load_any(path, sets), manifest)}


def test_a_corpus_that_has_all_is_without_fault(write: Write) -> None:
    corpus = a_corpus(arousal=4.0)
    assert faults(write(), corpus) == {}
    assert faults(write(), corpus, "head.attributes=['arousal']", "selection.metric=mean_ccc") == {}
    combine = write('[aggregator]\nuse = "soft_vote"\n[data]\nmanifest = "m"\n', "combine.toml")
    assert faults(combine, corpus) == {}


@pytest.mark.parametrize(
    ("sets", "place", "message"),
    [
        (["data.train=['train', 'more']"], "data.train", "no utterance is in split 'more'."),
        (["data.dev=held-out"], "data.dev", "no utterance is in split 'held-out'. Did you mean 'held_out'?"),
        (["head.attributes=['arousal', 'warmth']"], "head.attributes",
         "the corpus has no attribute 'warmth'. It has: arousal."),
        (["data.dev=train"], "data", "splits 'train' and 'train' share 10 speakers"),
        (["selection.metric=mean_ccc"], "selection.metric", "mean_ccc"),
        (["fusion={ use = 'posterior_mean', classes = 8 }"], "fusion.classes", "reads 8 classes but there are 3"),
        (["stage.full.loss=[{ use = 'counted_loss', weights = [1, 1] }]"], "stage.full.loss[0].weights",
         "2 weights for 3 classes"),
    ],
)  # fmt: skip
def test_what_an_experiment_asks_for_and_the_corpus_lacks_is_a_fault(
    write: Write, sets: list[str], place: str, message: str
) -> None:
    found = faults(write(), a_corpus(arousal=4.0), *sets)
    assert list(found) == [place]
    assert message in found[place]


def test_a_corpus_without_attributes_says_how_to_do_without(write: Write) -> None:
    found = faults(write(), a_corpus(), "head.attributes=['arousal']")
    assert found == {"head.attributes": "the corpus has no attribute 'arousal'. It has none: attributes = []."}


def test_classes_that_the_training_part_lacks_are_named_where_a_component_needs_them(write: Write) -> None:
    corpus = without(a_corpus(), "train", "Happy")
    assert faults(write(), corpus) == {}
    found = faults(write(), corpus, "stage.full.loss=[{ use = 'cross_entropy', class_weight_power = 0.5 }]")
    assert list(found) == ["stage.full.loss[0]"]
    assert "has a vote for Happy" in found["stage.full.loss[0]"]


@pytest.mark.plugins
def test_a_balanced_sampler_names_the_class_without_a_consensus(write: Write) -> None:
    corpus = without(a_corpus(), "train", "Happy")
    found = faults(write(), corpus, "stage.full.sampler={ use = 'balanced' }")
    assert "no utterance has the consensus Happy" in found["stage.full.sampler"]
    options = 'sampler = { use = "balanced" }'
    text = f'[aggregator]\nuse = "meta_classifier"\n{options}\n[data]\nmanifest = "m"\n'
    found = faults(write(text, "combine.toml"), without(a_corpus(), "held_out", "Happy"))
    assert "no utterance has the consensus Happy" in found["aggregator.sampler"]


@pytest.mark.parametrize(("split", "place"), [("train", "data.train"), ("held_out", "data.dev")])
def test_a_part_without_labels_is_named(write: Write, split: str, place: str) -> None:
    found = faults(write(), unlabelled(a_corpus(), split))
    assert found == {place: "none of its 30 utterances has a soft target."}


def test_a_combination_is_fitted_on_a_split_that_there_is(write: Write) -> None:
    combine = write('fit = "dev"\n[aggregator]\nuse = "soft_vote"\n[data]\nmanifest = "m"\n', "combine.toml")
    found = faults(combine, a_corpus())
    assert list(found) == ["fit"]
    assert "no utterance is in split 'dev'. Splits: held_out, train." in found["fit"]
    found = faults(combine, unlabelled(a_corpus(), "held_out"), "fit=held_out")
    assert found == {"fit": "none of its 30 utterances has a soft target."}


def test_the_verb_names_each_file_and_its_faults(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "m.jsonl"
    a_corpus(arousal=4.0).write(manifest)
    good, bad = write(), write(name="bad.toml")
    bad.write_text(f'{bad.read_text()}[head]\nattributes = ["warmth"]\n')
    words = ["check", str(good), str(bad), "--manifest", str(manifest), "--split", "held_out", "--split", "test"]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert f"error {manifest}: 1 fault\n  split test  no utterance is in split 'test'." in said
    assert f"error {bad}: 1 fault\n  head.attributes  the corpus has no attribute 'warmth'" in said
    assert str(good) not in said
    assert main(["check", str(good), "--manifest", str(manifest), "--split", "train", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["check", str(bad)]) == 0  # of the file alone nothing is wrong


@pytest.mark.plugins
def test_an_ablation_names_the_arm_that_asks_for_too_much(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "m.jsonl"
    a_corpus().write(manifest)
    write()
    arm = "[[arm]]\nname = 'with warmth'\nset = ['head.attributes=[\"warmth\"]']\n"
    path = write(f'members = ["experiment.toml"]\n{arm}', "ablations.toml")
    assert main(["check", str(path)]) == 0
    assert main(["check", str(path), "--manifest", str(manifest)]) == 1
    assert "arm.with warmth (experiment.toml)  head.attributes: the corpus has no" in capsys.readouterr().err
