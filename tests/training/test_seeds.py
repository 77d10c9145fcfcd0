from __future__ import annotations

import torch

from sertk.training.seeds import derive, seeded


def test_derived_seeds_are_fixed_numbers_unlike_each_other() -> None:
    found = {derive(seed, label, number) for seed in range(20) for label in ("epoch", "fold") for number in range(20)}
    assert len(found) == 800
    assert all(0 <= seed < 2**63 for seed in found)
    assert derive(1, "1") != derive(1, 1)
    assert derive(1, "epoch", 2) == 6125081170948958265  # a run of today must resume tomorrow


def test_seeded_draws_repeat_and_leave_the_callers_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    with seeded(8):
        first = torch.rand(4)
    with seeded(8):
        assert torch.equal(torch.rand(4), first)
    assert torch.equal(torch.rand(4), expected)
