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
from lit_gans.layers.standardize import Standardize
from lit_gans.networks import lapgan as networks

GENERATOR_SGD = {"name": "sgd", "lr": 0.02, "momentum": 0.5}
DISCRIMINATOR_SGD = {"name": "sgd", "lr": 0.01, "momentum": 0.5}
"""0.02 in the authors' code, whose loss is the mean over real and fake samples: half of the one here."""
MEASURED = 2_000
"""Real images, at most, that mean and standard deviation are measured on."""


class LAPGANLevel(GAN):
    """min_D -E log s(D(I_k)) - E log(1 - s(D(l_k + G(z, l_k)))), min_G -E log s(D(l_k + G(z, l_k))).

    D sees the sum of coarse image and difference (arXiv 1506.05751, eq. 2), which is a fine image.

    Args:
        size: pixels of the fine images.
        kind: of networks, a key of :data:`lit_gans.networks.lapgan.NETWORKS`; ``difference`` where a coarser level is
            below.
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
        kind: str,
        image_channels: int,
        generator_width: int,
        discriminator_width: int,
        num_classes: int,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.kind, self.num_classes = kind, num_classes
        self.generator_width, self.discriminator_width = generator_width, discriminator_width
        self.sample_shape = (image_channels, size, size)

    @override
    def build_generator(self) -> nn.Module:
        network, _ = networks.NETWORKS[self.kind]
        return network(self.latent_dim, self.sample_shape or (), self.generator_width, self.num_classes)

    @override
    def build_discriminator(self) -> nn.Module:
        _, network = networks.NETWORKS[self.kind]
        return network(self.discriminator_shape, self.discriminator_width, self.num_classes)

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
        return batch["condition"] if self.num_classes or self.kind == "difference" else None

    @override
    def remember(self, condition: Tensor | None) -> None:
        """Nothing: a cascade makes its own coarse images."""


class LAPGAN(Games):
    """Level 0 makes whole images; the last level, K, the coarsest ones.

    Args:
        image_size: pixels of level 0.
        image_channels: 1 or 3.
        sizes: pixels of each level, the finest first; None halves the image as long as 7 pixels are left.
        width: channels of the hidden layers of all levels but the coarsest.
        coarsest: networks of level K: ``fully_connected``, as in the paper, or ``convolutional``, as in DCGAN.
        coarsest_generator_width: units of the coarsest generator's hidden layers, or its channels; None for the
            paper's 1200, or 128.
        coarsest_discriminator_width: likewise; 600, or 64.
        latent_dim: of the coarsest level.
        num_classes: 0 for no condition; else labels in [0, num_classes) condition all networks.
        shrinking: ``area``, as in the authors' code, or ``blur``, as in the paper; see :mod:`lit_gans.pyramid`.
        levels: the levels to train, the others staying as they are; None for all.
        generator_optimizer: as of :class:`lit_gans.GAN`, in each level; the authors' SGD if None.
        discriminator_optimizer: likewise.
        rest: options of :class:`lit_gans.Games`.

    Raises:
        ValueError: if an option is out of its range, or the levels do not nest.
    """

    game_class = LAPGANLevel
    has_labels = True

    def __init__(
        self,
        *,
        image_size: int = 32,
        image_channels: int = 3,
        sizes: list[int] | None = None,
        width: int = 64,
        coarsest: str = "fully_connected",
        coarsest_generator_width: int | None = None,
        coarsest_discriminator_width: int | None = None,
        latent_dim: int = 100,
        num_classes: int = 0,
        shrinking: str = "area",
        levels: list[int] | None = None,
        generator_optimizer: dict[str, Any] | None = None,
        discriminator_optimizer: dict[str, Any] | None = None,
        **rest: Any,
    ) -> None:
        own = generator_optimizer or GENERATOR_SGD, discriminator_optimizer or DISCRIMINATOR_SGD
        super().__init__(generator_optimizer=own[0], discriminator_optimizer=own[1], **rest)
        self.sizes, self.levels, self.shrinking = sizes or pyramid.halved(image_size), levels, shrinking
        self.image_channels, self.num_classes = image_channels, num_classes
        self.sample_shape = (image_channels, image_size, image_size)
        self.kinds = ["difference"] * (len(self.sizes) - 1) + [coarsest]
        widths = networks.coarsest_widths(coarsest, coarsest_generator_width, coarsest_discriminator_width)
        self.widths = [(width, width)] * (len(self.sizes) - 1) + [widths]
        self.latent_dims = [*(size * size for size in self.sizes[:-1]), latent_dim]
        pyramid.check_sizes(self.sizes, self.shrinking, image_size=image_size, smallest=networks.SMALLEST)
        self.standardize = Standardize(image_channels)
        self.views = {f"level{k}": {"level": k} for k in range(1, len(self.sizes))}

    @override
    def make_games(self) -> dict[str, GAN]:
        games: dict[str, GAN] = {}
        for k, (size, latent_dim, widths) in enumerate(zip(self.sizes, self.latent_dims, self.widths, strict=True)):
            own: dict[str, Any] = {"size": size, "kind": self.kinds[k], "latent_dim": latent_dim}
            own |= {"generator_width": widths[0], "discriminator_width": widths[1]}
            own |= {"seed": keys.key(self.seed, f"level{k}")}
            shared = {"image_channels": self.image_channels, "num_classes": self.num_classes, **self.game_options}
            games[f"level{k}"] = self.game_class(**own, **shared)
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
        image = self.standardize(batch["image"])
        fine = pyramid.shrink(image, self.sizes[k], self.shrinking)
        if k == len(self.sizes) - 1:
            return {"image": fine} if label is None else {"image": fine, "condition": label}
        coarse = pyramid.enlarge(pyramid.shrink(image, self.sizes[k + 1], self.shrinking), self.sizes[k])
        return {"image": fine, "condition": networks.join(coarse, label)}

    @override
    def on_train_start(self) -> None:
        if not self.standardize.measured:
            data: Any = self.trainer.train_dataloader.dataset  # type: ignore[union-attr]
            some = range(0, len(data), -(-len(data) // MEASURED))
            self.standardize.measure(self.floats(torch.stack([data[i]["image"] for i in some]).to(self.device)))

    # Sampling

    @override
    def sample_latent(self, n: int) -> Tensor:
        """``(n, D)``, the latents of all levels one after another, the finest first."""
        return torch.cat([self.named(name).sample_latent(n) for name in self.names], 1)

    @override
    def forward(
        self, latent: Tensor, condition: Tensor | None = None, coarse: Tensor | None = None, level: int = 0
    ) -> Tensor:
        """Images in [-1, 1] by the cascade I_K = G_K(z), I_k = l_k + G_k(z, l_k), l_k = u(I_(k+1)).

        Args:
            latent: ``(N, D)``.
            condition: labels ``(N,)``, or None.
            coarse: images in [-1, 1] of the size of a level, where the cascade begins; from noise if not given.
            level: where it ends.
        """
        latents = torch.split(latent, self.latent_dims, 1)
        if coarse is None:
            start = len(self.sizes) - 1
            image = self.named(f"level{start}")(latents[start], condition)
        else:
            start = self.sizes.index(coarse.shape[-1])
            image = self.standardize(coarse)
        for k in reversed(range(level, start)):
            below = networks.join(pyramid.enlarge(image, self.sizes[k]), condition)
            image = self.named(f"level{k}")(latents[k], below)
        return self.standardize.inverse(image)

    @torch.no_grad()
    def sample(
        self, n: int, *, label: int | Tensor | None = None, coarse: Tensor | None = None, **given: Any
    ) -> Tensor:
        """As :meth:`lit_gans.GAN.sample`.

        Args:
            n: how many.
            label: one class for all, or ``(n,)``.
            coarse: ``(n, C, S, S)`` in [-1, 1], S the size of a level: the cascade begins with these images.
            given: ``latent``, ``condition``; ``level``, for the images of another level than 0.

        Raises:
            ValueError: if ``coarse`` does not fit.
        """
        if label is not None:
            given["condition"] = torch.as_tensor(label).expand(n)
        if coarse is not None:
            fitting = [(n, self.image_channels, size, size) for size in self.sizes[1:]]
            if tuple(coarse.shape) not in fitting:
                shapes = " or ".join(map(str, fitting))
                raise ValueError(f"coarse must have the shape {shapes}, got {tuple(coarse.shape)}.")
            given["coarse"] = coarse.to(self.float_type)
        return super().sample(n, **given)
