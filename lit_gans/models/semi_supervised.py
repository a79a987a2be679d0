"""Improved Techniques for Training GANs (Salimans et al., NeurIPS 2016): a classifier from few labels.

arXiv 1606.03498, section 5. The discriminator tells K classes of real samples and, as class K + 1, generated ones. What
it learns of unlabelled samples, namely that they are of some class, makes it a better classifier; the generator matches
its features. The logit of the fake class is 0: p(real) = Z / (Z + 1), Z the sum of the others' exponentials.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from lit_gans import losses
from lit_gans.data.base import DataModule
from lit_gans.data.labels import check_labels
from lit_gans.game import Batch, Player
from lit_gans.layers.weight_norm import initialize_by_data
from lit_gans.mixins import FeatureMatching
from lit_gans.networks.semi_supervised import NETWORKS
from lit_gans.sampler import AT_ONCE

ADAM = {"name": "adam_root", "lr": 3e-3, "betas": [0.5, 0.999], "eps": 1e-8}


class SemiSupervisedGAN(FeatureMatching):
    """min_D -E log p(y | x, real) - 1/2 E log p(real | x) - 1/2 E log p(fake | G(z)), min_G ||E f(x) - E f(G(z))||.

    The first term is over labelled samples, the second over others, and the generator matches the features of yet
    others, where the data hand them out (:class:`lit_gans.data.order.LabelledOrder`).

    Args:
        network: ``mlp``, as the paper has for MNIST, or ``cnn``, as for CIFAR-10.
        image_size: pixels of a side; a multiple of 8, at least 16, for ``cnn``.
        image_channels: 1 or 3.
        num_classes: K.
        generator_width: None for the paper's; see :mod:`lit_gans.networks.semi_supervised`.
        discriminator_width: likewise.
        unsupervised: play the game; False trains the classifier on the labels alone, to compare with.
        fm_replace: the generator matches features; False for E log p(fake | G(z)), the saturating loss, which goes with
            minibatch discrimination where samples count more than the classifier (section 3.2), and then ``fm_weight``
            times the distance of the features.
        fm_weight: see :class:`lit_gans.mixins.FeatureMatching`.
        fm_norm: None for ``l2`` with ``mlp``, ``l1`` with ``cnn``.
        fm_layer: None for the last hidden layer, before its noise.
        rest: options of :class:`lit_gans.GAN`.

    Raises:
        ValueError: if an option is out of its range.
    """

    has_labels = True
    learns_labels = True
    averaged_networks = ("generator", "discriminator")
    generator_norm = discriminator_norm = "weight"
    initialized: Tensor

    def __init__(
        self,
        *,
        network: str = "mlp",
        image_size: int = 28,
        image_channels: int = 1,
        num_classes: int = 10,
        generator_width: int | None = None,
        discriminator_width: int | None = None,
        unsupervised: bool = True,
        fm_norm: str | None = None,
        fm_layer: str | None = None,
        **rest: Any,
    ) -> None:
        if network not in NETWORKS:
            raise ValueError(f"network must be one of {', '.join(NETWORKS)}, got {network!r}.")
        if network == "cnn" and (image_size < 16 or image_size % 8):
            raise ValueError(f"network=cnn makes images of 16, 24, 32, 40 … pixels, not {image_size}.")
        if num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, got {num_classes}.")
        features = {"fm_norm": fm_norm or ("l2" if network == "mlp" else "l1"), "fm_layer": fm_layer or "hidden"}
        super().__init__(**{"generator_optimizer": ADAM, "discriminator_optimizer": ADAM, **features, **rest})
        self.networks, self.num_classes, self.unsupervised = NETWORKS[network], num_classes, unsupervised
        given = (generator_width, discriminator_width)
        self.widths = [own or paper for own, paper in zip(given, self.networks.widths, strict=True)]
        self.sample_shape = (image_channels, image_size, image_size)
        self.register_buffer("initialized", torch.tensor(False))

    # The game

    @override
    def shared(self, batch: Batch) -> Batch:
        """Nothing: each turn has fakes of its own, as in the paper's code."""
        return batch

    @override
    def build_generator(self) -> nn.Module:
        return self.networks.generator(self.latent_dim, self.sample_shape or (), self.widths[0])

    @override
    def build_discriminator(self) -> nn.Module:
        return self.networks.discriminator(self.discriminator_shape, self.widths[1], self.num_classes)

    @override
    def sample_latent(self, n: int) -> Tensor:
        """``(n, latent_dim)`` from U(0, 1)."""
        return torch.rand(n, self.latent_dim, device=self.device, dtype=self.float_type)

    def classify(self, x: Tensor) -> Tensor:
        """Raw logits ``(N, K)`` of the real classes, for samples as the discriminator is shown them."""
        return super().discriminate(x)

    @override
    def discriminate(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Log Z, ``(N,)``: the logit of p(real), with which all tricks play."""
        return losses.realness(self.classify(x))

    @override
    def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        logits = self.discriminator_logits(real, fake, condition)
        return losses.gan_discriminator_loss(*logits, self.real_target, self.fake_target) / 2

    @override
    def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
        if self.fm_replace:
            return self.matching(real, fake, condition)
        return losses.minimax_generator_loss(self.generator_logits(fake, condition))

    def classification_terms(self, batch: Batch) -> dict[str, Tensor]:
        """-E log p(y | x, real); a batch without labelled samples beside it may have labels of its own."""
        image, label = (batch[f"labelled_{name}" if "labelled_image" in batch else name] for name in ("image", "label"))
        return {"loss/classification": losses.classification(self.classify(image), label)}

    @override
    def discriminator_terms(self, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        return {**super().discriminator_terms(batch, fake), **self.classification_terms(batch)}

    @override
    def discriminator_objective(self, batch: Batch) -> dict[str, Tensor]:
        return super().discriminator_objective(batch) if self.unsupervised else self.classification_terms(batch)

    @override
    def generator_objective(self, batch: Batch) -> dict[str, Tensor]:
        """On other unlabelled samples than the discriminator's, where the batch has them."""
        return super().generator_objective({**batch, "image": batch.get("other_image", batch["image"])})

    @override
    def players(self) -> tuple[Player, ...]:
        discriminator, generator = super().players()
        return (discriminator, generator) if self.unsupervised else (discriminator,)

    @override
    def play_batch(self, batch: Batch, *, counts: bool) -> dict[str, Tensor]:
        if not self.batches_seen and not self.initialized:
            self.initialize(batch)
        return super().play_batch(batch, counts=counts)

    def initialize(self, batch: Batch) -> None:
        """Sets the scales and biases of weight-normalized layers by the first batch, as the paper's code does."""
        self.seed_turn("initialize", 0)
        mean = partial(self.trainer.strategy.reduce, reduce_op="mean")
        images = torch.cat([values for name, values in batch.items() if name.endswith("image")])
        initialize_by_data(self.discriminator, self.discriminator_input(images), mean=mean)
        if self.unsupervised and (std := self.networks.generator_std) is not None:
            initialize_by_data(self.generator, self.sample_latent(len(images)), std=std, mean=mean)
        self.initialized.fill_(True)

    # What it is trained on

    @override
    def check(self) -> None:
        super().check()
        tricks = self.recipe()["tricks"]
        if not self.unsupervised and tricks:
            raise ValueError(
                "Without the game (unsupervised=false) tricks have nothing to work on: leave them out, or set "
                "model.unsupervised=true."
            )
        if self.discriminator_shape != self.sample_shape:
            raise ValueError("pacgan shows D several samples at once, each of a class of its own: leave it out.")

    @override
    def check_data(self, data: Any) -> None:
        super().check_data(data)
        if not isinstance(data, DataModule):
            return
        if data.batch_size < 2:
            raise ValueError("In a batch the generator's batch norm needs two samples: use data.batch_size=2 or more.")
        labels, names = data.train_dataset.labels, list(data.class_names)
        if labels is None:
            raise ValueError(f"{type(self).__name__} learns from labels, and the data have none.")
        if len(names) > self.num_classes:
            raise ValueError(
                f"The data have {len(names)} classes, more than model.num_classes={self.num_classes}: use "
                f"model.num_classes={len(names)}."
            )
        check_labels(labels, [*names, *(str(number) for number in range(len(names), self.num_classes))])

    @override
    def prepare(self, batch: Batch) -> Batch:
        if "label" not in batch:
            raise ValueError(f"{type(self).__name__} learns from labels: a batch needs `label`, -1 for unlabelled.")
        return super().prepare(batch)

    # Use

    @torch.no_grad()
    def predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What the discriminator says of images, in eval mode.

        Args:
            images: ``(N, C, H, W)``, uint8 or floats in [-1, 1].

        Returns:
            The probabilities of the K classes, given that an image is real, ``(N, K)``, and that of its being real,
            ``(N,)``; on the model's device.
        """
        with self.in_eval_mode():
            parts = (self.floats(part.to(self.device)) for part in torch.split(images, AT_ONCE))
            logits = torch.cat([self.discriminator(part) for part in parts]).float()
        return logits.softmax(1), losses.realness(logits).sigmoid()

    @override
    def test_step(self, batch: Batch, batch_idx: int) -> None:
        known = batch["label"] >= 0
        if not known.any():
            return
        wrong = self.predict(batch["image"][known])[0].argmax(1) != batch["label"][known]
        self.log("test/error", wrong.float().mean(), on_epoch=True, batch_size=len(wrong))
        self.log("test/wrong", wrong.float().sum(), on_epoch=True, reduce_fx="sum")
