from __future__ import annotations

import pytest
import torch

from sertk.errors import ConfigError
from sertk.models.fusions.posterior_mean import PosteriorMean
from sertk.tensors import Features, Padded

A = [[0.6, 0.3, 0.1, 2.0], [0.2, 0.5, 0.3, 5.0]]
B = [[0.1, 0.7, 0.2, 4.0], [0.3, 0.4, 0.3, 6.0]]
C = [[0.5, 0.4, 0.1, 3.0], [0.8, 0.1, 0.1, 7.0]]


def said(*members: list[list[float]]) -> Features:
    return {
        f"member.{number}": Padded(torch.tensor(member)[:, None], torch.ones(len(member), dtype=torch.int64))
        for number, member in enumerate(members)
    }


def dims(features: Features) -> dict[str, int]:
    return {name: padded.data.shape[-1] for name, padded in features.items()}


def test_soft_vote_is_the_mean_of_probabilities_and_attributes() -> None:
    features = said(A, B, C)
    output = PosteriorMean(dims(features), classes=3)(features)
    mean = torch.tensor([A, B, C]).mean(0)
    torch.testing.assert_close(output[:, :3].softmax(-1), mean[:, :3])
    torch.testing.assert_close(output[:, 3:], mean[:, 3:])


def test_hard_vote_counts_and_breaks_ties_by_probability() -> None:
    features = said(A, B, C)
    shares = PosteriorMean(dims(features), classes=3, hard=True)(features)[:, :3].softmax(-1)
    torch.testing.assert_close(shares, torch.tensor([[2 / 3, 1 / 3, 0], [1 / 3, 2 / 3, 0]]), atol=1e-4, rtol=0)
    tied = said(A, B)
    assert PosteriorMean(dims(tied), classes=3, hard=True)(tied)[:, :3].argmax(-1).tolist() == [1, 1]


def test_prior_divides_the_probabilities_and_tells_the_number_of_classes() -> None:
    features = said(A, B)
    prior = [0.2, 0.7, 0.1]
    output = PosteriorMean(dims(features), prior=prior)(features)
    corrected = torch.tensor([A, B]).mean(0)[:, :3] / torch.tensor(prior)
    torch.testing.assert_close(output[:, :3].softmax(-1), corrected / corrected.sum(-1, keepdim=True))
    torch.testing.assert_close(output[:, 3], torch.tensor([3.0, 5.5]))


def test_prior_acts_before_the_vote() -> None:
    features = said(B)
    fusion = PosteriorMean(dims(features), prior=[0.05, 0.9, 0.05], hard=True)
    assert fusion(features)[:, :3].argmax(-1).tolist() == [2, 0]


def test_a_class_that_nobody_believes_in_stays_finite() -> None:
    features = said([[1.0, 0.0]])
    assert torch.isfinite(PosteriorMean({"member.0": 2})(features)).all()


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ({"a": 4, "b": 5}, {}, "as many for every model"),
        ({"a": 4}, {"prior": [0.5, 0.5], "classes": 3}, "3 positive numbers"),
        ({"a": 4}, {"prior": [0.5, 0.5, 0.0]}, "3 positive numbers"),
        ({"a": 4}, {"classes": 5}, "do not fit"),
    ],
)
def test_what_cannot_be_averaged_is_refused(sizes: dict[str, int], options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PosteriorMean(sizes, **options)


def test_weights_make_the_mean_that_of_members_taken_several_times() -> None:
    features = said([[0.9, 0.1, 2.0]], [[0.3, 0.7, 5.0]])
    found = PosteriorMean(dict.fromkeys(features, 3), classes=2, weights=[2.0, 1.0])(features)
    expected = torch.tensor([[0.7, 0.3, 3.0]])
    torch.testing.assert_close(torch.cat([found[:, :2].exp(), found[:, 2:]], dim=1), expected)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0]])
def test_weights_must_be_one_a_model_and_none_below_zero(weights: list[float]) -> None:
    with pytest.raises(ConfigError, match="weights"):
        PosteriorMean({"a": 3, "b": 3}, weights=weights)
