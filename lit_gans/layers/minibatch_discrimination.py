"""Minibatch discrimination (Salimans et al., NeurIPS 2016, arXiv 1606.03498, section 3.2), in the form of its code.

For features x_i of A numbers and a tensor T of A x B x C, M_i = x_i T has B rows of C numbers, one for each kernel:

    c_b(x_i, x_j) = exp(-||M_i,b - M_j,b||_1),    o(x_i)_b = sum over j != i of c_b(x_i, x_j).

The paper's sum has j = i too, which adds 1 everywhere.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def distances(x: Tensor, tensor: Tensor) -> Tensor:
    """||M_i,b - M_j,b||_1: ``(N, N, B)``, from features ``(N, A)`` and T ``(A, B, C)``.

    Takes N * N * B * C numbers of memory.
    """
    with torch.autocast(x.device.type, enabled=False):
        rows = torch.einsum("na,abc->cnb", x.to(tensor.dtype), tensor).contiguous()
        # One of the C at a time: a sum over a last dimension of so few is two to three times slower.
        return sum(((row.unsqueeze(1) - row.unsqueeze(0)).abs() for row in rows), rows.new_zeros(()))


def closeness(distances: Tensor) -> Tensor:
    """o: ``(N, B)``, from distances ``(N, N, B)``; 0 for a sample that is alone."""
    return torch.exp(-distances).masked_fill(_itself(distances), 0.0).sum(1)


def _itself(distances: Tensor) -> Tensor:
    return torch.eye(len(distances), dtype=torch.bool, device=distances.device).unsqueeze(-1)


class MinibatchDiscrimination(nn.Module):
    """Features ``(N, A)`` to o(x) + b: ``(N, B)``, how close each sample is to the rest of its batch.

    T is weight-normalized over A: T_bc = theta_bc exp(s_bc) / ||theta_bc||, theta from N(0, 0.05^2).

    Args:
        features: A.
        kernels: B.
        dims: C, numbers for each kernel.
    """

    couples_samples = ("minibatch discrimination", "set tricks.minibatch_discrimination=null")

    calibrated: Tensor

    def __init__(self, features: int, kernels: int, dims: int) -> None:
        super().__init__()
        self.direction = nn.Parameter(0.05 * torch.randn(features, kernels, dims))
        self.log_scale = nn.Parameter(torch.zeros(kernels, dims))
        self.bias = nn.Parameter(-torch.ones(kernels))
        self.register_buffer("calibrated", torch.tensor(False))

    @property
    def tensor(self) -> Tensor:
        """T: ``(A, B, C)``."""
        scale: Tensor = self.log_scale.exp() / self.direction.norm(dim=0)
        return self.direction * scale

    def forward(self, x: Tensor) -> Tensor:
        return closeness(distances(x, self.tensor)) + self.bias

    @torch.no_grad()
    def calibrate(self, x: Tensor, mean: Callable[[Tensor], Tensor] = lambda statistic: statistic) -> None:
        """Data-dependent initialisation: then half the mean distance to the nearest is 1, and the mean output 0.

        A sample without neighbours tells nothing, and a kernel for which all are equal keeps its scale.

        Args:
            x: features ``(N, A)``.
            mean: over the devices, of what each found with its own neighbours.
        """
        if len(x) < 2:
            return
        apart = distances(x, self.tensor)
        half = mean(apart.masked_fill(_itself(apart), torch.inf).amin(1).mean(0)) / 2
        self.log_scale.sub_(torch.where(half > 0, half, 1.0).log().unsqueeze(-1))
        self.bias.copy_(-mean(closeness(distances(x, self.tensor)).mean(0)))
        self.calibrated.fill_(True)
