"""Core's optimizers, and how an experiment's is built over the parameters of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from sertk import registry
from sertk.config.build import build
from sertk.config.schema import Use
from sertk.errors import BrokenPluginError, TrainingError
from sertk.revisions import revision

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]


@revision(1)
def adamw(
    parameters: Mapping[str, Tensor],
    /,
    *,
    lr: Rate = 1e-5,
    weight_decay: Decay = 0.01,
    betas: tuple[Share, Share] = (0.9, 0.999),
    fused: bool = True,
) -> torch.optim.AdamW:
    """AdamW: Adam with weight decay apart from the gradient. MEDUSA's optimizer.

    Parameters
    ----------
    lr
        Learning rate, the same throughout.
    weight_decay
        Each step shrinks the weights by lr * weight_decay.
    betas
        Decay of the running means of the gradient and of its square.
    fused
        One kernel for all parameters.

    References
    ----------
    Loshchilov and Hutter, Decoupled weight decay regularization, 2019.
    """
    return torch.optim.AdamW(parameters.values(), lr=lr, betas=betas, weight_decay=weight_decay, fused=fused)


@revision(1)
def adam(
    parameters: Mapping[str, Tensor],
    /,
    *,
    lr: Rate = 1e-3,
    weight_decay: Decay = 0.0,
    betas: tuple[Share, Share] = (0.9, 0.999),
    fused: bool = True,
) -> torch.optim.Adam:
    """Adam: steps scaled by running means of the gradient and of its square.

    Parameters
    ----------
    lr
        Learning rate, the same throughout.
    weight_decay
        An L2 penalty: weight_decay times the weight is added to the gradient.
    betas
        Decay of the running means of the gradient and of its square.
    fused
        One kernel for all parameters.

    References
    ----------
    Kingma and Ba, Adam: a method for stochastic optimization, 2015.
    """
    return torch.optim.Adam(parameters.values(), lr=lr, betas=betas, weight_decay=weight_decay, fused=fused)


@revision(1)
def sgd(
    parameters: Mapping[str, Tensor],
    /,
    *,
    lr: Rate = 1e-2,
    momentum: Share = 0.0,
    nesterov: bool = False,
    weight_decay: Decay = 0.0,
) -> torch.optim.SGD:
    """Stochastic gradient descent, with momentum if asked for.

    Parameters
    ----------
    lr
        Learning rate, the same throughout.
    momentum
        The share of the last step that the next one keeps; 0 keeps nothing.
    nesterov
        Take the gradient where momentum leads. Needs a momentum.
    weight_decay
        An L2 penalty: weight_decay times the weight is added to the gradient.

    References
    ----------
    Sutskever et al., On the importance of initialization and momentum in deep learning, 2013.
    """
    return torch.optim.SGD(
        parameters.values(), lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay
    )


def build_optimizer(model: nn.Module, use: Use) -> torch.optim.Optimizer:
    """Build an optimizer over the trainable parameters of a model that is on its device.

    Raises
    ------
    ConfigError
        With the faults of its options.
    TrainingError
        For a model without trainable parameters.
    """
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not parameters:
        raise TrainingError("the model has no trainable parameter: leave its stages out, or choose another fusion")
    optimizer = build(registry.optimizers, use, parameters)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise BrokenPluginError(
            f"the optimizer {use.use!r} should give a torch.optim.Optimizer, got {type(optimizer).__name__}"
        )
    return optimizer
