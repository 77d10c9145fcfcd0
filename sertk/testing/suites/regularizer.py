"""What every regularizer keeps: `on_batch` before and `on_embedding` behind the fusion, in training alone."""

# Longer than others: one contract, whose checks draw in one way.
from __future__ import annotations

import torch
from torch import Tensor

from sertk.contracts import Regularizer
from sertk.errors import TrainingError
from sertk.tensors import Features, Targets
from sertk.testing.suites.base import Subject, global_seeds, require, require_finite, require_near
from sertk.testing.suites.made_up import EQUAL, copied, features, same_features, targets
from sertk.training.hooks import check_hooks, run_hooks

BATCH, WIDTH, SEEDS = 4, 32, 20
"""SEEDS: generators that each check draws with, so that what happens rarely happens."""


def hooks(subject: Subject) -> None:
    """It has at least one hook, and no method `on_...` that is never called."""
    try:
        check_hooks(_built(subject), subject.name)
    except TrainingError as error:
        require(False, str(error))


def shapes(subject: Subject) -> None:
    """Modalities, batch size, D, width and type do not change. Lengths are between 1 and T; padding stays zero."""
    dims = _dims(subject)
    for seed in range(SEEDS):
        batch, truth, fused = _drawn(subject, seed)
        require(list(batch) == list(dims), f"the modalities should stay {list(dims)}, got {list(batch)}")
        for name, padded in batch.items():
            size, frames, dim = padded.data.shape
            require(
                (size, dim) == (BATCH, dims[name]),
                f"{name!r} should stay (B, T, D) = ({BATCH}, T, {dims[name]}), got {tuple(padded.data.shape)}",
            )
            require(padded.data.dtype == torch.float32, f"{name!r} should stay float32, got {padded.data.dtype}")
            lengths = padded.lengths
            require(
                lengths.shape == (BATCH,) and not lengths.is_floating_point(),
                f"the lengths of {name!r} should be {BATCH} integers, got {lengths}",
            )
            require(
                (lengths >= 1).all() and (lengths <= frames).all(),
                f"the lengths of {name!r} should be from 1 to T = {frames}, got {lengths.tolist()}",
            )
            require(
                (padded.data[~padded.mask] == 0).all(),
                f"the padding of {name!r} should stay zero: multiply by the mask",
            )
        wanted = _targets()
        pairs = (
            ("fused vectors", fused.shape, torch.Size((BATCH, WIDTH))),
            ("class targets", truth.emotion.shape, wanted.emotion.shape),
            ("attributes", truth.attributes.shape, wanted.attributes.shape),
        )
        for what, shape, before in pairs:
            require(shape == before, f"{what} should stay of shape {tuple(before)}, got {tuple(shape)}")


def input_unchanged(subject: Subject) -> None:
    """Inputs may be views of a store and are not changed in place."""
    for seed in range(SEEDS):
        batch, truth, fused = features(_dims(subject)), _targets(), _fused()
        before, built = copied(batch), _built(subject)
        run_hooks("on_batch", [built], batch, truth, _generator(seed))
        run_hooks("on_embedding", [built], fused, truth, _generator(seed))
        require(same_features(batch, before), "the features were changed in place: give new ones")
        require(torch.equal(fused, _fused()), "the fused vectors were changed in place: give new ones")
        require(_same_targets(truth, _targets()), "the targets were changed in place: give new ones")


def probabilities(subject: Subject) -> None:
    """Class targets remain probabilities that sum to 1."""
    for seed in range(SEEDS):
        emotion = _drawn(subject, seed)[1].emotion
        require_finite(emotion, "class targets")
        require((emotion >= 0).all(), f"class targets should be 0 or more, got {float(emotion.min()):.3g}")
        require_near(emotion.sum(-1), torch.ones(BATCH), "the sum of class targets, beside 1", tolerance=1e-5)


def missing_attributes(subject: Subject) -> None:
    """A missing attribute (NaN) remains missing; none becomes infinite."""
    absent = _targets().attributes.isnan()
    for seed in range(SEEDS):
        attributes = _drawn(subject, seed)[1].attributes
        require(
            attributes[absent].isnan().all(),
            "a missing attribute (NaN) got a value: keep it missing, also where it is mixed",
        )
        require(not attributes.isinf().any(), "an attribute is infinite")


def repeatable(subject: Subject) -> None:
    """Equal generators give equal results, whether the regularizer was used before or not."""
    used = _built(subject)
    for seed in range(SEEDS):
        _require_same(
            _drawn(subject, seed),
            _drawn(subject, seed, used),
            f"a fresh regularizer and a used one with generator {seed}: keep nothing, draw all from the generator",
        )


def global_random_state(subject: Subject) -> None:
    """All random numbers come from the generator, not from global random states."""
    for seed in range(SEEDS):
        drawn = []
        for state in (1, 2):
            with global_seeds(state):
                drawn.append(_drawn(subject, seed))
        _require_same(drawn[0], drawn[1], "two global seeds of random, NumPy or torch: draw all from the generator")


def generator_decides(subject: Subject) -> None:
    """Different generators give different results, over twenty of them."""
    drawn = [_drawn(subject, seed) for seed in range(SEEDS)]
    require(
        any(not _same(drawn[0], other) for other in drawn[1:]),
        "twenty generators give the same result: draw from the generator that is passed in",
    )


def probability_zero(subject: Subject) -> None:
    """With the option `probability` = 0, if there is one, nothing changes."""
    if not subject.takes("probability"):
        return
    off = subject.build(probability=0.0)
    for seed in range(SEEDS):
        _require_same(
            _drawn(subject, seed, off),
            (features(_dims(subject)), _targets(), _fused()),
            "probability = 0 and no regularizer at all",
        )


def joined(subject: Subject) -> None:
    """If the fused vectors of a batch are mixed or moved, their class targets are mixed or moved in the same way."""
    built = _built(subject)
    fused, truth = _fused(), _targets()
    for seed in range(SEEDS):
        after, changed = run_hooks("on_embedding", [built], fused, truth, _generator(seed))
        mixing = after.double() @ torch.linalg.pinv(fused.double())  # (B, B): after = mixing fused, if anything does
        if torch.allclose(mixing @ fused.double(), after.double(), atol=1e-4):
            off_diagonal = mixing - mixing.diag().diag()
            if off_diagonal.abs().max() > 1e-3:
                wanted = mixing @ truth.emotion.double()
                require_near(
                    changed.emotion.double(),
                    wanted,
                    "class targets, which should be mixed as the fused vectors are",
                    tolerance=1e-3,
                )


def gradients(subject: Subject) -> None:
    """Gradients pass through `on_embedding`; over twenty generators they reach every utterance."""
    reached = torch.zeros(BATCH, dtype=torch.bool)
    for seed in range(SEEDS):
        fused = _fused().requires_grad_()
        after, _ = run_hooks("on_embedding", [_built(subject)], fused, _targets(), _generator(seed))
        require(after.requires_grad, "no gradient passes through on_embedding: do not detach")
        (gradient,) = torch.autograd.grad(after.square().sum(), fused)
        require_finite(gradient, "the gradient through on_embedding")
        reached |= (gradient != 0).any(dim=1)
    missing = (~reached).nonzero()[:, 0].tolist()
    require(not missing, f"no gradient reaches the utterances {missing} of {BATCH}: do not detach them")


def half_precision(subject: Subject) -> None:
    """Fused vectors in bfloat16 remain in bfloat16, and finite."""
    for seed in range(SEEDS):
        after, _ = run_hooks("on_embedding", [_built(subject)], _fused().bfloat16(), _targets(), _generator(seed))
        require(after.dtype == torch.bfloat16, f"fused vectors in bfloat16 should stay so, got {after.dtype}")
        require_finite(after, "fused vectors in bfloat16")


def one_utterance(subject: Subject) -> None:
    """A batch of one utterance works."""
    batch = {
        name: type(padded)(padded.data[:1], padded.lengths[:1]) for name, padded in features(_dims(subject)).items()
    }
    truth = Targets(_targets().emotion[:1], _targets().attributes[:1])
    after_batch, changed = run_hooks("on_batch", [_built(subject)], batch, truth, _generator(0))
    after, changed = run_hooks("on_embedding", [_built(subject)], _fused()[:1], changed, _generator(0))
    require(
        after.shape == (1, WIDTH) and len(changed.emotion) == 1,
        f"fused vectors of one utterance became {tuple(after.shape)}, with {len(changed.emotion)} class targets",
    )
    require(all(len(padded) == 1 for padded in after_batch.values()), "a batch of one utterance became a larger one")


CONTRACTS = (
    hooks,
    shapes,
    input_unchanged,
    probabilities,
    missing_attributes,
    repeatable,
    global_random_state,
    generator_decides,
    probability_zero,
    joined,
    gradients,
    half_precision,
    one_utterance,
)

Drawn = tuple[Features, Targets, Tensor]


def _dims(subject: Subject) -> dict[str, int]:
    """The modalities that the regularizer needs, or three."""
    return dict(subject.dims or EQUAL)


def _built(subject: Subject) -> Regularizer:
    regularizer: Regularizer = subject.build()
    return regularizer


def _drawn(subject: Subject, seed: int, regularizer: Regularizer | None = None) -> Drawn:
    """What both calls make of the made-up batch, the targets of the first given to the second."""
    built, generator = regularizer or _built(subject), _generator(seed)
    batch, truth = run_hooks("on_batch", [built], features(_dims(subject)), _targets(), generator)
    fused, truth = run_hooks("on_embedding", [built], _fused(), truth, generator)
    return batch, truth, fused


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _targets() -> Targets:
    return targets(BATCH)


def _fused() -> Tensor:
    return torch.randn(BATCH, WIDTH, generator=_generator(11))


def _same_targets(one: Targets, other: Targets) -> bool:
    attributes = torch.equal(one.attributes.nan_to_num(-1.0), other.attributes.nan_to_num(-1.0))
    return attributes and torch.equal(one.emotion, other.emotion)


def _same(one: Drawn, other: Drawn) -> bool:
    return same_features(one[0], other[0]) and _same_targets(one[1], other[1]) and torch.equal(one[2], other[2])


def _require_same(one: Drawn, other: Drawn, what: str) -> None:
    require(_same(one, other), f"the results differ between {what}")
