"""Unrolled Generative Adversarial Networks (Metz, Poole, Pfau, Sohl-Dickstein, ICLR 2017, arXiv 1611.02163)."""

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Any

from torch import Tensor
from typing_extensions import override

from lit_gans import unrolling
from lit_gans.game import Batch
from lit_gans.gan import GAN


class Unrolled(GAN):
    """The generator plays against the discriminator of k steps later, and sees how that depends on its samples.

    f_k(G, D) = f(G, D^k), D^(i+1) = D^i - step(grad f(G, D^i)), D^0 = D (arXiv 1611.02163, eq. 7 to 9). The steps are
    those of the discriminator's own optimizer, from its own state, on the batch and the fakes of the generator's turn;
    the discriminator itself takes one ordinary step, in its own turn. Penalties take the places of fakes for constants.

    Args:
        unrolled_steps: k, at least 0; 0 is the plain game. Time and memory of the generator's turn grow with it.
        unrolled_stop_gradient: take D^k for a constant, without the second-order terms.
        unrolled_exchange: average the steps' gradients over the devices, so that D^k is that of the whole batch;
            otherwise each device looks ahead on its own part.
        unrolled_compile: compile the gradient of a step, for GPUs that wait for the launch of many small kernels.
        rest: options of the model.

    Raises:
        ValueError: if ``unrolled_steps`` is negative, or the discriminator's steps cannot be differentiated.
    """

    def __init__(
        self,
        *,
        unrolled_steps: int = 5,
        unrolled_stop_gradient: bool = False,
        unrolled_exchange: bool = False,
        unrolled_compile: bool = False,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.ahead: dict[str, Any] = {"steps": unrolled_steps, "stop_gradient": unrolled_stop_gradient}
        self.ahead |= {"exchange": unrolled_exchange, "compiled": unrolled_compile}

    @override
    def check(self) -> None:
        super().check()
        unrolling.check(self.ahead["steps"], self.discriminator_optimizer)

    @override
    def generator_objective(self, batch: Batch) -> dict[str, Tensor]:
        if not self.ahead["steps"]:
            return super().generator_objective(batch)
        batch = unrolling.widened({**batch, "fake": self.generate(batch)})
        with unrolling.twice_differentiable(self.device), self.standing_in(discriminator=self.looked_ahead(batch)):
            return super().generator_objective(batch)

    def looked_ahead(self, batch: Batch) -> dict[str, Tensor]:
        """D^k: parameters and buffers by name."""

        def objective(weights: Mapping[str, Tensor]) -> Tensor:
            with self.standing_in(discriminator=weights):
                return reduce(add, self.discriminator_terms(batch, batch["fake"]).values())

        owner = [self.discriminator in player.networks for player in self.game].index(True)
        optimizer = self.trainer.optimizers[self.first_optimizer + owner]
        return unrolling.look_ahead(objective, self.discriminator, optimizer, **self.ahead)
