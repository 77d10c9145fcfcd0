from __future__ import annotations

import pytest
import torch

from sertk.models.dropout import dropout


@pytest.mark.parametrize("probability", [0.1, 0.25, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_elements_are_zeroed_alike_often_and_the_mean_stays(probability: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    out = dropout(torch.ones(500, 801, dtype=dtype), probability, True)
    zero = out == 0
    assert out.dtype == dtype
    assert abs(float(zero.float().mean()) - probability) < 5e-3
    for lane in range(4):  # the four that share a draw
        assert abs(float(zero.flatten()[lane::4].float().mean()) - probability) < 1e-2
    pairs = zero.flatten()[: 4 * (zero.numel() // 4)].view(-1, 4).double()
    assert torch.corrcoef(pairs.T).fill_diagonal_(0).abs().max() < 2e-2  # and tell nothing of each other
    assert abs(float(out.float().mean()) - 1) < 2e-2
    assert len(out.unique()) == 2


def test_gradients_flow_where_values_do_and_a_seed_repeats_them() -> None:
    x = torch.randn(3, 5, 7, requires_grad=True)
    torch.manual_seed(1)
    out = dropout(x, 0.4, True)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    torch.testing.assert_close(gradient * x, out)
    torch.manual_seed(1)
    assert torch.equal(dropout(x, 0.4, True), out)
    assert not torch.equal(dropout(x, 0.4, True), out)


def test_nothing_is_dropped_outside_training_or_at_zero() -> None:
    x = torch.randn(4, 3)
    assert torch.equal(dropout(x, 0.4, False), x)
    assert torch.equal(dropout(x, 0.0, True), x)
    assert torch.equal(dropout(x, 1.0, True), torch.zeros(4, 3))
