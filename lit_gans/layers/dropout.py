"""Dropout (Srivastava et al., JMLR 2014) for networks that were built without it, also in eval mode on demand."""

from torch import Tensor, nn
from torch.nn.functional import dropout

ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU)


class Dropout(nn.Module):
    """Each feature is 0 with probability p, else 1/(1 - p) times itself.

    Args:
        p: in [0, 1).
        at_sampling: whether it drops in eval mode too.
    """

    def __init__(self, p: float, at_sampling: bool) -> None:
        super().__init__()
        self.p, self.at_sampling = p, at_sampling

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p, self.training or self.at_sampling)


def add_dropout(network: nn.Module, p: float, at_sampling: bool) -> None:
    """Lets dropout follow every activation of a network, in place; the names of its weights stay."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ACTIVATIONS):
                setattr(parent, name, nn.Sequential(child, Dropout(p, at_sampling)))
