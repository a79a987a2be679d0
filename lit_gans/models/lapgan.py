"""Deep Generative Image Models using a Laplacian Pyramid of Adversarial Networks (Denton et al., NeurIPS 2015).

arXiv 1506.05751. A small image is made first; then, one after another, networks that know the image at half its size
make what is missing at the full one. Each level is a game of its own, which only ever sees real coarse images.
"""

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from lit_gans import keys, losses, pyramid
from lit_gans.game import Batch
from lit_gans.games import Games
from lit_gans.gan import GAN
from lit_gans.networks import lapgan as networks
from lit_gans.sampler import Sampler

SGD = {"name": "sgd", "lr": 0.02, "momentum": 0.5}
MEASURED = 10_000
"""Real images, at most, that mean and standard deviation are measured on."""


class LAPGANLevel(GAN):
    """min_D -E log s(D(I_k)) - E log(1 - s(D(l_k + G(z, l_k)))), min_G -E log s(D(l_k + G(z, l_k))).

    D sees the sum of coarse image and difference (arXiv 1506.05751, eq. 2), which is a fine image.

    Args:
        size: pixels of the fine images.
        coarsest: whether nothing is below: an unconditional game of fully connected networks.
        image_channels: 1 or 3.
        generator_width: channels, or units, of the hidden layers.
        discriminator_width: likewise.
        num_classes: 0 for no labels.
        rest: options of :class:`lit_gans.GAN`.
    """

    has_labels = True

    def __init__(
        self,
        *,
        size: int,
        coarsest: bool,
        image_channels: int,
        generator_width: int,
        discriminator_width: int,
        num_classes: int,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.size, self.coarsest, self.num_classes = size, coarsest, num_classes
        self.generator_width, self.discriminator_width = generator_width, discriminator_width
        self.sample_shape = (image_channels, size, size)

    @override
    def build_generator(self) -> nn.Module:
        shape, width, classes = self.sample_shape or (), self.generator_width, self.num_classes
        if self.coarsest:
            return networks.CoarsestGenerator(self.latent_dim, shape, width, classes)
        return networks.DifferenceGenerator(self.size, shape[0], width, classes)

    @override
    def build_discriminator(self) -> nn.Module:
        shape, width, classes = self.discriminator_shape, self.discriminator_width, self.num_classes
        if self.coarsest:
            return networks.CoarsestDiscriminator(shape, width, classes)
        return networks.LevelDiscriminator(self.size, shape[0], width, classes)

    @override
    def sample_latent(self, n: int) -> Tensor:
        """``(n, latent_dim)`` from U(-1, 1); of a level above the coarsest a plane of noise."""
        return torch.rand(n, self.latent_dim, device=self.device, dtype=self.float_type) * 2 - 1

    @override
    def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        real_logits, fake_logits = self.discriminator_logits(real, fake, condition)
        return losses.gan_discriminator_loss(real_logits, fake_logits, self.real_target, self.fake_target)

    @override
    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        return losses.non_saturating_generator_loss(self.generator_logits(fake, condition))

    @override
    def condition(self, batch: Batch) -> Tensor | None:
        return batch["condition"] if self.num_classes or not self.coarsest else None

    @override
    def remember(self, condition: Tensor | None) -> None:
        """Nothing: a cascade makes its own coarse images."""

    @override
    def setup(self, stage: str) -> None:
        super(Sampler, self).setup(stage)  # the data's shape is that of the finest level alone


class LAPGAN(Games):
    """Level 0 makes whole images; the last level, K, the coarsest ones.

    Args:
        image_size: pixels of level 0.
        image_channels: 1 or 3.
        sizes: pixels of each level, the finest first; None halves the image as long as 7 pixels are left.
        width: channels of the hidden layers of all levels but the coarsest.
        coarsest_generator_width: units of the coarsest generator's hidden layers.
        coarsest_discriminator_width: likewise.
        latent_dim: of the coarsest level.
        num_classes: 0 for no condition; else labels in [0, num_classes) condition all networks.
        shrinking: ``area``, as in the authors' code, or ``blur``, as in the paper; see :mod:`lit_gans.pyramid`.
        levels: the levels to train, the others staying as they are; None for all.
        n_critic: as of :class:`lit_gans.GAN`, in each level.
        generator_optimizer: likewise; the authors' SGD if None.
        discriminator_optimizer: likewise.
        lr_schedule: likewise.
        rest: options of the tricks of the levels, and of :class:`lit_gans.game.Game`.

    Raises:
        ValueError: if an option is out of its range, or the levels do not nest.
    """

    game_class = LAPGANLevel
    has_labels = True
    mean: Tensor
    deviation: Tensor
    measured: Tensor

    def __init__(
        self,
        *,
        image_size: int = 32,
        image_channels: int = 3,
        sizes: list[int] | None = None,
        width: int = 64,
        coarsest_generator_width: int = 1200,
        coarsest_discriminator_width: int = 600,
        latent_dim: int = 100,
        num_classes: int = 0,
        shrinking: str = "area",
        levels: list[int] | None = None,
        n_critic: int = 1,
        generator_optimizer: dict[str, Any] | None = None,
        discriminator_optimizer: dict[str, Any] | None = None,
        lr_schedule: dict[str, Any] | None = None,
        accumulate: int = 1,
        gradient_clip: float | None = None,
        compile: bool = False,
        seed: int = 0,
        **tricks: Any,
    ) -> None:
        super().__init__(accumulate=accumulate, gradient_clip=gradient_clip, compile=compile, seed=seed)
        self.save_hyperparameters()
        self.sizes, self.levels, self.shrinking = sizes or pyramid.halved(image_size), levels, shrinking
        self.image_channels, self.num_classes = image_channels, num_classes
        self.sample_shape = (image_channels, image_size, image_size)
        self.widths = [(width, width)] * (len(self.sizes) - 1)
        self.widths += [(coarsest_generator_width, coarsest_discriminator_width)]
        self.latent_dims = [*(size * size for size in self.sizes[:-1]), latent_dim]
        self.options = {
            "n_critic": n_critic,
            "generator_optimizer": generator_optimizer or SGD,
            "discriminator_optimizer": discriminator_optimizer or SGD,
            "lr_schedule": lr_schedule,
            "accumulate": accumulate,
            **tricks,
        }
        self._check()
        for name, start in (("mean", torch.zeros), ("deviation", torch.ones)):
            self.register_buffer(name, start(image_channels, 1, 1))
        self.register_buffer("measured", torch.tensor(False))

    def _check(self) -> None:
        pyramid.check_sizes(self.sizes, self.shrinking)
        image_size = (self.sample_shape or self.sizes)[-1]
        if self.sizes[0] != image_size:
            raise ValueError(f"model.sizes must begin with the image's {image_size} pixels, got {self.sizes}.")
        if len(self.sizes) > 1 and self.sizes[-2] < networks.SMALLEST:
            raise ValueError(
                f"A level above the coarsest needs at least {networks.SMALLEST} pixels, got {self.sizes[-2]}: leave "
                f"levels out of model.sizes={self.sizes}."
            )
        possible = range(len(self.sizes))
        if self.levels is not None and not (self.levels and set(self.levels) <= set(possible)):
            raise ValueError(
                f"model.levels names levels to train, from 0, the finest, to {possible[-1]}, the coarsest; got "
                f"{self.levels}."
            )

    @override
    def make_games(self) -> dict[str, GAN]:
        games: dict[str, GAN] = {}
        for k, (size, latent_dim, widths) in enumerate(zip(self.sizes, self.latent_dims, self.widths, strict=True)):
            name = f"level{k}"
            games[name] = self.game_class(
                size=size,
                coarsest=k == len(self.sizes) - 1,
                image_channels=self.image_channels,
                generator_width=widths[0],
                discriminator_width=widths[1],
                num_classes=self.num_classes,
                latent_dim=latent_dim,
                seed=keys.key(self.seed, name),
                **self.options,
            )
        return games

    @override
    def trained(self) -> tuple[str, ...]:
        return self.names if self.levels is None else tuple(f"level{k}" for k in sorted(set(self.levels)))

    @override
    def condition(self, batch: Batch) -> Tensor | None:
        return batch["label"] if self.num_classes else None

    @override
    def game_batch(self, name: str, batch: Batch) -> Batch:
        k, label = self.names.index(name), self.condition(batch)
        image = (batch["image"] - self.mean) / self.deviation
        fine = pyramid.shrink(image, self.sizes[k], self.shrinking)
        if k == len(self.sizes) - 1:
            return {"image": fine} if label is None else {"image": fine, "condition": label}
        coarse = pyramid.enlarge(pyramid.shrink(image, self.sizes[k + 1], self.shrinking), self.sizes[k])
        return {"image": fine, "condition": networks.join(coarse, label)}

    @override
    def on_train_start(self) -> None:
        if not self.measured:
            self.measure()

    @torch.no_grad()
    def measure(self) -> None:
        """Sets mean and deviation of each channel, of up to 10,000 images of the training set, evenly apart."""
        data: Any = self.trainer.train_dataloader.dataset  # type: ignore[union-attr]
        step = max(1, len(data) // MEASURED)
        images = self.floats(torch.stack([data[i]["image"] for i in range(0, len(data), step)]).to(self.device))
        self.mean.copy_(images.mean((0, 2, 3)).view_as(self.mean))
        self.deviation.copy_(images.std((0, 2, 3)).clamp_min(1e-3).view_as(self.deviation))
        self.measured.fill_(True)

    # Sampling

    @override
    def sample_latent(self, n: int) -> Tensor:
        """``(n, D)``, the latents of all levels one after another, the finest first."""
        return torch.cat([self.named(name).sample_latent(n) for name in self.names], 1)

    @override
    def forward(self, latent: Tensor, condition: Tensor | None = None, coarse: Tensor | None = None) -> Tensor:
        """Images in [-1, 1] by the cascade I_K = G_K(z), I_k = l_k + G_k(z, l_k), l_k = u(I_(k+1)).

        Args:
            latent: ``(N, D)``.
            condition: labels ``(N,)``, or None.
            coarse: images in [-1, 1] of the size of a level, where the cascade begins; from noise if not given.
        """
        latents = torch.split(latent, self.latent_dims, 1)
        if coarse is None:
            level = len(self.sizes) - 1
            image = self.named(f"level{level}")(latents[level], condition)
        else:
            level = self.sizes.index(coarse.shape[-1])
            image = (coarse - self.mean) / self.deviation
        for k in reversed(range(level)):
            below = networks.join(pyramid.enlarge(image, self.sizes[k]), condition)
            image = self.named(f"level{k}")(latents[k], below)
        images: Tensor = (image * self.deviation + self.mean).clamp(-1, 1)
        return images

    @torch.no_grad()
    def sample(
        self, n: int, *, label: int | Tensor | None = None, coarse: Tensor | None = None, **given: Any
    ) -> Tensor:
        """As :meth:`lit_gans.GAN.sample`.

        Args:
            n: how many.
            label: one class for all, or ``(n,)``.
            coarse: ``(n, C, S, S)`` in [-1, 1], S the size of a level: the cascade begins with these images.
            given: ``latent``, ``condition``.

        Raises:
            ValueError: if ``coarse`` does not fit.
        """
        if label is not None:
            given["condition"] = torch.as_tensor(label).expand(n)
        if coarse is not None:
            size = coarse.shape[-1]
            if size not in self.sizes[1:] or coarse.shape != (n, self.image_channels, size, size):
                raise ValueError(
                    f"coarse must be {n} images of {self.image_channels} channels with "
                    f"{' or '.join(map(str, self.sizes[1:]))} pixels, got the shape {tuple(coarse.shape)}."
                )
            given["coarse"] = coarse.to(self.float_type)
        return super().sample(n, **given)
