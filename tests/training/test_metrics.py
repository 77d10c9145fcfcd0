from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, recall_score

from sertk.batching.dataset import FeatureSet
from sertk.config.schema import Selection
from sertk.data.labels import NO_AGREEMENT, LabelTable
from sertk.errors import DataError, TrainingError
from sertk.models.classifier import Classifier
from sertk.training.evaluate import infer, score
from sertk.training.metrics import balanced_macro_f1, ccc, macro_f1, uar

CPU = torch.device("cpu")


def test_macro_f1_and_recall_are_what_the_definitions_say() -> None:
    truth, said = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 0, 1, 1, 2, 0])
    f1 = [2 * 2 / (3 + 3), 2 * 1 / (1 + 2), 2 * 1 / (2 + 1)]
    assert macro_f1(truth, said, 3) == pytest.approx(np.mean(f1))
    assert uar(truth, said, 3) == pytest.approx(np.mean([2 / 3, 1, 1 / 2]))


def test_macro_f1_and_recall_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    for _ in range(50):
        count = int(random.integers(1, 30))
        truth, said = random.integers(0, 8, (2, count))
        f1 = f1_score(truth, said, average="macro", zero_division=0.0)
        recall = recall_score(truth, said, labels=np.unique(truth), average="macro", zero_division=0.0)
        assert macro_f1(truth, said, 8) == pytest.approx(f1)
        assert uar(truth, said, 8) == pytest.approx(recall)


def test_a_class_that_never_occurs_does_not_count() -> None:
    truth, said = np.array([0, 0, 3]), np.array([0, 0, 3])
    assert macro_f1(truth, said, 8) == uar(truth, said, 8) == 1.0
    assert macro_f1(truth, np.array([0, 5, 3]), 8) == pytest.approx((2 * 1 / 3 + 1 + 0) / 3)  # 5 is said, so counts


def test_concordance_punishes_shift_and_scale() -> None:
    x = np.random.default_rng(1).normal(4, 1, 500)
    assert ccc(x, x) == pytest.approx(1)
    assert ccc(x, 8 - x) == pytest.approx(-1, abs=0.02)
    assert ccc(x, x + 1) == pytest.approx(2 * x.var() / (2 * x.var() + 1))
    assert ccc(x, np.full(500, 4.0)) == ccc(np.ones(3), np.ones(3)) == 0.0
    for bad in (np.array([]), np.array([1.0, np.nan])):
        with pytest.raises(DataError, match="NaN"):
            ccc(bad, bad)


def test_balanced_score_undoes_the_class_prior_and_repeats_by_seed() -> None:
    random = np.random.default_rng(1)
    truth = np.repeat([0, 1, 2], [500, 60, 40])
    said = np.where(random.random(600) < 0.6, truth, 0)  # leans to the large class
    balanced = balanced_macro_f1(truth, said, 3, draws=10, seed=1)
    assert balanced == balanced_macro_f1(truth, said, 3, draws=10, seed=1)
    assert balanced != balanced_macro_f1(truth, said, 3, draws=10, seed=2)
    copies = np.concatenate([np.flatnonzero(truth == c).repeat(600 // (truth == c).sum()) for c in range(3)])
    assert balanced == pytest.approx(f1_score(truth[copies], said[copies], average="macro"), abs=0.03)


def test_a_class_that_is_said_but_never_true_counts_in_every_balanced_draw() -> None:
    truth = np.repeat([0, 1], [10, 200])
    said = truth.copy()
    said[-1] = 2  # one of 200: most draws of ten lack it
    assert balanced_macro_f1(truth, said, 3, draws=50, seed=1) == pytest.approx(2 / 3, abs=0.01)


def test_scores_without_anything_to_read_are_errors() -> None:
    nothing = np.array([], dtype=np.int64)
    with pytest.raises(DataError, match="no utterance with a consensus"):
        balanced_macro_f1(nothing, nothing, 3, draws=2, seed=1)
    with pytest.raises(DataError, match=r"must be in 0\.\.2"):
        macro_f1(np.array([0, NO_AGREEMENT]), np.array([0, 1]), 3)


def test_posteriors_come_in_row_order_whatever_the_batches(
    classifier: Callable[..., Classifier], data: Callable[..., FeatureSet]
) -> None:
    model, utterances = classifier(dropout=0.5), data()
    posteriors = infer(model, utterances, batch_size=7, device=CPU)
    assert posteriors.shape == (40, 6)
    assert posteriors.dtype == torch.float32
    torch.testing.assert_close(posteriors[:, :4].sum(-1), torch.ones(40))
    model.eval()
    for row in (0, 17, 39):
        alone = model(utterances.batch([row]).features).posteriors[0]
        torch.testing.assert_close(posteriors[row], alone)
    backwards = infer(model, utterances.take(range(39, -1, -1)), batch_size=40, device=CPU)
    torch.testing.assert_close(backwards.flip(0), posteriors)


@pytest.mark.parametrize("mode", [True, False])
def test_inference_gives_the_model_back_in_its_mode(
    classifier: Callable[..., Classifier], data: Callable[..., FeatureSet], mode: bool
) -> None:
    model = classifier().train(mode)
    infer(model, data(5), device=CPU)
    assert model.training is mode


def test_autocast_around_it_does_not_reach_inference(
    classifier: Callable[..., Classifier], data: Callable[..., FeatureSet]
) -> None:
    model, utterances = classifier(), data()
    plain = infer(model, utterances, device=CPU)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(infer(model, utterances, device=CPU), plain)
        half = model(utterances.batch(range(40)).features).posteriors.detach()
    assert float((half - plain)[:, :4].abs().max()) > 1e-4  # what it keeps out


def test_posteriors_that_are_not_finite_are_named(
    classifier: Callable[..., Classifier], data: Callable[..., FeatureSet]
) -> None:
    utterances = data(12)
    utterances.sources["text"]["utt004"][0, 1] = float("nan")
    with pytest.raises(TrainingError, match=r"1 of 12 .* \(utt004\)"):
        infer(classifier(), utterances, device=CPU)


def test_scores_read_the_utterances_that_have_the_label(table: Callable[..., LabelTable]) -> None:
    made = table(200)
    agreed = made.consensus != NO_AGREEMENT
    right = torch.full((200, 6), 0.0)
    right[torch.arange(200), torch.from_numpy(np.where(agreed, made.consensus, 0))] = 1.0
    right[:, 4:] = torch.from_numpy(made.attributes).nan_to_num(3.0)
    for metric in ("balanced_macro_f1", "macro_f1", "uar", "mean_ccc"):
        assert score(right, made, Selection(metric=metric), 1) == pytest.approx(1.0)
    wrong = right.clone()
    wrong[~torch.from_numpy(agreed)] = 0.0
    assert score(wrong, made, Selection(metric="macro_f1"), 1) == pytest.approx(1.0)
    with pytest.raises(DataError, match=r"head\.attributes"):
        score(right[:, :4], table(20, attributes=0), Selection(metric="mean_ccc"), 1)
