"""AdamW, as the experiment file sets it."""

from __future__ import annotations

import torch
from torch import nn

from sertk.config.schema import Optimizer
from sertk.errors import TrainingError


def build_optimizer(classifier: nn.Module, settings: Optimizer) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, 2019) over all trainable parameters; the model is on its device already.

    Raises TrainingError for a model without trainable parameters.
    """
    parameters = [parameter for parameter in classifier.parameters() if parameter.requires_grad]
    if not parameters:
        raise TrainingError("the model has no trainable parameter: leave its stages out, or choose another fusion")
    return torch.optim.AdamW(
        parameters, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay, fused=settings.fused
    )
