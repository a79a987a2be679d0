"""StackGAN++: realistic image synthesis with stacked GANs (Zhang et al., TPAMI 2018, arXiv 1710.10916).

One generator, a tree, makes images of a text at several sizes at once, each with a discriminator of its own, and all
are trained together.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from lit_gans import keys, losses
from lit_gans.game import Batch
from lit_gans.gan import GAN
from lit_gans.layers.conditioning_augmentation import ConditioningAugmentation
from lit_gans.networks import stackgan_pp as networks
from lit_gans.pyramid import shrink
from lit_gans.texts import FromTexts
from lit_gans.tree import Branch, Tree
from lit_gans.wrong_texts import partners


class StackGANPPScale(Branch):
    """The images x of one size, with c the mean of what a text is made into; u = 1 is the unconditional weight.

    min_D -E log D(x, c) - E log(1 - D(x', c)) - E log(1 - D(G, c)) - u (E log D(x) + E log D(x') + E log(1 - D(G))),
    x' real, of another text; min_G -E log D(G, c) - u E log D(G) (arXiv 1710.10916, eq. 5 to 7, as in the authors'
    code). Without the unconditional terms x' and G weigh 1/2 each. Its generator is a branch, from a map and c.

    Args:
        size: pixels of its images.
        before: channels of the map before the branch; None for the first.
        options: those of :class:`StackGANPP` by their names there, for one scale.
        rest: options of :class:`lit_gans.GAN`.
    """

    has_labels = True

    def __init__(self, *, size: int, before: int | None, options: dict[str, Any], **rest: Any) -> None:
        super().__init__(**rest)
        self.options, self.before = options, before
        self.sample_shape = (options["image_channels"], size, size)
        self.generator_norm, self.discriminator_norm = options["generator_norm"], options["discriminator_norm"]
        weight = options["unconditional_weight"]
        self.heads = [1.0, weight] if weight else [1.0]
        self.fake_weight = 1.0 if weight else 0.5

    @override
    def build_generator(self) -> nn.Module:
        own, sizes = self.options, {"noise": self.latent_dim, "dim": self.options["c_dim"]}
        sizes |= {"width": own["generator_width"], "blocks": own["residual_blocks"]}
        return networks.Branch(self.sample_shape or (), before=self.before, norm=self.generator_norm, **sizes)

    @override
    def build_discriminator(self) -> nn.Module:
        own, norm, unconditional = self.options, self.discriminator_norm, len(self.heads) == 2
        return networks.ScaleDiscriminator(
            self.discriminator_shape, own["discriminator_width"], norm, own["c_dim"], unconditional=unconditional
        )

    @override
    def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        both, targets = self.discriminator_logits(real, fake, condition), (self.real_target, self.fake_target)
        means = [
            weight * losses.gan_discriminator_loss(x, y, *targets, fake_weight=self.fake_weight)
            for weight, x, y in zip(self.heads, *(logits.unbind(1) for logits in both), strict=True)
        ]
        return torch.stack(means).sum()

    @override
    def discriminator_terms(self, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        which, wrong = partners(batch["kind"])
        logits = self.discriminate(batch["image"][wrong], batch["condition"][which]).unbind(1)
        loss = self.fake_weight * losses.wrong_pairs(logits[0], self.fake_target)
        for weight, alone in zip(self.heads[1:], logits[1:], strict=True):  # x' is real, without a text
            loss = loss + weight * losses.wrong_pairs(alone, self.real_target)
        return {**super().discriminator_terms(batch, fake), "loss/wrong_text": loss}

    @override
    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        logits = self.generator_logits(fake, condition).unbind(1)
        means = [
            weight * losses.non_saturating_generator_loss(own) for weight, own in zip(self.heads, logits, strict=True)
        ]
        return torch.stack(means).sum()

    @override
    def condition(self, batch: Batch) -> Tensor:
        return batch["condition"]

    @override
    def remember(self, condition: Tensor | None) -> None:
        """Nothing: whole StackGANs remember captions."""


class StackGANPP(FromTexts, Tree):
    """Images of a text at several sizes from one tree, whose branches and discriminators are trained together.

    Args:
        image_size: pixels of the largest images.
        scales: how many sizes, each twice the one before; None for three, or fewer where there are no more.
        image_channels: 1 or 3.
        generator_width: gf; see :mod:`lit_gans.networks.stackgan_pp`.
        discriminator_width: df.
        residual_blocks: of each branch but the first.
        generator_norm: ``batch``, ``instance``, ``layer``, ``group`` or ``none``.
        discriminator_norm: likewise.
        latent_dim: length of z.
        c_dim: length of c, whose mean is also what discriminators know of a text.
        augmentation: as ``form`` of :class:`lit_gans.layers.conditioning_augmentation.ConditioningAugmentation`.
        kl_weight: of the divergence of c from N(0, I).
        unconditional_weight: of whether images are real, whatever their texts; 0 for none.
        colour_weight: of how far the colours of an image are from those of the smaller one, 0 for none; the authors
            have 50 where nothing else ties them, without texts.
        rest: options of :class:`lit_gans.texts.FromTexts` and :class:`lit_gans.Games`.

    Raises:
        ValueError: if an option is out of its range.
    """

    game_class = StackGANPPScale
    has_labels = True

    def __init__(
        self,
        *,
        image_size: int = 256,
        scales: int | None = None,
        image_channels: int = 3,
        generator_width: int = 64,
        discriminator_width: int = 64,
        residual_blocks: int = 2,
        generator_norm: str = "batch",
        discriminator_norm: str = "batch",
        latent_dim: int = 100,
        c_dim: int = 128,
        augmentation: str = "glu",
        kl_weight: float = 2.0,
        unconditional_weight: float = 1.0,
        colour_weight: float = 0.0,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.options: dict[str, Any] = {
            **{"image_channels": image_channels, "residual_blocks": residual_blocks, "augmentation": augmentation},
            **{"generator_width": generator_width, "discriminator_width": discriminator_width, "c_dim": c_dim},
            **{"generator_norm": generator_norm, "discriminator_norm": discriminator_norm, "latent_dim": latent_dim},
            **{"kl_weight": kl_weight, "unconditional_weight": unconditional_weight, "colour_weight": colour_weight},
        }
        networks.check(image_size, scales, self.options)
        self.sizes = networks.sizes_of(image_size, scales)
        self.sample_shape = (image_channels, image_size, image_size)
        self.views = {f"scale{size}": {"size": size} for size in self.sizes[:-1]}

    @override
    def make_games(self) -> dict[str, GAN]:
        games: dict[str, GAN] = {}
        for k, size in enumerate(self.sizes):
            before = max(1, self.options["generator_width"] >> k - 1) if k else None
            own: dict[str, Any] = {"size": size, "before": before, "latent_dim": self.options["latent_dim"]}
            own |= {"options": self.options, "seed": keys.key(self.seed, f"scale{size}")}
            games[f"scale{size}"] = self.game_class(**own, **self.game_options)
        return games

    @override
    def build(self) -> None:
        own = self.encoder.dim, self.options["c_dim"], self.options["augmentation"]
        self.augmentation = self.keyed(lambda: ConditioningAugmentation(*own).apply(networks.begin), "augmentation")
        super().build()
        self.averaged_networks += ("augmentation",)

    @override
    def trunk(self) -> tuple[nn.Module, ...]:
        return (self.augmentation,)

    @override
    def sample_latent(self, n: int) -> Tensor:
        """``(n, latent_dim + c_dim)``: z, and the noise of c, from N(0, I)."""
        length = self.options["latent_dim"] + self.options["c_dim"]
        return torch.randn(n, length, device=self.device, dtype=self.float_type)

    @override
    def root(self, batch: Batch) -> Batch:
        latent, text = self.sample_latent(len(batch["text"])), batch["text"]
        mean, log_std = self.augmentation.moments(text)
        before, c = self.first(latent, text)
        return {"before": before, "c": c, "mean": mean, **({} if log_std is None else {"log_std": log_std})}

    def first(self, latent: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Z and c."""
        z, noise = torch.split(latent, [self.options["latent_dim"], self.options["c_dim"]], 1)
        return z, self.augmentation(text, noise)

    @override
    def game_batch(self, name: str, batch: Batch) -> Batch:
        batch, size = self.grown(batch), self.sizes[self.names.index(name)]  # the watch asks for any batch
        own = {"image": shrink(batch["image"], size), "condition": batch["mean"].detach(), "kind": batch["kind"]}
        return {**own, **self.branch_batch(name, batch)}

    @override
    def tree_terms(self, batch: Batch) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        if "log_std" in batch:
            terms["loss/kl"] = self.options["kl_weight"] * losses.gaussian_kl(batch["mean"], batch["log_std"])
        if self.options["colour_weight"]:
            fakes = [batch[f"{name}/fake"] for name in self.names]
            distances = [losses.colour_distance(fine, coarse) for coarse, fine in pairwise(fakes)]
            terms["loss/colour"] = self.options["colour_weight"] * sum(distances, fakes[0].new_zeros(()))
        return terms

    @override
    def forward(self, latent: Tensor, condition: Tensor | None = None, size: int | None = None) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1].

        Args:
            latent: ``(N, D)``.
            condition: embeddings of texts, ``(N, E)``.
            size: pixels of the images; None for the largest.
        """
        if condition is None:
            raise ValueError("StackGAN++ makes images of texts: give captions, or a condition.")
        if size is not None and size not in self.sizes:
            raise ValueError(f"StackGAN++ makes images of {', '.join(map(str, self.sizes))} pixels here, not {size}.")
        branches = zip(self.sizes, self.growth(*self.first(latent, condition.to(latent.dtype))), strict=True)
        return next(image for own, (_, _, image) in branches if own == (size or self.sizes[-1]))
