"""Every trick of configs/tricks, on every model that takes it: felt by the turn, option by option."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import get_class
from omegaconf import OmegaConf
from torch import Tensor

from lit_gans import GAN, Sampler, compose
from lit_gans.mixins import GradientPenalty, OneSidedLabelSmoothing, R1Penalty
from lit_gans.models import DCGAN, MLPGAN, WGANGP
from tests.conftest import TINY, fit, images

CONFIGS = Path(__file__).parents[2] / "configs"
MLP = {"latent_dim": 4, "sample_shape": [1, 16, 16], "generator_hidden": [16], "discriminator_hidden": [16]}
LAPGAN = {
    **{"image_size": 16, "image_channels": 1, "width": 4, "latent_dim": 4},
    **{"coarsest_generator_width": 8, "coarsest_discriminator_width": 8},
}
SEMI_SUPERVISED = {
    **{"image_size": 16, "image_channels": 1, "latent_dim": 4},
    **{"generator_width": 8, "discriminator_width": 16},
}
STACKGAN = {
    **SEMI_SUPERVISED,
    **{"c_dim": 4, "residual_blocks": 1, "stage_steps": [1, 1], "network": "simple"},
    "text_encoder": {"name": "bag_of_words", "dim": 8},
}
STACKGAN_PP = {
    **SEMI_SUPERVISED,
    **{"c_dim": 4, "residual_blocks": 1, "scales": 2, "text_encoder": {"name": "bag_of_words", "dim": 8}},
}
SMALL: dict[str, dict[str, Any]] = {
    "mlp_gan": MLP,
    "unrolled": {**MLP, "unrolled_steps": 2},
    "lapgan": LAPGAN,
    "semi_supervised": SEMI_SUPERVISED,
    "stackgan": STACKGAN,
    "stackgan_pp": STACKGAN_PP,
}
NO_BATCH_NORM = {"discriminator_norm": "none"}
BASE: dict[str, dict[str, Any]] = {"joint_batch": {"discriminator_norm": "batch"}}
"""Settings of the model on which a trick is felt, where those without batch norm in D are not."""


def tricks() -> dict[str, dict[str, Any]]:
    """Options by trick, ``_target_`` included."""
    files = sorted((CONFIGS / "tricks").glob("*.yaml"))
    return {path.stem: OmegaConf.to_container(OmegaConf.load(path))[path.stem] for path in files}


def models() -> dict[str, type[Sampler]]:
    files = sorted((CONFIGS / "model").glob("*.yaml"))
    return {path.stem: get_class(OmegaConf.load(path)["_target_"]) for path in files}


TRICKS, MODELS = tricks(), models()
ELSEWHERE = ("_target_", "unrolled_exchange", "unrolled_compile", "generator_dropout_at_sampling")
"""What no turn of one process feels: tests.two_processes, test_unrolled and test_turns see to them."""
OPTIONS = [(name, key) for name, options in TRICKS.items() for key in options if key not in ELSEWHERE]
REMEDIES = ("set model.", "use model=", "leave it out", "=null", "name it")
"""What a refusal says: a way out."""

OTHER: dict[str, Any] = {
    **{"spectral_norm_iterations": 2, "vbn_reference": 32},
    "unrolled_steps": 2,
    **{"mbd_kernels": 8, "mbd_dims": 2, "mbstd_group": 4, "pac_samples": 4, "top_k_every": 2},
    **{"fm_norm": "l2", "fm_layer": "stages.0", "smooth_fake_target": 0.1},
    **{"ada_target": -1.0, "ada_interval": 2, "ada_images": 50, "cr_fake_weight": 10.0},
    **{"diff_augment_policy": ["cutout"], "noise_updates": 3},
    **{"replay_kind": "pool", "replay_size": 2, "past_every": 2, "past_size": 1},
}
"""Another value of an option, where half of a number or the opposite of a bool would not do."""

WITH: dict[str, dict[str, Any]] = {
    "spectral_norm_discriminator": {"spectral_norm_generator": True},
    "gp_one_sided": {"gp_weight": 1000.0},
    "replay_swap": {"replay_kind": "pool", "replay_size": 4},
}
"""Settings under which an option is felt within a few batches, where the defaults of a trick are not enough."""

SOON: dict[str, dict[str, Any]] = {
    "ada": {"ada_start": 0.5, "ada_interval": 1, "ada_images": 100},
    "instance_noise": {"noise_updates": 8},
    "checkpoint_replay": {"past_every": 1, "past_probability": 0.9},
    "label_flipping": {"label_flip_probability": 0.5},
    "top_k": {"top_k_every": 1, "top_k_decay": 0.7},
}
"""Settings of a trick that begins late by default."""


AFTER = {"lazy": ("r1",)}
"""What a trick must have after it."""


def trick_classes(name: str) -> tuple[type[GAN], ...]:
    return tuple(get_class(TRICKS[trick]["_target_"]) for trick in (name, *AFTER.get(name, ())))


def options_of(name: str) -> dict[str, Any]:
    return {key: value for key, value in {**TRICKS[name], **SOON.get(name, {})}.items() if key != "_target_"}


def trained(cls: type[Sampler], **options: Any) -> Tensor:
    """All weights after four batches."""
    model = cls(**options)
    fit(model, images(32), 8, max_epochs=1)
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def other_value(key: str, value: Any) -> Any:
    if key in OTHER:
        return OTHER[key]
    return not value if isinstance(value, bool) else value / 2


def test_the_tables_are_not_empty() -> None:
    assert {"r1", "wgan_gp", "label_smoothing"} <= TRICKS.keys()
    assert {"dcgan", "wgan_gp", "mlp_gan"} <= MODELS.keys()
    keys = {key for _, key in OPTIONS}
    assert OTHER.keys() | WITH.keys() <= keys


@pytest.mark.parametrize("name", TRICKS)
def test_a_trick_changes_the_update(name: str) -> None:
    base = {**TINY, **NO_BATCH_NORM, **BASE.get(name, {})}
    assert not torch.equal(
        trained(DCGAN, **base), trained(compose(DCGAN, *trick_classes(name)), **base, **options_of(name))
    )


@pytest.mark.parametrize(("name", "key"), OPTIONS)
def test_every_option_is_felt_by_the_turn(name: str, key: str) -> None:
    cls = compose(DCGAN, *trick_classes(name))
    options = {**TINY, **NO_BATCH_NORM, **BASE.get(name, {}), **options_of(name), **WITH.get(key, {})}
    changed = {**options, key: other_value(key, options[key])}
    assert not torch.equal(trained(cls, **options), trained(cls, **changed))


VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, SMALL.get(name, TINY)) for name in MODELS},
    "stackgan with wrong texts": ("stackgan", {**STACKGAN, "wrong_texts": 2, "matching_weight": 1.0}),
}


@pytest.mark.parametrize(("variant", "trick"), list(itertools.product(VARIANTS, TRICKS)))
def test_every_trick_goes_with_every_model_or_says_why_not(variant: str, trick: str) -> None:
    """It trains, with one turn at least, or is refused by a sentence that says what to do."""
    model, options = VARIANTS[variant]
    refusal = ""
    try:
        weights = trained(compose(MODELS[model], *trick_classes(trick)), **options, **options_of(trick))
    except ValueError as error:
        refusal, weights = str(error), torch.zeros(1)
    assert bool(weights.isfinite().all())
    assert not refusal or any(word in refusal for word in REMEDIES)


def test_penalties_add_up_linearly_in_their_weights() -> None:
    """R1 and the gradient penalty together: each contributes its own weight times its own term."""
    cls = compose(DCGAN, R1Penalty, GradientPenalty)

    def penalty(r1: float, gp: float) -> float:
        model = cls(**TINY, **NO_BATCH_NORM, r1_gamma=r1, gp_weight=gp)
        real = torch.stack([item["image"] for item in images(8)]).float() / 127.5 - 1
        torch.manual_seed(0)
        fake = torch.rand_like(real) * 2 - 1
        return float(model.discriminator_penalty(real, fake, None).detach())

    assert penalty(0, 0) == 0
    assert penalty(3, 0) > 0
    assert penalty(0, 3) > 0
    assert penalty(2, 5) == pytest.approx(2 * penalty(1, 0) + 5 * penalty(0, 1), rel=1e-4)


def test_label_smoothing_touches_real_labels_only() -> None:
    seen: list[tuple[float, float]] = []

    class Spy(DCGAN):
        def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
            # With constant logits l the loss is a sp(-l) + (1 - a) sp(l) + sp(l): linear in a, so a can be read off.
            seen.append((self.real_target, 0.0))
            return super().discriminator_loss(real, fake, condition)

    fit(compose(Spy, OneSidedLabelSmoothing)(**TINY, smooth_target=0.75), images(8), max_epochs=1)
    assert seen == [(0.75, 0.0)]


@pytest.mark.parametrize("model", [WGANGP, MLPGAN])
def test_refusals_name_the_reason(model: type[GAN]) -> None:
    if model is WGANGP:
        with pytest.raises(ValueError, match=r"label_smoothing softens the labels .* has none"):
            compose(WGANGP, OneSidedLabelSmoothing)(**TINY)
        with pytest.raises(ValueError, match="batch norm in the discriminator"):
            WGANGP(**TINY, discriminator_norm="batch")
    else:
        with pytest.raises(ValueError, match="r1_gamma must be at least 0, got -1"):
            compose(MLPGAN, R1Penalty)(r1_gamma=-1)
        with pytest.raises(ValueError, match=r"got 1\.5"):
            compose(MLPGAN, OneSidedLabelSmoothing)(smooth_target=1.5)
        with pytest.raises(ValueError, match="gp_weight must be at least 0"):
            compose(MLPGAN, GradientPenalty)(gp_weight=-0.1)
