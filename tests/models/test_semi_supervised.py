"""A classifier from few labels: the paper's round against a plain loop, what a turn feels, what is refused."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from lit_gans import compose, load
from lit_gans.callbacks.ema import EMA
from lit_gans.callbacks.test_error import TestError
from lit_gans.data import Digits
from lit_gans.layers.gaussian_noise import GaussianNoise
from lit_gans.mixins import HistoricalAveraging, MinibatchDiscrimination, PacGAN, R1Penalty, SpectralNorm, Unrolled
from lit_gans.models import SemiSupervisedGAN
from tests.conftest import fit, images, trainer

BATCHES, BATCH = 5, 8
SMALL: dict[str, Any] = {
    **{"image_size": 16, "image_channels": 1, "latent_dim": 4},
    **{"generator_width": 8, "discriminator_width": 16},
}
SGD = {"name": "sgd", "lr": 0.05, "betas": None, "eps": None}


def made(**options: Any) -> SemiSupervisedGAN:
    return SemiSupervisedGAN(**{**SMALL, **options})


def quiet(model: SemiSupervisedGAN) -> SemiSupervisedGAN:
    """Without noise in its layers, which a plain loop could not draw alike."""
    for layer in model.modules():
        if isinstance(layer, GaussianNoise):
            layer.sigma = 0.0
        elif isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    return model


def batches(size: int = BATCH) -> list[dict[str, Tensor]]:
    """Batches as the data hand them out."""
    generator = torch.Generator().manual_seed(1)

    def pixels() -> Tensor:
        return torch.randint(0, 256, (size, 1, 16, 16), dtype=torch.uint8, generator=generator)

    labels = torch.arange(size)
    return [
        {
            **{"image": pixels(), "label": torch.full((size,), -1), "labelled_image": pixels()},
            **{"labelled_label": labels * (i + 1) % 10, "other_image": pixels()},
        }
        for i in range(BATCHES)
    ]


def floats(image: Tensor) -> Tensor:
    return image.double() / 127.5 - 1


def trained(model: SemiSupervisedGAN, size: int = BATCH, **options: Any) -> SemiSupervisedGAN:
    """After one fit on `batches`."""
    runner = trainer(max_epochs=1, **options)
    runner.fit(model, torch.utils.data.DataLoader(batches(size), batch_size=None))
    return model


def weights(network: torch.nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


@pytest.mark.parametrize("network", ["mlp", "cnn"])
@pytest.mark.parametrize("size", [2, 3, 8])
def test_rounds_equal_a_plain_loop_of_the_paper(network: str, size: int) -> None:
    """L_lab + L_unl with its halves for D; for G the distance of mean features, on other samples than D's."""
    sgd = {"generator_optimizer": SGD, "discriminator_optimizer": SGD}
    widths = {"discriminator_width": 64 if network == "mlp" else 3}
    model = quiet(made(network=network, **sgd, **widths)).double()
    model.initialized.fill_(True)  # the initialisation by data has tests of its own
    generator, discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    steps = [torch.optim.SGD(player.parameters(), 0.05) for player in (discriminator, generator)]
    features: list[Tensor] = []
    discriminator.hidden.register_forward_hook(lambda module, given, result: features.append(result))
    for i, batch in enumerate(batches(size)):
        torch.manual_seed(model.key("discriminator", i, 0))
        fake = generator(torch.rand(size, 4, dtype=torch.double))
        labelled = discriminator(floats(batch["labelled_image"]))
        unlabelled = discriminator(floats(batch["image"])).logsumexp(1)
        faked = discriminator(fake.detach()).logsumexp(1)
        loss = cross_entropy(labelled, batch["labelled_label"])
        loss = loss - unlabelled.mean() / 2 + softplus(unlabelled).mean() / 2 + softplus(faked).mean() / 2
        steps[0].zero_grad()
        loss.backward()
        steps[0].step()
        features.clear()
        torch.manual_seed(model.key("generator", i, 0))
        other = generator(torch.rand(size, 4, dtype=torch.double))
        discriminator(floats(batch["other_image"]))
        discriminator(other)
        difference = features[0].mean(0) - features[1].mean(0)
        steps[1].zero_grad()
        (difference.square().mean() if network == "mlp" else difference.abs().mean()).backward()
        steps[1].step()
    trained(model, size, precision="64-true")
    torch.testing.assert_close(weights(model.discriminator), weights(discriminator), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(weights(model.generator), weights(generator), rtol=1e-9, atol=1e-12)
    assert not torch.equal(weights(generator), weights(made(network=network, **widths).double().generator))


@pytest.mark.parametrize(("network", "logit"), [("mlp", 9.0), ("cnn", 5.0)])
def test_bright_pixels_have_a_gradient_in_half_precision(network: str, logit: float) -> None:
    """Rounded to 1 before its derivative is taken, a pixel is dead, and the generator with it."""
    model = made(network=network)
    bias = model.generator.get_parameter("output.bias")
    with torch.no_grad():
        bias.fill_(logit)
    with torch.autocast("cpu", torch.bfloat16):
        model.generator(model.sample_latent(4)).sum().backward()
    assert bias.grad is not None
    assert bool((bias.grad > 0).all())


@pytest.mark.parametrize("name", ["image", "labelled_image", "labelled_label", "other_image"])
def test_each_part_of_a_batch_is_felt(name: str) -> None:
    """The generator alone sees the other images; without the game, only what is labelled is seen."""
    parts = batches()[0]
    changed = {**parts, name: 9 - parts[name] if name.endswith("label") else 255 - parts[name]}
    found = {}
    for unsupervised in (True, False):
        moved = []
        for batch in (parts, changed):
            model = quiet(made(unsupervised=unsupervised))
            model.initialized.fill_(True)
            trainer(max_steps=1).fit(model, torch.utils.data.DataLoader([batch], batch_size=None))
            moved.append((weights(model.discriminator), weights(model.generator)))
        found[unsupervised] = [not torch.equal(first, second) for first, second in zip(*moved, strict=True)]
    assert found[True] == [name != "other_image", True]
    assert found[False] == [name.startswith("labelled"), False]


def test_plain_batches_have_labels_of_their_own() -> None:
    """-1 is unlabelled; a batch without any label teaches no class, and one without labels at all is refused."""
    model = made()
    fit(model, images(32), 8, max_epochs=1)
    assert float(model.latest_terms["loss/classification"]) > 0
    hidden = [{**item, "label": torch.tensor(-1)} for item in images(16)]
    fit(model := made(), hidden, 8, max_epochs=1)
    assert float(model.latest_terms["loss/classification"]) == 0
    with pytest.raises(ValueError, match="learns from labels: a batch needs `label`, -1 for unlabelled"):
        fit(made(), [{"image": item["image"]} for item in images(16)], 8, max_epochs=1)


def test_the_first_batch_initialises_and_a_checkpoint_s_weights_stay() -> None:
    model = quiet(made(network="cnn", discriminator_width=4))
    model.trainer = trainer()
    assert not model.initialized
    batch = model.prepare(batches()[0])
    model.initialize(batch)
    seen = torch.cat([batch[name] for name in ("image", "labelled_image", "other_image")])
    logits = model.classify(seen)
    torch.testing.assert_close(logits.mean(0), torch.zeros(10), atol=1e-4, rtol=0)
    torch.testing.assert_close(logits.std(0, unbiased=False), torch.ones(10), atol=2e-3, rtol=0)
    known = made()
    trained(known)
    again = made()
    again.load_state_dict(known.state_dict())
    assert again.initialized
    frozen = {"generator_optimizer": {**SGD, "lr": 1e-12}, "discriminator_optimizer": {**SGD, "lr": 1e-12}}
    again = made(**frozen)
    again.load_state_dict(known.state_dict())
    trained(again)
    torch.testing.assert_close(weights(again.discriminator), weights(known.discriminator), atol=1e-6, rtol=1e-6)


def test_what_it_says_of_images() -> None:
    """Probabilities of K + 1 classes: those of the real ones, given real, and that of real; uint8 or floats."""
    model = made()
    image = torch.stack([item["image"] for item in images(300)])
    classes, real = model.predict(image)
    with model.in_eval_mode():
        logits = model.discriminator(image.float() / 127.5 - 1)
    whole = torch.cat([logits, torch.zeros(300, 1)], 1).softmax(1)
    torch.testing.assert_close(classes * real[:, None], whole[:, :10], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(real, 1 - whole[:, 10], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(model.predict(image.float() / 127.5 - 1)[0], classes)
    assert model.training


def test_the_sample_quality_choice_is_saturating_and_sees_no_features() -> None:
    model = quiet(made(fm_replace=False, fm_weight=0.0))
    batch = model.prepare(batches()[0])
    terms = model.generator_objective(batch)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fake = model.generate(batch)
    value = model.generator_loss(batch["image"], fake, None)
    torch.testing.assert_close(value, -softplus(model.discriminate(fake)).mean())
    assert float(terms["penalty/generator"]) == 0
    fit(
        compose(SemiSupervisedGAN, MinibatchDiscrimination)(**SMALL, fm_replace=False, fm_weight=0.0),
        images(16),
        8,
        max_epochs=1,
    )


def test_steps_ahead_know_the_labels() -> None:
    """Where D looks ahead, it minimises what it minimises in its own turn: the classes, too."""

    def generator(batch: dict[str, Tensor]) -> Tensor:
        model = quiet(compose(SemiSupervisedGAN, Unrolled)(**SMALL, unrolled_steps=1))
        model.initialized.fill_(True)
        trainer(max_steps=1).fit(model, torch.utils.data.DataLoader([batch], batch_size=None))
        return weights(model.generator)

    batch = batches()[0]
    assert not torch.equal(generator(batch), generator({**batch, "labelled_label": 9 - batch["labelled_label"]}))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"network": "vgg"}, "network must be one of mlp, cnn, got 'vgg'"),
        ({"network": "cnn", "image_size": 12}, "makes images of 16, 24, 32, 40 … pixels, not 12"),
        ({"num_classes": 1}, "num_classes must be at least 2, got 1"),
        ({"fm_weight": 0.0}, "fm_weight must be above 0"),
        ({"fm_layer": "nowhere"}, "no layer called 'nowhere'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        made(**options)


def test_tricks_without_meaning_are_refused() -> None:
    with pytest.raises(ValueError, match=r"unsupervised=false\) tricks have nothing to work on"):
        compose(SemiSupervisedGAN, R1Penalty)(**SMALL, unsupervised=False)
    with pytest.raises(ValueError, match="several samples at once, each of a class of its own: leave it out"):
        compose(SemiSupervisedGAN, PacGAN)(**SMALL)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_a_second_normalization_is_refused(network: str) -> None:
    chosen = {"spectral_norm_generator": network == "generator", "spectral_norm_discriminator": network != "generator"}
    with pytest.raises(ValueError, match=f"weight norm would be two normalizations of one network, the {network}"):
        compose(SemiSupervisedGAN, SpectralNorm)(**SMALL, **chosen)


def test_scales_that_nobody_learns_are_held_by_their_history_in_steps_ahead_too() -> None:
    """They are in the history, and no stand-in has them."""
    model = compose(SemiSupervisedGAN, HistoricalAveraging, Unrolled)(**SMALL, unrolled_steps=1)
    fit(model, images(24), 8, max_epochs=1)
    assert float(model.latest_terms["penalty/discriminator"]) > 0


def test_data_it_cannot_learn_from_are_refused() -> None:
    data = Digits(image_size=16, batch_size=16, num_labelled=20)
    with pytest.raises(ValueError, match="No sample has the label of 10, 11"):
        trainer(max_steps=1).fit(made(num_classes=12), datamodule=data)
    with pytest.raises(ValueError, match=r"The data have 10 classes, more than model\.num_classes=7"):
        made(num_classes=7).check_data(data)
    with pytest.raises(ValueError, match=r"needs two samples: use data\.batch_size=2 or more"):
        made().check_data(Digits(image_size=16, batch_size=1))
    data.train_dataset.labels[3] = 11
    with pytest.raises(ValueError, match="Labels must be 0 to 9, one for each class, or -1"):
        made().check_data(data)
    data.train_dataset.labels = None
    with pytest.raises(ValueError, match="learns from labels, and the data have none"):
        made().check_data(data)


def small_digits(seed: int) -> Digits:
    return Digits(image_size=8, batch_size=50, num_labelled=50, num_test=500, seed=seed)


def learner(seed: int, *, unsupervised: bool = True) -> SemiSupervisedGAN:
    small = {"image_size": 8, "latent_dim": 50, "generator_width": 64, "discriminator_width": 128}
    return SemiSupervisedGAN(**small, unsupervised=unsupervised, lr_schedule={"name": "linear"}, seed=seed)


def test_unlabelled_digits_help(tmp_path: Path) -> None:
    """50 labels: the game makes fewer mistakes than the labels alone; the short form of a benchmark."""
    found = {}
    for unsupervised in (True, False):
        error = TestError(every=None)
        options: dict[str, Any] = {"max_steps": 1000, "default_root_dir": tmp_path}
        runner = trainer(callbacks=[EMA(), error], use_distributed_sampler=False, **options)
        model = learner(0, unsupervised=unsupervised)
        runner.fit(model, datamodule=small_digits(0))
        assert error.last is not None
        found[unsupervised] = error.last[0]["test/error_raw"]
        (tested,) = runner.test(model, datamodule=small_digits(0), verbose=False)
        assert tested["test/error"] == pytest.approx(found[unsupervised], abs=1e-6)
        assert tested["test/wrong"] == pytest.approx(500 * found[unsupervised], abs=1e-3)
    assert 0.02 < found[True] < 0.13
    assert found[True] < found[False] < 0.3


def test_unlabelled_test_samples_count_neither_way() -> None:
    model, data = learner(0), small_digits(0)
    data.setup("fit")
    data.test_dataset.labels[100:] = -1
    told = model.predict(data.test_dataset.values[:100])[0].argmax(1)
    wrong = int((told != data.test_dataset.labels[:100]).sum())
    (tested,) = trainer(use_distributed_sampler=False).test(model, datamodule=data, verbose=False)
    assert tested["test/wrong"] == wrong
    assert tested["test/error"] == pytest.approx(wrong / 100, abs=1e-6)


def test_a_checkpoint_holds_averages_of_both_networks(tmp_path: Path) -> None:
    ema = EMA(half_life=100)
    runner = trainer(max_steps=20, callbacks=[ema], default_root_dir=tmp_path, use_distributed_sampler=False)
    model = learner(0)
    runner.fit(model, datamodule=small_digits(0))
    runner.save_checkpoint(tmp_path / "it.ckpt")
    image = small_digits(0).load_test().__getitems__(range(20))["image"]
    averaged, raw = (load(tmp_path / "it.ckpt", ema=flag).predict(image)[0] for flag in (True, False))
    torch.testing.assert_close(raw, model.predict(image)[0])
    with ema.swapped(model):
        torch.testing.assert_close(averaged, model.predict(image)[0])
    assert not torch.equal(averaged, raw)
