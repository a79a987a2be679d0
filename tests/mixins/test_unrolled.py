"""Unrolling in the game: against plain loops and finite differences; what it leaves alone; what it costs."""

import copy
import shutil
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from lit_gans import GAN, compose
from lit_gans.mixins import R1Penalty, SpectralNorm, Unrolled
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import TINY, fit, images
from tests.mixins.twin import reals
from tests.models.test_twins import BATCH, BATCHES, ns_d, ns_g, r1

NO_BN = {"discriminator_norm": "none"}
LR, FIRST, SECOND, EPS = 1e-2, 0.5, 0.99, 1e-8
ADAM = {"name": "adam", "lr": LR, "betas": [FIRST, SECOND]}
UnrolledDCGAN = compose(DCGAN, Unrolled)


def d_loss(network: Any, real: Tensor, fake: Tensor, gamma: float) -> Tensor:
    return ns_d(network, real, fake) + (r1(network, real, gamma) if gamma else 0.0)


def seen_through(discriminator: nn.Module, optimizer: Any, k: int, real: Tensor, fake: Tensor, gamma: float) -> Any:
    """The discriminator after k steps of Adam, written from its paper, one weight after the other."""
    weights = {name: p.detach().clone().requires_grad_() for name, p in discriminator.named_parameters()}
    states = {name: optimizer.state[p] for name, p in discriminator.named_parameters()}
    means, squares = ({name: s[key].clone() for name, s in states.items()} for key in ("exp_avg", "exp_avg_sq"))
    t = int(next(iter(states.values()))["step"])
    for step in range(t + 1, t + k + 1):
        loss = d_loss(lambda x, w=dict(weights): functional_call(discriminator, w, (x,)), real, fake, gamma)
        gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        for name, g in zip(weights, gradients, strict=True):
            means[name] = FIRST * means[name] + (1 - FIRST) * g
            squares[name] = SECOND * squares[name] + (1 - SECOND) * g**2
            mean, square = means[name] / (1 - FIRST**step), squares[name] / (1 - SECOND**step)
            weights[name] = weights[name] - LR * mean / ((square + 1e-60).sqrt() + EPS)
    return lambda x: functional_call(discriminator, weights, (x,))


def trained_copy(discriminator: nn.Module, optimizer: Any, k: int, real: Tensor, fake: Tensor, gamma: float) -> Any:
    """A copy of the discriminator after k ordinary steps of torch's own Adam."""
    later = copy.deepcopy(discriminator)
    own = torch.optim.Adam(later.parameters(), LR, (FIRST, SECOND))
    own.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(k):
        own.zero_grad()
        d_loss(later, real, fake.detach(), gamma).backward()
        own.step()
    return later.requires_grad_(False)


def plain_loop(model: GAN, n_critic: int, k: int, gamma: float, ahead: Any) -> tuple[nn.Module, nn.Module]:
    """The ordinary game, but the generator meets a discriminator that has gone ahead."""
    generator, discriminator = copy.deepcopy(model.generator), copy.deepcopy(model.discriminator)
    optimizers = [torch.optim.Adam(net.parameters(), LR, (FIRST, SECOND)) for net in (generator, discriminator)]
    for i, real in enumerate(reals()):
        last = (i + 1) % n_critic == 0
        torch.manual_seed(model.key("shared", i, 0) if last else model.key("discriminator", i, 0))
        fake = generator(torch.randn(BATCH, model.latent_dim, dtype=torch.double))
        optimizers[1].zero_grad()
        d_loss(discriminator, real, fake.detach(), gamma).backward()
        optimizers[1].step()
        if last:
            optimizers[0].zero_grad()
            ns_g(ahead(discriminator, optimizers[1], k, real, fake, gamma), fake).backward()
            optimizers[0].step()
    return generator, discriminator


@pytest.mark.parametrize(("k", "n_critic", "gamma"), [(1, 1, 0.0), (3, 1, 0.0), (2, 2, 0.0), (2, 1, 5.0)])
@pytest.mark.parametrize("stop_gradient", [False, True])
def test_equals_a_plain_loop(stop_gradient: bool, k: int, n_critic: int, gamma: float) -> None:
    cls = compose(DCGAN, Unrolled, R1Penalty) if gamma else UnrolledDCGAN
    options = {**TINY, **NO_BN, "n_critic": n_critic, **({"r1_gamma": gamma} if gamma else {})}
    own = {"unrolled_steps": k, "unrolled_stop_gradient": stop_gradient}
    model = cls(**options, **own, generator_optimizer=ADAM, discriminator_optimizer=ADAM).double()
    start = copy.deepcopy(model.generator)
    twins = plain_loop(model, n_critic, k, gamma, trained_copy if stop_gradient else seen_through)
    fit(model, images(BATCH * BATCHES), BATCH, max_epochs=1, precision="64-true")
    for ours, theirs in zip((model.generator, model.discriminator), twins, strict=True):
        for (name, a), b in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
            torch.testing.assert_close(a, b[1], rtol=1e-6, atol=1e-8, msg=lambda m, name=name: f"{name}: {m}")
    assert all((a - b).abs().max() > LR for a, b in zip(model.generator.parameters(), start.parameters(), strict=True))


def test_0_steps_are_the_plain_game_bit_for_bit() -> None:
    def weights(cls: type[GAN], **options: Any) -> Tensor:
        model = cls(**TINY, **options)
        fit(model, images(32), 8, max_epochs=1)
        return torch.cat([value.flatten() for value in model.state_dict().values()])

    assert torch.equal(weights(DCGAN), weights(UnrolledDCGAN, unrolled_steps=0))
    assert not torch.equal(weights(DCGAN), weights(UnrolledDCGAN, unrolled_steps=1))


# Derivatives


SIZES = {"latent_dim": 2, "sample_shape": [2], "generator_hidden": [3], "discriminator_hidden": [4, 4]}
SGD = {"name": "sgd", "lr": 0.3, "momentum": 0.5}


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("optimizer", [ADAM, SGD], ids=["adam", "sgd"])
@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
@pytest.mark.parametrize("tricks", [(), (R1Penalty,)], ids=["", "r1"])
def test_the_gradient_is_that_of_finite_differences(tricks: Any, norm: str, optimizer: Any, k: int) -> None:
    """Of the generator's whole objective, with respect to a weight and a bias of its first layer."""
    if tricks and norm == "batch":
        return
    torch.manual_seed(0)
    cls = compose(MLPGAN, *tricks, Unrolled)
    model = cls(**SIZES, discriminator_norm=norm, unrolled_steps=k, discriminator_optimizer=optimizer).double()
    for network in (model.generator, model.discriminator):
        network.hidden = nn.Sequential(*[nn.Tanh() if isinstance(m, nn.ReLU) else m for m in network.hidden])
    points = [{"image": point} for point in torch.randn(24, 2, dtype=torch.double)]
    fit(model, points, 8, max_steps=3, precision="64-true")
    batch = {"image": torch.stack([point["image"] for point in points[:8]])}

    def objective() -> Tensor:
        torch.manual_seed(0)
        with model.frozen_but(1):
            return sum(model.generator_objective(batch).values())

    parameters = [model.generator.hidden[0].weight, model.generator.hidden[0].bias]
    found = torch.cat([g.flatten() for g in torch.autograd.grad(objective(), parameters)])
    numeric = torch.zeros_like(found)
    places = [(p, i) for p in parameters for i in range(p.numel())]
    for position, (parameter, index) in enumerate(places):
        flat = parameter.detach().view(-1)
        start = float(flat[index])
        for step, weight in ((2e-4, 4 / 3), (4e-4, -1 / 3)):  # Richardson's extrapolation: an error of fourth order
            values = []
            for change in (step, -step):
                flat[index] = start + change
                values.append(float(objective().detach()))
            numeric[position] += weight * (values[0] - values[1]) / (2 * step)
        flat[index] = start
    assert (found - numeric).norm() < 1e-7 * found.norm()


# What is left alone


@pytest.mark.parametrize("norm", ["batch", "spectral"])
@pytest.mark.parametrize("stop_gradient", [False, True])
def test_the_generators_turn_leaves_the_discriminator_alone(norm: str, stop_gradient: bool) -> None:
    checked: list[int] = []

    class Watched(DCGAN):
        def take_turn(self, index: int, *args: Any, **kwargs: Any) -> Any:
            def state() -> Any:
                return self.discriminator.state_dict(), self.trainer.optimizers[0].state_dict()

            before = copy.deepcopy(state())
            terms = super().take_turn(index, *args, **kwargs)
            if index == 1:
                torch.testing.assert_close(state(), before, rtol=0, atol=0)
                assert all(parameter.requires_grad for parameter in self.discriminator.parameters())
                checked.append(len(before[0]))
            return terms

    tricks = (SpectralNorm,) if norm == "spectral" else ()
    options = NO_BN if norm == "spectral" else {"discriminator_norm": norm}
    model = compose(Watched, Unrolled, *tricks)(**TINY, **options, unrolled_stop_gradient=stop_gradient)
    parameters, buffers = (dict(getattr(model.discriminator, f"named_{kind}")()) for kind in ("parameters", "buffers"))
    assert buffers
    fit(model, images(32), 8, max_epochs=1)
    assert checked == [len(parameters) + len(buffers)] * 4


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_steps_and_the_loss_see_the_same_fakes(accumulate: int) -> None:
    seen: list[Tensor] = []

    class Watched(DCGAN):
        def discriminator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
            seen.append(fake.detach().clone())
            return super().discriminator_loss(real, fake, condition)

        def generator_loss(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
            seen.append(fake.detach().clone())
            return super().generator_loss(real, fake, condition)

    fit(compose(Watched, Unrolled)(**TINY, accumulate=accumulate, unrolled_steps=3), images(8), 8, max_epochs=1)
    first_of_generator = accumulate
    assert len(seen) == accumulate + 4 * accumulate
    for part in range(accumulate):
        four = seen[first_of_generator + 4 * part : first_of_generator + 4 * (part + 1)]
        assert len(four[0]) == 8 // accumulate
        assert all(torch.equal(four[0], other) for other in four)


def test_the_steps_are_in_full_precision() -> None:
    seen: list[tuple[bool, torch.dtype]] = []

    class Watched(DCGAN):
        def build_discriminator(self) -> nn.Module:
            network = super().build_discriminator()
            network.output.register_forward_hook(lambda *found: seen.append((bool(self.stand_ins), found[2].dtype)))
            return network

    model = compose(Watched, Unrolled)(**TINY, **NO_BN)
    fit(model, images(16), 8, max_epochs=1, precision="bf16-mixed")
    assert set(seen) == {(False, torch.bfloat16), (True, torch.float32)}
    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())


# What it costs


def test_memory_grows_linearly_with_the_steps() -> None:
    def kept(k: int) -> int:
        """Bytes of what the generator's turn keeps for its backward pass."""
        model = UnrolledDCGAN(**TINY, **NO_BN, unrolled_steps=k)
        fit(model, images(8), 8, max_epochs=1)
        storages: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        batch = model.prepare({"image": torch.stack([item["image"] for item in images(8)])})
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), model.frozen_but(1):
            terms = model.generator_objective(batch)
        del terms
        return sum(storages.values())

    one, five, ten = kept(1), kept(5), kept(10)
    step = (five - one) / 4
    assert step > 0
    assert (ten - five) / 5 == pytest.approx(step, rel=0.01)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize(
    ("tricks", "norm", "stop_gradient"),
    [
        ((), "batch", False),
        pytest.param((R1Penalty,), "none", False, marks=pytest.mark.slow),
        pytest.param((SpectralNorm,), "none", False, marks=pytest.mark.slow),
        pytest.param((), "batch", True, marks=pytest.mark.slow),
    ],
)
def test_compiled_steps_are_the_same(tricks: Any, norm: str, stop_gradient: bool) -> None:
    """After a few batches, in one graph that is not compiled again when the weights, or the rates, are others."""
    cls = compose(MLPGAN, *tricks, Unrolled)
    options = {**SIZES, "discriminator_norm": norm, "lr_schedule": {"name": "linear", "updates": 5}}
    points = [{"image": point} for point in torch.randn(32, 2, dtype=torch.double)]

    def weights(compiled: bool) -> Tensor:
        model = cls(**options, unrolled_steps=3, unrolled_stop_gradient=stop_gradient, unrolled_compile=compiled)
        fit(model.double(), points, 8, max_epochs=1, precision="64-true")
        return torch.cat([value.flatten() for value in model.state_dict().values()])

    torch.compiler.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    compiled = weights(True)
    assert counters["stats"]["unique_graphs"] == 1
    torch.testing.assert_close(compiled, weights(False), rtol=1e-6, atol=1e-9)


# What is refused


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"unrolled_steps": -1}, "unrolled_steps must be at least 0, got -1"),
        ({"discriminator_optimizer": {"name": "rmsprop", "lr": 1e-4}}, r"'rmsprop' has none here: set model\."),
        ({"discriminator_optimizer": {**ADAM, "amsgrad": True}}, r"amsgrad has none here: set model\."),
        ({"discriminator_optimizer": {**SGD, "maximize": True}}, r"maximize has none here: set model\."),
    ],
)
def test_refusals(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        UnrolledDCGAN(**TINY, **options)
