"""MEDUSA's stage 3: linear maps of the members' outputs, one a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor

from sertk import registry
from sertk.batching.collate import targets_of
from sertk.batching.dataset import FeatureSet
from sertk.config.build import build
from sertk.config.schema import Head, LossTerm, Positive, Use
from sertk.contracts import Combined, Stack
from sertk.errors import EnsembleError
from sertk.models.classifier import Classifier, build_classifier
from sertk.models.fusions.concat import Concat
from sertk.models.head import LinearHead
from sertk.revisions import revision
from sertk.training.seeds import derive
from sertk_meta.together import fit_together

FUSION = Use.model_validate({"use": "concat", "standardise": True})
BALANCED = Use(use="balanced")
LOSS = (LossTerm(use="cross_entropy", weight=1.5), LossTerm(use="attribute_mse", weight=0.4))
ROWS_AT_ONCE = 4096
"""Utterances that are read together."""
SMALLEST_STD = 1e-6
"""Inputs that vary less are constant: they are centred and left at that."""


@revision(1)
def meta_classifier(
    *,
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (1, 2, 3, 4, 5, 6),
    fit_on: Literal["held_out", "out_of_fold", "train"] = "held_out",
    epochs: Positive = 50,
    least_steps: Positive = 100,
    lr: Annotated[float, Field(gt=0)] = 1e-3,
    weight_decay: Annotated[float, Field(ge=0)] = 0.01,
    attribute_output: Literal["sigmoid", "linear"] = "sigmoid",
    batch_size: Positive = 128,
    sampler: Use = BALANCED,
    loss: tuple[LossTerm, ...] = LOSS,
) -> Callable[[Stack], dict[str, Combined]]:
    """Fit one linear map of all members' posteriors for each seed, all seeds at once; MEDUSA's stage 3.

    Reads M members' C probabilities and A attributes, all standardised by the utterances fitted on: attributes
    because raw ones keep a linear map near chance for long, probabilities because those of rare classes vary little
    and would be learnt last. A seed decides the first weights and the draws. The optimizer is AdamW.

    Parameters
    ----------
    seeds
        One model each.
    fit_on
        What the members' posteriors are: of utterances no member was trained on (`held_out`), by models of folds
        (`out_of_fold`), or of the training utterances themselves (`train`), a leak that must be asked for.
    epochs
        Of the sampler; the paper names none, its code has 50.
    least_steps
        What is done in any case, as a balanced epoch of a small split is one batch. More is no better: a map of some
        hundred weights per class, fitted on few utterances, soon knows them by heart.
    lr
        Learning rate.
    weight_decay
        Of AdamW.
    attribute_output
        `sigmoid` starts in the middle of the range; `linear` is unbounded, starts at 0 and takes some 4 / lr steps to
        the middle of 1..7.
    batch_size
        Utterances in a batch.
    sampler, loss
        As in an experiment's stage; the sampler gets the batch_size where it names none.

    Raises
    ------
    EnsembleError
        Where members were trained on these utterances and `fit_on` is not `train`.

    References
    ----------
    MEDUSA (arXiv 2506.09556), section 3.5.
    """

    def aggregate(stack: Stack) -> dict[str, Combined]:
        if fit_on != "train":
            refuse_leak(stack)
        draws = Use.model_validate({"batch_size": batch_size, **sampler.model_dump()})
        table = stack.posteriors.table
        head = Head(activation="none", attribute_output=attribute_output, attributes=list(table.attribute_names))
        models = [_first_weights(stack.posteriors, head, seed) for seed in seeds]
        inputs = standardise(models, fused_rows(models[0], stack.posteriors))  # (N, D)
        samplers = [build(registry.samplers, draws, table, derive(seed, "meta_classifier")) for seed in seeds]
        samplers[0].set_epoch(0)
        steps = max(least_steps, epochs * len(samplers[0]))
        last = fit_together(
            [cast(LinearHead, model.head) for model in models],
            inputs.to(stack.device),
            targets_of(table, range(len(table))).to(stack.device),
            samplers=samplers,
            losses=[(term.weight, build(registry.losses, term, table)) for term in loss],
            lr=lr,
            weight_decay=weight_decay,
            steps=steps,
        )
        return {
            f"seed-{seed}": Combined(
                FUSION,
                head,
                weights=model.state_dict(),
                notes={
                    "fit_on": fit_on,
                    "leaked": len(stack.leaked),
                    "init_seed": seed,
                    "steps": steps,
                    "last_loss": value,
                },
            )
            for seed, model, value in zip(seeds, models, last, strict=True)
        }

    return aggregate


def refuse_leak(stack: Stack) -> None:
    """Raise EnsembleError when members were trained on utterances of the stack."""
    if stack.leaked:
        raise EnsembleError(
            f"{len(stack.leaked)} of {len(stack.posteriors)} utterances were in the training of a member, whose "
            f"posteriors of them are too good: fit on a held-out split, give posteriors of fold models with "
            f'--out-of-fold, or ask for the leak with fit_on = "train"'
        )


def fused_rows(model: Classifier, data: FeatureSet) -> Tensor:
    """What the fusion gives of every utterance, (N, D). Raises EnsembleError naming those that are not finite."""
    with torch.no_grad():
        parts = [
            model.fuse(data.batch(range(start, min(start + ROWS_AT_ONCE, len(data)))).features)
            for start in range(0, len(data), ROWS_AT_ONCE)
        ]
    rows = torch.cat(parts)
    bad = (~rows.isfinite().all(dim=1)).nonzero()[:, 0].tolist()
    if bad:
        names = ", ".join(data.table.ids[row] for row in bad[:8])
        raise EnsembleError(f"the posteriors of {len(bad)} utterances are not finite ({names}): make them again")
    return rows


def standardise(models: list[Classifier], rows: Tensor) -> Tensor:
    """Make rows (N, D) of mean 0 and deviation 1, and have every model do the same to what it reads."""
    exact = rows.double()
    spread = exact.std(dim=0, correction=0)
    mean, std = exact.mean(dim=0).float(), torch.where(spread < SMALLEST_STD, 1.0, spread).float()  # (D,) each
    for model in models:
        fusion = cast(Concat, model.fusion)
        fusion.mean.copy_(mean)
        fusion.std.copy_(std)
    return (rows - mean) / std


def _first_weights(data: FeatureSet, head: Head, seed: int) -> Classifier:
    table = data.table
    return build_classifier(FUSION, head, dims=data.dims, classes=len(table.labels), ranges=table.ranges, seed=seed)
