"""StackGAN: text to photo-realistic image synthesis with stacked GANs (Zhang et al., ICCV 2017, arXiv 1612.03242).

Stage-I draws what a text says as a small image; Stage-II sees that image and the text again, and makes a large one.
Each is a game of its own, whose discriminator also sees real images with a wrong text. They are trained one after the
other; Stage-I then stays as it is.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss
from typing_extensions import override

from lit_gans import keys, losses
from lit_gans.game import Batch
from lit_gans.gan import GAN
from lit_gans.layers.conditioning_augmentation import ConditioningAugmentation
from lit_gans.networks import stackgan as networks
from lit_gans.pyramid import shrink
from lit_gans.stages import Stages
from lit_gans.texts import FromTexts
from lit_gans.wrong_texts import WrongTexts

OF_THE_WHOLE = ("self", "__class__", "image_size", "coarse_size", "stage2_options", "rest")
"""Of the names in :class:`StackGAN`'s ``__init__``, what no single stage is told."""
OF_BOTH = ("image_channels", "latent_dim", "c_dim", "text_dim", "n_critic", "accumulate")
"""Of a stage's options, what the two have in common."""
WRONG = ("wrong_weight", "wrong_texts", "matching_weight")
"""The options of :class:`lit_gans.wrong_texts.WrongTexts`."""


class StackGANStage(WrongTexts):
    """min_D -E log D(x, t) - 1/2 E log(1 - D(x', t)) - 1/2 E log(1 - D(G(z, t), t)), x' real, of another text.

    min_G -E log D(G(z, t), t) + 2 KL(N(mu(t), sigma(t)^2) || N(0, I)) (arXiv 1612.03242, eq. 3 to 6, with the weights
    of the authors' code). A condition ends in the embedding t of a text; latents end in the noise of c.

    More wrong texts, and a loss of both players for telling them apart: :class:`lit_gans.wrong_texts.WrongTexts`.

    Args:
        size: pixels of its images.
        coarse: pixels of the images that it is conditioned on; 0 for none, in Stage-I.
        options: those of :class:`StackGAN` by their names there, for one stage.
        rest: options of :class:`lit_gans.GAN`.
    """

    has_labels = True

    def __init__(self, *, size: int, coarse: int, options: dict[str, Any], **rest: Any) -> None:
        super().__init__(**{name: options[name] for name in WRONG}, **rest)
        self.options, self.coarse = options, coarse
        self.sample_shape = (options["image_channels"], size, size)
        self.generator_norm, self.discriminator_norm = options["generator_norm"], options["discriminator_norm"]

    @override
    def build_generator(self) -> nn.Module:
        own, shape = self.options, self.sample_shape or ()
        c = ConditioningAugmentation(own["text_dim"], own["c_dim"], own["augmentation"])
        if self.coarse:
            blocks, norm = own["residual_blocks"], self.generator_norm
            width, skip = own["generator_width"], own["image_skip"]
            return networks.Stage2Generator(shape, self.coarse, width, blocks, norm, c, skip=skip)
        noise, norm = own["latent_dim"], self.generator_norm
        return networks.Stage1Generator(shape, own["generator_width"], own["network"], norm, noise, c)

    @override
    def build_discriminator(self) -> nn.Module:
        own, shape = self.options, self.discriminator_shape
        text, width = (own["text_dim"], own["c_dim"], own["text_head"]), own["discriminator_width"]
        return networks.StageDiscriminator(shape, width, own["network"], self.discriminator_norm, *text)

    @override
    def text(self, batch: Batch) -> Tensor:
        return batch["condition"][:, -self.options["text_dim"] :]

    @override
    def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        logits, targets = self.discriminator_logits(real, fake, condition), (self.real_target, self.fake_target)
        return losses.gan_discriminator_loss(*logits, *targets, fake_weight=1 - self.wrong_weight)

    @override
    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        return losses.non_saturating_generator_loss(self.generator_logits(fake, condition))

    @override
    def generator_objective(self, batch: Batch) -> dict[str, Tensor]:
        augmentation = self.generator.get_submodule("augmentation")
        assert isinstance(augmentation, ConditioningAugmentation)
        mean, log_std = augmentation.moments(self.text(batch))
        divergence = mean.new_zeros(()) if log_std is None else losses.gaussian_kl(mean, log_std)
        batch = {**batch, "fake": self.generate(batch)}
        terms = {**super().generator_objective(batch), "loss/kl": self.options["kl_weight"] * divergence}
        if self.coarse and self.options["coarse_weight"]:
            coarse, _ = networks.split(batch["condition"], (len(batch["fake"][0]), self.coarse, self.coarse))
            terms["loss/coarse"] = self.options["coarse_weight"] * mse_loss(shrink(batch["fake"], self.coarse), coarse)
        return terms

    @override
    def condition(self, batch: Batch) -> Tensor:
        return batch["condition"]

    @override
    def remember(self, condition: Tensor | None) -> None:
        """Nothing: whole StackGANs remember captions."""


class StackGAN(FromTexts, Stages):
    """Stage-I for some updates, then Stage-II for others, on one text encoder.

    Args:
        image_size: pixels of Stage-II's images.
        coarse_size: of Stage-I's; None for a quarter of 256, half of what is smaller.
        image_channels: 1 or 3.
        network: ``default``, with residual blocks, or ``simple``, convolutions alone, in Stage-I and discriminators.
        generator_width: gf; see :mod:`lit_gans.networks.stackgan`.
        discriminator_width: df.
        residual_blocks: of Stage-II's generator; the paper has 4 for 256 pixels, 2 for 128.
        image_skip: Stage-II changes Stage-I's image, enlarged, as LAPGAN does, instead of drawing it anew.
        generator_norm: ``batch``, ``instance``, ``layer``, ``group`` or ``none``.
        discriminator_norm: likewise.
        text_head: ``concat`` or ``projection``; see :class:`lit_gans.networks.stackgan.StageDiscriminator`.
        latent_dim: length of Stage-I's z; Stage-II has none.
        c_dim: length of c, and of what a discriminator makes of a text.
        augmentation: as ``form`` of :class:`lit_gans.layers.conditioning_augmentation.ConditioningAugmentation`.
        kl_weight: of the divergence of c from N(0, I).
        coarse_weight: of how far Stage-II's image, made as small as Stage-I's, is from it: the mean squared difference.
        wrong_weight: of real images with a wrong text in the discriminator's loss, in [0, 1]; that of generated images
            is the rest of 1.
        wrong_texts: how many nearest wrong texts each real image has; 0 for that of another image in the batch.
        matching_weight: of telling the own text among the wrong ones, in both players' losses; needs ``wrong_texts``.
        stage2_options: what Stage-II has otherwise than Stage-I, of the options above and below, by name: a narrower
            generator and another rate, ``{"generator_width": 16, "generator_optimizer": {"lr": 1e-4}}``, say. An
            optimizer of another name takes over nothing of Stage-I's.
        rest: options of :class:`lit_gans.texts.FromTexts` and :class:`lit_gans.stages.Stages`; each stage begins a
            learning-rate schedule anew.

    Raises:
        ValueError: if an option is out of its range.
    """

    game_class = StackGANStage
    has_labels = True
    stage1: StackGANStage
    stage2: StackGANStage

    def __init__(
        self,
        *,
        image_size: int = 256,
        coarse_size: int | None = None,
        image_channels: int = 3,
        network: str = "default",
        generator_width: int = 128,
        discriminator_width: int = 64,
        residual_blocks: int = 4,
        image_skip: bool = False,
        generator_norm: str = "batch",
        discriminator_norm: str = "batch",
        text_head: str = "concat",
        latent_dim: int = 100,
        c_dim: int = 128,
        augmentation: str = "log_std",
        kl_weight: float = 2.0,
        coarse_weight: float = 0.0,
        wrong_weight: float = 0.5,
        wrong_texts: int = 0,
        matching_weight: float = 0.0,
        stage2_options: dict[str, Any] | None = None,
        **rest: Any,
    ) -> None:
        options = {name: value for name, value in locals().items() if name not in OF_THE_WHOLE}
        super().__init__(**rest)
        self.sizes = (coarse_size or (image_size // 4 if image_size > 128 else image_size // 2), image_size)
        self.options, self.stage2_options = {**options, "text_dim": self.encoder.dim}, stage2_options or {}
        self.sample_shape, self.views = (image_channels, image_size, image_size), {"stages": {"beside": True}}

    def options_of(self, *, coarse: bool) -> dict[str, Any]:
        """A stage's, of its networks and its game.

        Raises:
            ValueError: if Stage-II's are of no stage, or of both.
        """
        options = {**self.options, **self.game_options}
        for name, own in self.stage2_options.items() if coarse else ():
            if name in OF_BOTH or name not in options:
                known = ", ".join(option for option in options if option not in OF_BOTH)
                raise ValueError(f"stage2_options are some of {known}; {name!r} is none.")
            before = options[name]
            same = isinstance(before, dict) and isinstance(own, dict) and {**before, **own}["name"] == before["name"]
            options[name] = {**before, **own} if same else own
        return options

    @override
    def make_games(self) -> dict[str, GAN]:
        networks.check(self.sizes, *(self.options_of(coarse=coarse) for coarse in (False, True)))
        games: dict[str, GAN] = {}
        for name, size, coarse in (("stage1", self.sizes[0], 0), ("stage2", self.sizes[1], self.sizes[0])):
            latent_dim = self.options["c_dim"] + (0 if coarse else self.options["latent_dim"])
            options = self.options_of(coarse=bool(coarse))
            own: dict[str, Any] = {option: options[option] for option in self.game_options}
            own |= {"size": size, "coarse": coarse, "latent_dim": latent_dim, "seed": keys.key(self.seed, name)}
            games[name] = self.game_class(**own, options=options)
        return games

    @override
    def game_batch(self, name: str, batch: Batch) -> Batch:
        image, text = batch["image"], batch["text"]
        if name == "stage1":
            return {"image": shrink(image, self.sizes[0]), "condition": text, "kind": batch["kind"]}
        self.seed_turn("stage1", self.batches_seen)
        with self.stage1.in_eval_mode():
            coarse = self.stage1(self.stage1.sample_latent(len(text)), text)
        return {"image": image, "condition": networks.join(coarse, text), "kind": batch["kind"]}

    @override
    def sample_latent(self, n: int) -> Tensor:
        """``(n, latent_dim + 2 c_dim)``: z, and the noise of c in both stages."""
        return torch.cat([self.named(name).sample_latent(n) for name in self.names], 1)

    @override
    def forward(
        self, latent: Tensor, condition: Tensor | None = None, stage: int | None = None, beside: bool = False
    ) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1].

        Args:
            latent: ``(N, D)``.
            condition: embeddings of texts, ``(N, E)``.
            stage: 1 for Stage-I's small images, 2 for Stage-II's; None for Stage-II's, or, as long as that has not
                begun to learn, for Stage-I's at their size.
            beside: at the left of each Stage-I's, enlarged: ``(N, C, H, 2 W)``.
        """
        if condition is None:
            raise ValueError("StackGAN makes images of texts: give captions, or a condition.")
        first, second = latent[:, : -self.options["c_dim"]], latent[:, -self.options["c_dim"] :]
        condition = condition.to(latent.dtype)
        coarse: Tensor = self.stage1(first, condition)
        if stage == 1:
            return coarse
        enlarged = fine = interpolate(coarse, self.sizes[1], mode="bilinear")
        if stage is not None or self.stage2.turns_taken["generator"]:
            fine = self.stage2(second, networks.join(coarse, condition))
        return torch.cat([enlarged, fine], 3) if beside else fine
