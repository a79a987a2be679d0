"""Minibatch standard deviation (Karras et al., ICLR 2018, arXiv 1710.10196, section 3): one number for a batch."""

import torch
from torch import Tensor, nn

EPSILON = 1e-8
"""Added to variances, as in the paper's code: where all samples are equal the root would have an infinite slope."""


def mean_deviation(x: Tensor) -> Tensor:
    """The standard deviation of each feature over ``(N, F)``, with the divisor N, averaged over the features."""
    return (x.var(0, correction=0) + EPSILON).sqrt().mean()


class MinibatchStddev(nn.Module):
    """Features ``(N, F)`` to ``(N, 1)``: the mean deviation within each sample's group, the same for all of a group.

    Args:
        group: consecutive samples that make a group; the last group has what is left. None for the whole batch.
    """

    couples_samples = ("minibatch standard deviation", "set tricks.minibatch_stddev=null")

    def __init__(self, group: int | None) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
            groups = torch.split(x, self.group or len(x))
            return torch.cat([mean_deviation(group).expand(len(group), 1) for group in groups])
