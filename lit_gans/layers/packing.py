"""Several samples in one (PacGAN: Lin, Khetan, Fanti, Oh, NeurIPS 2018, arXiv 1712.04086, section 2)."""

from torch import Tensor, nn


class Packing(nn.Module):
    """``(N, C, ...)`` to ``(N // samples, samples * C, ...)``, consecutive samples together; what is left is dropped.

    Args:
        samples: in a pack.

    Raises:
        ValueError: in the forward pass, if there are too few for one pack.
    """

    couples_samples = ("the packing of pacgan", "set tricks.pacgan=null")

    def __init__(self, samples: int) -> None:
        super().__init__()
        self.samples = samples

    def forward(self, x: Tensor) -> Tensor:
        packs = len(x) // self.samples
        if packs == 0:
            raise ValueError(
                f"pacgan shows the discriminator {self.samples} samples at once and was given {len(x)}: use a larger "
                "data.batch_size, or a smaller tricks.pacgan.pac_samples."
            )
        return x[: packs * self.samples].reshape(packs, self.samples * x.shape[1], *x.shape[2:])
