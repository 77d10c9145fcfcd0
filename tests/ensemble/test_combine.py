from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sertk.checkpoint import Checkpoint
from sertk.cli import main
from sertk.config.schema import Head, Use
from sertk.contracts import Combined, Stack
from sertk.data.labels import LabelSet
from sertk.data.manifest import Manifest
from sertk.ensemble.combine import combine, provenance, provenance_of
from sertk.ensemble.members import infer_rows
from sertk.ensemble.predictions import Predictions
from sertk.ensemble.results import is_current
from sertk.ensemble.stack import build_stack
from sertk.errors import CheckpointError, ConfigError, EnsembleError, OutputError, StoreError
from sertk.features.store import FeatureStore, StoreWriter
from sertk.files import sha256_file
from sertk.inference.prediction import predictions_of
from sertk.inference.stores import predict_stores
from sertk.provenance import read_record

from .conftest import CPU, combination, train, write_posteriors


def said_by(checkpoint: Checkpoint, folder: Path, split: str = "development") -> Predictions:
    manifest = Manifest.read(folder / "manifest.jsonl.gz")
    return predict_stores(checkpoint, manifest.split(split), device=CPU)[0]


def members_say(models: dict[str, Path], folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(M, N, C) probabilities and (M, N, A) attributes."""
    said = [said_by(Checkpoint.load(path), folder) for path in models.values()]
    return np.stack([s.emotion for s in said]), np.stack([s.attributes for s in said])


def test_a_soft_vote_is_the_mean_of_what_members_say(
    tiny_store: Path, stores: dict[str, Path], models: dict[str, Path], tmp_path: Path
) -> None:
    made = combine(combination(tiny_store), stores, tmp_path / "vote", device=CPU)
    assert list(made) == [""]
    said = said_by(Checkpoint.load(tmp_path / "vote"), tiny_store)
    emotion, attributes = members_say(models, tiny_store)
    np.testing.assert_allclose(said.emotion, emotion.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(said.attributes, attributes.mean(axis=0), atol=1e-5)


def test_a_vote_counts_members_and_breaks_ties_by_mean_probability(
    tiny_store: Path, stores: dict[str, Path], models: dict[str, Path], tmp_path: Path
) -> None:
    two = {name: stores[name] for name in ("01", "02")}
    made = combine(combination(tiny_store, "vote"), two, tmp_path / "vote", device=CPU)[""]
    said = said_by(made, tiny_store)
    emotion, _ = members_say({name: models[name] for name in two}, tiny_store)
    shares = np.eye(3)[emotion.argmax(axis=2)].mean(axis=0)  # (N, C)
    np.testing.assert_allclose(said.emotion, shares, atol=1e-4)
    tied = np.abs(shares.max(axis=1) - 0.5) < 1e-9
    assert tied.any()
    best = np.where(shares == shares.max(axis=1, keepdims=True), emotion.mean(axis=0), -1).argmax(axis=1)
    np.testing.assert_array_equal(said.predicted, best)


def test_models_and_their_stores_are_the_same_members(
    tiny_store: Path, stores: dict[str, Path], models: dict[str, Path], tmp_path: Path
) -> None:
    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    first, second = (build_stack(combination(tiny_store), manifest, each, {}, CPU) for each in (stores, models))
    rows = range(len(first.stack.posteriors))
    assert first.stack.posteriors.table.ids == second.stack.posteriors.table.ids
    for name in stores:
        torch.testing.assert_close(
            first.stack.posteriors.batch(rows).features[name].data,
            second.stack.posteriors.batch(rows).features[name].data,
            atol=1e-6,
            rtol=0,
        )
        one, other = first.members[0].spec, second.members[0].spec
        assert one == other
    assert first.stack.inputs is not None
    assert set(first.stack.inputs.sources) == {"speech", "words"}
    assert first.stack.leaked == frozenset()


def test_an_ensemble_of_ensembles_reads_models_that_read_models(
    tiny_store: Path, models: dict[str, Path], tmp_path: Path
) -> None:
    inner = combine(combination(tiny_store), models, tmp_path / "inner", device=CPU)[""]
    both = {"inner": tmp_path / "inner", "01": models["01"]}
    combine(combination(tiny_store), both, tmp_path / "outer", device=CPU)
    outer = Checkpoint.load(tmp_path / "outer")
    ids = [u.id for u in Manifest.read(tiny_store / "manifest.jsonl.gz").split("development")]
    rows, parts = (
        infer_rows(outer, ids, CPU),
        [infer_rows(inner, ids, CPU), infer_rows(Checkpoint.load(models["01"]), ids, CPU)],
    )
    for id in ids:
        torch.testing.assert_close(rows[id], (parts[0][id] + parts[1][id]) / 2, atol=1e-5, rtol=0)
    assert (tmp_path / "outer/members/inner/members/03/model.safetensors").is_file()


def test_members_are_inside_by_hard_links_and_the_card_says_where_it_comes_from(
    tiny_store: Path, stores: dict[str, Path], models: dict[str, Path], tmp_path: Path
) -> None:
    made = combine(combination(tiny_store), stores, tmp_path / "vote", device=CPU)[""]
    inside = tmp_path / "vote/members/02/model.safetensors"
    assert inside.samefile(models["02"] / "model.safetensors")
    card, member = made.card, Checkpoint.load(models["02"])
    assert card.encoders["02"].options == {"folder": "members/02"}
    assert card.encoders["02"].fingerprint == member.fingerprint
    assert card.notes["fit_on"] == "nothing"
    assert card.notes["utterances"] > 0
    assert made.train_ids == member.train_ids  # a closed form reads no label of the held-out split
    assert card.text_source == "corpus"
    assert made.experiment.features == {name: str(path) for name, path in stores.items()}


def write_foreign(path: Path, trained: Path, tiny_store: Path, *, attributes: bool, drop: int = 0) -> Predictions:
    """What member 03 says, as another team would write it: another order of classes, an id that nobody knows."""
    ids = [u.id for u in Manifest.read(tiny_store / "manifest.jsonl.gz")][drop:]
    rows = infer_rows(Checkpoint.load(trained / "members/03"), ids, CPU)
    values = np.concatenate([rows[id].double().numpy() for id in ids])
    emotion = values[:, [2, 0, 1]]
    emotion /= emotion.sum(axis=1, keepdims=True)
    names = ("arousal", "valence") if attributes else ()
    said = Predictions(
        (*ids, "unknown"),
        LabelSet(("Neutral", "Angry", "Happy")),
        np.concatenate([emotion, emotion[:1]]),
        np.concatenate([values[:, 3:], values[:1, 3:]])[:, : len(names)],
        names,
    )
    said.write(path)
    return said


def test_predictions_of_any_system_join_by_id_and_class_name(
    tiny_store: Path, trained: Path, stores: dict[str, Path], tmp_path: Path
) -> None:
    write_foreign(tmp_path / "theirs.csv", trained, tiny_store, attributes=True)
    mixed = {"01": stores["01"], "theirs": tmp_path / "theirs.csv"}
    own = {"01": stores["01"], "theirs": stores["03"]}
    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    first, second = (build_stack(combination(tiny_store), manifest, each, {}, CPU) for each in (mixed, own))
    rows = range(len(first.stack.posteriors))
    a, b = (each.stack.posteriors.batch(rows).features["theirs"].data for each in (first, second))
    torch.testing.assert_close(a, b, atol=1e-6, rtol=0)
    made = combine(combination(tiny_store), mixed, tmp_path / "mixed", device=CPU)[""]
    assert made.card.encoders["theirs"].use == "posteriors"
    assert not made.card.challenge_legal
    assert "theirs" in made.card.notes["from_elsewhere"]
    ids = [u.id for u in manifest.split("development")]
    rows_of = infer_rows(made, ids, CPU)  # from the same file
    assert set(rows_of.frames) == set(ids)


def test_a_system_without_attributes_has_no_part_in_them(
    tiny_store: Path, trained: Path, stores: dict[str, Path], tmp_path: Path
) -> None:
    write_foreign(tmp_path / "theirs.jsonl", trained, tiny_store, attributes=False)
    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    mixed = {"01": stores["01"], "02": stores["02"], "theirs": tmp_path / "theirs.jsonl"}
    said = build_stack(combination(tiny_store), manifest, mixed, {}, CPU).stack.posteriors
    batch = said.batch(range(len(said))).features
    expected = (batch["01"].data[..., 3:] + batch["02"].data[..., 3:]) / 2
    torch.testing.assert_close(batch["theirs"].data[..., 3:], expected)


def test_a_predictions_file_of_other_ids_is_named(tiny_store: Path, stores: dict[str, Path], tmp_path: Path) -> None:
    said = Predictions(
        ("clips/x.wav",), LabelSet(("Neutral", "Angry", "Happy")), np.full((1, 3), 1 / 3), np.zeros((1, 0))
    )
    said.write(tmp_path / "theirs.csv")
    mixed = {"01": stores["01"], "theirs": tmp_path / "theirs.csv"}
    with pytest.raises(
        EnsembleError, match=r"theirs.csv: none of its ids is one of the utterances to combine on: it has clips/x.wav"
    ):
        combine(combination(tiny_store), mixed, tmp_path / "out", device=CPU)


def test_utterances_that_a_member_lacks_are_left_out_and_listed(
    tiny_store: Path, trained: Path, stores: dict[str, Path], tmp_path: Path
) -> None:
    write_foreign(tmp_path / "theirs.csv", trained, tiny_store, attributes=True, drop=45)
    mixed = {"01": stores["01"], "theirs": tmp_path / "theirs.csv"}
    made = combine(combination(tiny_store), mixed, tmp_path / "out", device=CPU)[""]
    held_out = [u.id for u in Manifest.read(tiny_store / "manifest.jsonl.gz").split("held_out")]
    expected = [id for id in held_out if id < "utt-0045"]
    assert made.card.notes["left_out_ids"] == expected
    assert made.card.notes["utterances"] == len(held_out) - len(expected)


def test_a_calibrated_vote_keeps_the_order_and_fits_its_probabilities(
    tiny_store: Path, stores: dict[str, Path], tmp_path: Path
) -> None:
    made = {
        calibrate: combine(
            combination(tiny_store, calibrate=calibrate), stores, tmp_path / str(calibrate), device=CPU
        )[""]
        for calibrate in (False, True)
    }
    plain, fitted = (said_by(made[calibrate], tiny_store, "held_out") for calibrate in (False, True))
    np.testing.assert_array_equal(plain.predicted, fitted.predicted)
    temperature = made[True].card.notes["temperature"]
    by_hand = plain.emotion ** (1 / temperature)
    np.testing.assert_allclose(fitted.emotion, by_hand / by_hand.sum(1, keepdims=True), atol=1e-5)
    truth = {u.id: u.emotion for u in Manifest.read(tiny_store / "manifest.jsonl.gz") if u.emotion}

    def loss(system: Predictions, power: float = 1.0) -> float:
        rows = [
            (system.emotion[n] ** power, system.labels.names.index(truth[id]))
            for n, id in enumerate(system.ids)
            if id in truth
        ]
        return -float(np.mean([np.log(row[label] / row.sum()) for row, label in rows]))

    assert loss(fitted) <= loss(plain)
    assert loss(fitted) <= min(loss(fitted, power) for power in (0.9, 1.1)) + 1e-6
    with pytest.raises(EnsembleError, match="were in the training of a member: choose another split"):
        combine(combination(tiny_store, fit="train", calibrate=True), stores, tmp_path / "leak", device=CPU)


def test_utterances_that_members_were_trained_on_are_known(tiny_store: Path, stores: dict[str, Path]) -> None:
    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    stack = build_stack(combination(tiny_store, fit="train"), manifest, stores, {}, CPU).stack
    assert stack.leaked == frozenset(stack.posteriors.table.ids)


def test_copies_of_what_members_were_trained_on_are_known(tiny_store: Path, stores: dict[str, Path]) -> None:
    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    source, copy = manifest.split("train")[0].id, manifest.split("held_out")[0].id
    mixed = manifest.with_utterances(replace(u, source_id=source) if u.id == copy else u for u in manifest)
    assert build_stack(combination(tiny_store), mixed, stores, {}, CPU).stack.leaked == {copy}


def test_an_out_of_fold_row_comes_from_the_model_that_never_saw_it(
    tiny_store: Path, trained: Path, stores: dict[str, Path]
) -> None:
    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    asked, only = combination(tiny_store, fit="train"), {"01": stores["01"]}
    stack = build_stack(asked, manifest, only, {"01": trained / "folds"}, CPU).stack
    assert stack.leaked == frozenset()
    assert len(stack.posteriors) == len([u for u in manifest.split("train") if u.votes])
    tested = {fold: Manifest.read(fold / "manifest.jsonl.gz").split("test") for fold in folds_of(trained)}
    for fold, utterances in tested.items():
        model = Checkpoint.load(fold / "members/01")
        for id in [u.id for u in utterances if u.votes]:
            assert id not in model.train_ids
            said = stack.posteriors.sources["01"][id]
            torch.testing.assert_close(said, infer_rows(model, [id], CPU)[id], atol=1e-5, rtol=0)
    partly = build_stack(asked, manifest, {**only, "02": stores["02"]}, {"01": trained / "folds"}, CPU).stack
    assert partly.leaked == frozenset(partly.posteriors.table.ids)  # 02 has no folds


def folds_of(trained: Path) -> list[Path]:
    return sorted((trained / "folds").glob("fold_*"))


def test_rows_that_a_fold_model_was_trained_on_are_never_used(
    tiny_store: Path, trained: Path, stores: dict[str, Path], tmp_path: Path
) -> None:
    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    asked, only = combination(tiny_store, fit="train"), {"01": stores["01"]}
    member = Checkpoint.load(trained / "members/01")
    for folds, split in (("wide", "train"), ("twice", "held_out")):  # predictions of more than the tested part
        shutil.copytree(trained / "folds", tmp_path / folds)
        for fold in sorted((tmp_path / folds).glob("fold_*")):
            model = Checkpoint.load(fold / "members/01")
            tested = {u.id for u in Manifest.read(fold / "manifest.jsonl.gz").split("test")}
            ids = [u.id for u in manifest.split(split) if split == "held_out" or u.id in tested | model.train_ids]
            rows = infer_rows(model, ids, CPU)
            said = predictions_of(member, ids, torch.cat([rows[id] for id in ids]))
            said.write(fold / "predictions/01.csv")
    wide, narrow = (
        build_stack(asked, manifest, only, {"01": folder}, CPU).stack.posteriors
        for folder in (tmp_path / "wide", trained / "folds")
    )
    for id in narrow.table.ids:
        torch.testing.assert_close(wide.sources["01"][id], narrow.sources["01"][id], atol=1e-5, rtol=0)
    with pytest.raises(EnsembleError, match="in those of another fold: every utterance to fit on must be tested by"):
        build_stack(combination(tiny_store), manifest, only, {"01": tmp_path / "twice"}, CPU)
    with pytest.raises(EnsembleError, match=r"no utterance to fit on has posteriors .*\(0 posteriors leak\)"):
        build_stack(combination(tiny_store), manifest, only, {"01": trained / "folds"}, CPU)
    with pytest.raises(EnsembleError, match="is no cross-validation of the member '02': 0 folds have"):
        build_stack(asked, manifest, {"02": stores["02"]}, {"02": trained / "folds"}, CPU)


def test_members_that_do_not_fit_are_refused_by_name(
    tiny_store: Path, trained: Path, stores: dict[str, Path], tmp_path: Path
) -> None:
    train(tiny_store, tmp_path / "other", 'head.attributes=["valence", "arousal"]', "stage.full.epochs=1")
    with pytest.raises(CheckpointError, match=r"other predicts .*'valence', 'arousal'"):
        combine(combination(tiny_store), {**stores, "other": tmp_path / "other"}, tmp_path / "out", device=CPU)
    with pytest.raises(EnsembleError, match="features of the encoder 'made_up_speech'"):
        combine(combination(tiny_store), {"x": tiny_store / "features/speech"}, tmp_path / "out", device=CPU)
    (tmp_path / "few.csv").write_text("id,Angry,Happy\nutt-0003,0.5,0.5\n")
    with pytest.raises(Exception, match="Neutral"):
        combine(combination(tiny_store), {**stores, "few": tmp_path / "few.csv"}, tmp_path / "out", device=CPU)
    assert not (tmp_path / "out").exists()


def test_weights_that_are_not_finite_are_refused(
    tiny_store: Path, stores: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def aggregate(stack: Stack) -> dict[str, Combined]:
        weights = {"head.emotion.weight": torch.full((3, 6), torch.nan)}
        return {"": Combined(Use(use="concat"), Head(), weights, notes={"fit_on": "nothing"})}

    monkeypatch.setattr("sertk.ensemble.combine.build", lambda registry, use: aggregate)
    with pytest.raises(EnsembleError, match=r"not finite \('head.emotion.weight' of out\)"):
        combine(combination(tiny_store), stores, tmp_path / "out", device=CPU)
    assert not (tmp_path / "out").exists()


def test_posteriors_of_an_earlier_state_of_a_model_are_refused(
    tiny_store: Path, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "members/01", tmp_path / "model")
    write_posteriors(tmp_path / "model", tmp_path / "store", ["utt-0003"])
    shutil.rmtree(tmp_path / "model")
    shutil.copytree(trained / "members/02", tmp_path / "model")
    with pytest.raises(CheckpointError, match="earlier state"):
        combine(combination(tiny_store), {"x": tmp_path / "store"}, tmp_path / "out", device=CPU)


def test_what_lies_at_the_output_is_never_lost(
    tiny_store: Path, models: dict[str, Path], stores: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        combine(combination(tiny_store), stores, tmp_path / "mine", device=CPU)
    assert (tmp_path / "mine/thesis.tex").read_text() == "years of work"
    with pytest.raises(OutputError, match="would replace the input"):
        combine(combination(tiny_store), models, models["01"].parent, device=CPU)
    theirs = shutil.copytree(models["01"], tmp_path / "trained")
    with pytest.raises(OutputError, match="made by `sertk train`"):
        combine(combination(tiny_store), stores, theirs, device=CPU)
    Checkpoint.load(theirs)
    combine(combination(tiny_store), stores, tmp_path / "vote", device=CPU)
    before = sha256_file(tmp_path / "vote/card.json")
    with pytest.raises(ConfigError):
        combine(combination(tiny_store, "prior_corrected", power=-1.0), stores, tmp_path / "vote", device=CPU)
    assert sha256_file(tmp_path / "vote/card.json") == before


@pytest.mark.plugins
def test_an_earlier_result_is_replaced_whole_and_files_of_others_in_it_are_not_lost(
    tiny_store: Path, stores: dict[str, Path], tmp_path: Path
) -> None:
    pytest.importorskip("sertk_meta")
    asked = combination(tiny_store, "meta_classifier", seeds=[1, 2], epochs=1)
    out = tmp_path / "out"
    combine(combination(tiny_store), stores, out, device=CPU)
    combine(asked, stores, out, device=CPU)
    assert sorted(path.name for path in out.iterdir()) == ["seed-1", "seed-2"]
    (out / "seed-2/notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"seed-2 .*did not write \(notes\.txt\)"):
        combine(asked, stores, out, device=CPU)
    (out / "seed-2/notes.txt").rename(out / "notes.txt")
    with pytest.raises(OutputError, match=r"a folder with notes\.txt"):
        combine(asked, stores, out, device=CPU)
    (out / "notes.txt").unlink()
    made = provenance_of(asked, stores, {})
    assert is_current(out, made)
    shutil.rmtree(out / "seed-2")
    assert not is_current(out, made)
    combine(combination(tiny_store), stores, out, device=CPU)
    assert not (out / "seed-1").exists()


def test_what_is_made_is_up_to_date_until_what_it_reads_changes(
    tiny_store: Path, stores: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(tiny_store, tmp_path / "corpus")
    asked, out = combination(tmp_path / "corpus"), tmp_path / "vote"
    assert not is_current(out, provenance_of(asked, stores, {}))
    combine(combination(tiny_store), stores, out, device=CPU)
    assert is_current(out, provenance_of(asked, stores, {}))
    fewer = {name: stores[name] for name in ("01", "02")}
    turned = {name: stores[name] for name in ("03", "02", "01")}
    for other, members in ((combination(tiny_store, "vote"), stores), (asked, fewer), (asked, turned)):
        assert not is_current(out, provenance_of(other, members, {}))

    path = tmp_path / "corpus/manifest.jsonl.gz"
    manifest = Manifest.read(path)

    def with_one_changed(split: str, **change: object) -> None:
        first = next(u for u in manifest if u.split == split)
        manifest.with_utterances(replace(u, **change) if u is first else u for u in manifest).write(path)  # type: ignore[arg-type]

    for split, change, current in (
        ("train", {"emotion": "Happy", "votes": {"Happy": 5.0}}, True),
        ("development", {"emotion": "Happy", "votes": {"Happy": 5.0}}, True),
        ("held_out", {"gender": "Female", "language": "en"}, True),
        ("held_out", {"emotion": "Happy", "votes": {"Happy": 5.0}}, False),
        ("held_out", {"attributes": {"arousal": 1.25}}, False),
        ("held_out", {"speaker": "speaker-new"}, False),
    ):
        with_one_changed(split, **change)
        assert is_current(out, provenance_of(asked, stores, {})) is current, (split, change)


def test_the_record_of_a_combination_plans_it_again(
    tiny_store: Path, stores: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    combine(combination(tiny_store), stores, tmp_path / "vote", device=CPU)
    record = read_record(tmp_path / "vote")
    assert record is not None
    monkeypatch.chdir(tmp_path / "vote" / record.folder)
    assert provenance(**record.made.call).key == record.made.key
    again = Checkpoint.load(tmp_path / "vote")  # the record is under the checksums
    (tmp_path / "vote/provenance.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"provenance\.json"):
        Checkpoint.load(again.folder or Path())


def test_an_ensemble_of_an_ensemble_follows_how_the_inner_one_was_combined(
    tiny_store: Path, models: dict[str, Path], tmp_path: Path
) -> None:
    """Votes have no weights: what they are is in their fusion, their options and their members."""
    keys = set()
    inner = {name: models[name] for name in ("01", "02")}
    weighted = {"divide_by": "label_prior"}
    for number, (aggregator, options) in enumerate(
        [
            ("vote", {}),
            ("soft_vote", {}),
            ("prior_corrected", weighted),
            ("prior_corrected", weighted | {"power": 0.5}),
        ]
    ):
        combine(combination(tiny_store, aggregator, **options), inner, tmp_path / "inner", device=CPU)
        both = {"inner": tmp_path / "inner", "03": models["03"]}
        made = provenance_of(combination(tiny_store), both, {})
        assert not is_current(tmp_path / "outer", made), number
        combine(combination(tiny_store), both, tmp_path / "outer", device=CPU)
        assert is_current(tmp_path / "outer", made)
        keys.add(made.key)
    assert len(keys) == 4


def test_posteriors_of_other_features_than_there_are_now_are_refused(
    tiny_store: Path, models: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(tiny_store, tmp_path / "corpus")
    train(
        tmp_path / "corpus",
        tmp_path / "01",
        f"features.words={tmp_path}/corpus/features/words",
        "stage.full.epochs=1",
    )
    held_out = [u.id for u in Manifest.read(tiny_store / "manifest.jsonl.gz").split("held_out")]
    write_posteriors(tmp_path / "01", tmp_path / "posteriors", held_out)
    combine(combination(tiny_store), {"01": tmp_path / "posteriors"}, tmp_path / "vote", device=CPU)
    words = FeatureStore.open(tmp_path / "corpus/features/words")
    shutil.rmtree(tmp_path / "corpus/features/words")
    with StoreWriter(tmp_path / "corpus/features/words", words.card) as writer:
        there = FeatureStore.open(tiny_store / "features/words")
        for id in there:
            writer.add(id, there[id].clone(), "of other words" if id == held_out[0] else words.sources[id])
    with pytest.raises(StoreError, match=rf"posteriors: 1 of {len(held_out)} utterances .* other features"):
        combine(combination(tiny_store), {"01": tmp_path / "posteriors"}, tmp_path / "vote", device=CPU)


def test_transcripts_that_changed_since_are_found_through_the_posteriors(
    tiny_store: Path, stores: dict[str, Path], models: dict[str, Path], tmp_path: Path
) -> None:
    manifest = Manifest.read(tiny_store / "manifest.jsonl.gz")
    changed = manifest.with_utterances(replace(u, text="other words") for u in manifest)
    changed.write(tmp_path / "manifest.jsonl.gz")
    for members, where in ((stores, "posteriors/01"), (models, "features/words")):
        with pytest.raises(StoreError, match=rf"{where}: \d+ of \d+ utterances .*: run `sertk extract` again"):
            combine(combination(tmp_path), members, tmp_path / "vote", device=CPU)


def test_the_command_combines_once_and_names_members_by_their_folders(
    tiny_store: Path, trained: Path, stores: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "vote.toml"
    config.write_text(f'[aggregator]\nuse = "soft_vote"\n[data]\nmanifest = "{tiny_store}/manifest.jsonl.gz"\n')
    words = ["combine", str(config), str(stores["01"]), f"best={stores['02']}", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert "soft_vote of 2" in capsys.readouterr().out
    assert set(Checkpoint.load(tmp_path / "out").card.encoders) == {"01", "best"}
    assert main(words) == 0
    assert capsys.readouterr().out == f"up to date  {tmp_path / 'out'}\n"
    assert main([*words, "--force"]) == 0
    assert main([*words[:2], str(stores["01"]), str(trained / "members/01"), "--out", str(tmp_path / "x")]) == 2
    capsys.readouterr()
    folds = ["--out-of-fold", f"01={trained / 'folds'}", "--set", "fit=train", "--force"]
    assert main([*words, *folds]) == 0
    assert "of train out of fold" in capsys.readouterr().out
