"""The base of every model and of every trick: a generator against a discriminator."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from typing_extensions import override

from lit_gans.game import Batch, Player
from lit_gans.sampler import Sampler

ADAM = {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]}
CONSTANT = {"name": "constant"}


class GAN(Sampler):
    """A round is ``n_critic`` turns of the discriminator, each on a new batch, then one of the generator on the last.

    A model gives ``build_generator``, ``build_discriminator``, ``discriminator_loss`` and ``generator_loss``; a trick
    extends the cooperative hooks below by ``super()``. The fakes of the last batch are made once, for both players.

    Args:
        latent_dim: length of a latent vector.
        n_critic: discriminator turns for each generator turn.
        generator_optimizer: ``{"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]}``; see :mod:`lit_gans.optim`.
        discriminator_optimizer: likewise; another rate here is TTUR (Heusel et al. 2017, arXiv 1706.08500).
        lr_schedule: ``{"name": "linear"}``, for both players, counted in generator updates.
        rest: options of :class:`lit_gans.game.Game`.

    Raises:
        ValueError: if an option is out of its range.
    """

    real_target: float = 1.0
    fake_target: float = 0.0

    generator_norm: str = "none"
    """The name of the normalization in the generator, where the model has a choice; as in ``discriminator_norm``."""

    discriminator_norm: str = "none"

    def __init__(
        self,
        *,
        latent_dim: int = 100,
        n_critic: int = 1,
        generator_optimizer: dict[str, Any] | None = None,
        discriminator_optimizer: dict[str, Any] | None = None,
        lr_schedule: dict[str, Any] | None = None,
        accumulate: int = 1,
        gradient_clip: float | None = None,
        compile: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(accumulate=accumulate, gradient_clip=gradient_clip, compile=compile, seed=seed)
        for name, value in (("latent_dim", latent_dim), ("n_critic", n_critic)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        self.save_hyperparameters()
        self.latent_dim, self.n_critic = latent_dim, n_critic
        self.generator_optimizer = generator_optimizer or ADAM
        self.discriminator_optimizer = discriminator_optimizer or ADAM
        self.lr_schedule = lr_schedule or CONSTANT
        self.stand_ins: dict[str, Mapping[str, Tensor]] = {}

    # What a model says

    def build_generator(self) -> nn.Module:
        """A module from latents ``(N, latent_dim)`` and a condition to samples. Tricks wrap it by super()."""
        raise NotImplementedError(f"{type(self).__name__} must define build_generator.")

    def build_discriminator(self) -> nn.Module:
        """A module from samples and a condition to raw logits ``(N,)``. Tricks wrap it by super()."""
        raise NotImplementedError(f"{type(self).__name__} must define build_discriminator.")

    def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        """What the discriminator minimises, a scalar. A leaf: tricks add through ``discriminator_penalty``."""
        raise NotImplementedError(f"{type(self).__name__} must define discriminator_loss.")

    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        """What the generator minimises, a scalar. A leaf: tricks add through ``generator_penalty``."""
        raise NotImplementedError(f"{type(self).__name__} must define generator_loss.")

    @override
    def sample_latent(self, n: int) -> Tensor:
        """The prior: ``(n, latent_dim)`` from N(0, I)."""
        return torch.randn(n, self.latent_dim, device=self.device, dtype=self.float_type)

    # What tricks extend

    def discriminator_input(self, x: Tensor) -> Tensor:
        """What the discriminator is shown of ``x``, real or fake, in both players' turns."""
        return x

    def replay(self, fake: Tensor) -> Tensor:
        """What the discriminator is shown as fake in its own turn."""
        return fake

    def discriminator_logits(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the discriminator's loss compares: raw logits of real and of fake samples, from a pass each."""
        return self.discriminate(real, condition), self.discriminate(fake, condition)

    def generator_logits(self, fake: Tensor, condition: Tensor | None) -> Tensor:
        """What the generator's loss looks at: raw logits of its samples."""
        return self.discriminate(fake, condition)

    def discriminator_penalty(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        """What the discriminator minimises besides its loss: ``super() + weight * term``."""
        return real.new_zeros(())

    def generator_penalty(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        """What the generator minimises besides its loss: ``super() + weight * term``."""
        return real.new_zeros(())

    # The game

    @property
    def discriminator_shape(self) -> tuple[int, ...]:
        """Of what the discriminator is shown at once, without N; a sample's, unless a trick packs several."""
        return self.sample_shape or ()

    @override
    def build(self) -> None:
        # Each from its own key: a trick on one network leaves the other's initial weights as they were.
        self.generator = self.keyed(self.build_generator, "generator")
        self.discriminator = self.keyed(self.build_discriminator, "discriminator")

    @override
    def players(self) -> Sequence[Player]:
        return (
            Player(
                "discriminator",
                (self.discriminator,),
                self.discriminator_objective,
                self.discriminator_optimizer,
                self.lr_schedule,
                turns=self.n_critic,
            ),
            Player(
                "generator", (self.generator,), self.generator_objective, self.generator_optimizer, self.lr_schedule
            ),
        )

    def discriminator_objective(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the discriminator's turn."""
        return self.discriminator_terms(batch, self.replay(self.generate(batch).detach()))

    def discriminator_terms(self, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """What the discriminator minimises, given the fakes that it is shown."""
        real, condition = batch["image"], self.condition(batch)
        return {
            "loss/discriminator": self.discriminator_loss(real, fake, condition),
            "penalty/discriminator": self.discriminator_penalty(real, fake, condition),
        }

    def generator_objective(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the generator's turn."""
        real, fake, condition = batch["image"], self.generate(batch), self.condition(batch)
        return {
            "loss/generator": self.generator_loss(real, fake, condition),
            "penalty/generator": self.generator_penalty(real, fake, condition),
        }

    def discriminate(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Raw logits ``(N,)``, at least float32, for samples as the discriminator is shown them."""
        logits = self.play("discriminator", self.discriminator_input(x), condition)
        return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits

    def generate(self, batch: Batch) -> Tensor:
        """A fake for every sample of the batch: those that its players share, which are the present generator's."""
        if "fake" in batch and "generator" not in self.stand_ins:
            return batch["fake"]
        return self.play("generator", self.sample_latent(len(batch["image"])), self.condition(batch))

    def play(self, network: str, *inputs: Tensor | None) -> Tensor:
        """The output of ``generator`` or ``discriminator``, with the weights of its stand-in where it has one."""
        weights, module = self.stand_ins.get(network), getattr(self, network)
        output: Tensor = module(*inputs) if weights is None else functional_call(module, dict(weights), inputs)
        return output

    @contextmanager
    def standing_in(self, **networks: Mapping[str, Tensor]) -> Iterator[None]:
        """Within it ``generator`` or ``discriminator`` plays with these parameters and buffers, by name, for its own.

        Past selves and looked-ahead ones can so meet an opponent, while the network itself, buffers included, stays as
        it is.
        """
        before, self.stand_ins = self.stand_ins, {**self.stand_ins, **networks}
        try:
            yield
        finally:
            self.stand_ins = before

    @override
    def shared(self, batch: Batch) -> Batch:
        return {**batch, "fake": self.generate(batch)}

    # Use

    @override
    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        """Samples for latents ``(N, latent_dim)``."""
        fake: Tensor = self.generator(latent, condition)
        return fake
