"""Penalties against closed forms, value and gradient, and what each critic is shown."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from lit_gans import penalties

SHAPES = [(2,), (3, 4, 4), (2, 3, 4, 5)]
PENALTIES = {
    "r1": lambda critic, real, fake: penalties.r1(critic, real),
    "r2": lambda critic, real, fake: penalties.r2(critic, fake),
    "gp": penalties.gradient_penalty,
    "gp_one_sided": partial(penalties.gradient_penalty, one_sided=True),
    "dragan": lambda critic, real, fake: penalties.dragan(critic, real),
}


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def linear(w):
    return lambda x: (x * w).flatten(1).sum(1)


def half_square(x):
    """D(x) = |x|^2 / 2, whose gradient is x itself: another norm for each sample."""
    return x.flatten(1).square().sum(1) / 2


def small_network(activation=None):
    """A convolutional critic on (3, 8, 8), in double precision, with per-sample statistics only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        activation = activation or nn.Softplus()
        layers = [nn.Conv2d(3, 4, 3, 2), nn.GroupNorm(1, 4), activation, nn.Flatten(), nn.Linear(36, 1), nn.Flatten(0)]
        return nn.Sequential(*layers).double()


def parameter_gradients(value, critic):
    return torch.autograd.grad(value, list(critic.parameters()), materialize_grads=True)


# Reference vectors and closed forms


def test_reference_vectors():
    """D(x) = |x|^2 / 2 at (3, 4) and (0, 1): gradient norms 5 and 1. Equal ends leave the mixing nothing to choose."""
    points = torch.tensor([[3.0, 4.0], [0.0, 1.0]], dtype=torch.float64)
    assert (10 / 2 * penalties.r1(half_square, points)).item() == pytest.approx(65, abs=1e-9)
    assert (10 / 2 * penalties.r2(half_square, points)).item() == pytest.approx(65, abs=1e-9)
    assert (10 * penalties.gradient_penalty(half_square, points, points)).item() == pytest.approx(80, abs=1e-9)


def closed_form(name, w):
    """A linear critic's gradient is w everywhere, whatever the points."""
    norm = w.norm()
    if name in ("r1", "r2"):
        return norm**2
    return ((norm - 1).clamp_min(0) if name == "gp_one_sided" else norm - 1) ** 2


@pytest.mark.parametrize("norm", [0.4, 2.5])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("name", PENALTIES)
def test_linear_critic_value_and_gradient(name, n, shape, norm):
    w = draw(*shape, seed=1)
    w = (norm * w / w.norm()).requires_grad_()
    value = PENALTIES[name](linear(w), draw(n, *shape, seed=2), draw(n, *shape, seed=3))
    assert value.shape == ()
    expected = closed_form(name, w)
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)
    (gradient,), (correct,) = torch.autograd.grad(value, w), torch.autograd.grad(expected, w)
    torch.testing.assert_close(gradient, correct, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [1, 3, 8])
def test_norms_are_of_each_sample(n, shape):
    """D(x) = s |x|^2 / 2 has the norms s |x_i|: the mean of their squares, and of the squares of their excess."""
    scale = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    points = draw(n, *shape, seed=4)
    norms = [scale * torch.sqrt(sum(value**2 for value in point.flatten())) for point in points]
    values = {
        "r1": sum(norm**2 for norm in norms) / n,
        "r2": sum(norm**2 for norm in norms) / n,
        "gp": sum((norm - 1) ** 2 for norm in norms) / n,
        "gp_one_sided": sum((norm - 1).clamp_min(0) ** 2 for norm in norms) / n,
    }
    for name, expected in values.items():
        value = PENALTIES[name](lambda x: scale * half_square(x), points, points)
        torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)
        pair = [torch.autograd.grad(term, scale, retain_graph=True)[0] for term in (value, expected)]
        torch.testing.assert_close(*pair, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", PENALTIES)
def test_gradient_by_finite_differences(name):
    critic, (real, fake) = small_network(), (draw(3, 3, 8, 8, seed=5), draw(3, 3, 8, 8, seed=6))
    parameters = {key: value.detach().requires_grad_() for key, value in critic.named_parameters()}

    def value(*given):
        torch.manual_seed(7)
        state = dict(zip(parameters, given, strict=True))
        return PENALTIES[name](lambda x: 3 * torch.func.functional_call(critic, state, x), real, fake)

    assert torch.autograd.gradcheck(value, tuple(parameters.values()), fast_mode=True)


# What the critic is shown


def shown(name, real, fake):
    """The points at which a penalty asks for the critic's gradient."""
    seen = []

    def critic(x):
        seen.append(x.detach().clone())
        return x.flatten(1).sum(1)

    PENALTIES[name](critic, real, fake)
    (points,) = seen
    return points


@pytest.mark.parametrize(("name", "side"), [("r1", 0), ("r2", 1)])
def test_r1_looks_at_the_real_and_r2_at_the_fake(name, side):
    sides = draw(4, 3, 2, 2, seed=8), draw(4, 3, 2, 2, seed=9)
    assert torch.equal(shown(name, *sides), sides[side])


@pytest.mark.parametrize("shape", SHAPES)
def test_each_point_lies_on_its_own_segment(shape):
    real, fake = draw(4000, *shape, seed=10), draw(4000, *shape, seed=11)
    torch.manual_seed(0)
    points, segment = shown("gp", real, fake), real - fake
    share = ((points - fake) * segment).flatten(1).sum(1) / segment.square().flatten(1).sum(1)
    weight = share.view(-1, *[1] * len(shape))
    torch.testing.assert_close(points, weight * real + (1 - weight) * fake, rtol=1e-9, atol=1e-9)
    assert share.unique().numel() == 4000
    assert (share >= -1e-9).all()
    assert (share <= 1 + 1e-9).all()
    # U(0, 1): mean 1/2 and variance 1/12, each within four standard errors.
    assert share.mean().item() == pytest.approx(0.5, abs=4 * (1 / 12 / 4000) ** 0.5)
    assert share.var().item() == pytest.approx(1 / 12, abs=4 * (1 / 180 / 4000) ** 0.5)


@pytest.mark.parametrize("shape", SHAPES)
def test_dragan_perturbs_the_real_samples_upwards(shape):
    """Points are x + (1 - a) s u / 2: one a for each sample, one u for each element, s of the whole batch."""
    elements = torch.Size(shape).numel()
    real = 9 * torch.arange(elements).view(shape) / elements + draw(4000, *shape, seed=12)
    torch.manual_seed(1)
    step = (shown("dragan", real, torch.zeros_like(real)) - real) / (0.5 * real.std(correction=0))
    assert (step >= 0).all()
    assert (step <= 1).all()
    assert step.max() > 0.9
    # E (1 - a) u = 1/4 and E ((1 - a) u)^2 = 1/9; elements of one sample share a: E = 1/3 1/4.
    first, last = step.flatten(1)[:, 0], step.flatten(1)[:, -1]
    assert first.mean().item() == pytest.approx(1 / 4, abs=0.015)
    assert first.square().mean().item() == pytest.approx(1 / 9, abs=0.015)
    assert (first * last).mean().item() == pytest.approx(1 / 12, abs=0.01)
    assert torch.corrcoef(torch.stack([first[:-1], first[1:]]))[0, 1].abs() < 0.07


def test_dragan_of_a_single_value():
    """No spread, so no perturbation (rather than NaN)."""
    real = draw(1, 1, seed=12)
    torch.testing.assert_close(shown("dragan", real, real), real, rtol=1e-12, atol=1e-12)


def test_new_points_each_time_and_the_same_from_the_same_seed():
    real, fake = draw(8, 2, seed=13), draw(8, 2, seed=14)
    for name in ("gp", "dragan"):
        torch.manual_seed(2)
        first, second = shown(name, real, fake), shown(name, real, fake)
        torch.manual_seed(2)
        assert torch.equal(first, shown(name, real, fake))
        assert not torch.equal(first, second)


@pytest.mark.parametrize("name", PENALTIES)
def test_samples_are_left_alone(name):
    """The fakes' history gets no gradient, the samples keep their values and ask for none."""
    latent = draw(4, 2, seed=15).requires_grad_()
    real, fake = draw(4, 2, seed=16), 2 * latent
    before = real.clone(), fake.detach().clone()
    w = draw(2, seed=17).requires_grad_()
    value = PENALTIES[name](lambda x: softplus(x) @ w, real, fake)
    value.backward()
    assert latent.grad is None
    assert real.requires_grad is False
    assert torch.equal(real, before[0])
    assert torch.equal(fake, before[1])
    assert w.grad is not None


@pytest.mark.parametrize("name", PENALTIES)
def test_works_where_gradients_are_switched_off(name):
    w = draw(2, seed=18).requires_grad_()
    with torch.no_grad():
        value = PENALTIES[name](linear(w), draw(4, 2, seed=19), draw(4, 2, seed=20))
    torch.testing.assert_close(value.item(), closed_form(name, w).item(), rtol=1e-9, atol=1e-12)


# Flat critics

FLAT = {"r1": 0.0, "r2": 0.0, "gp": 1.0, "gp_one_sided": 0.0, "dragan": 1.0}


@pytest.mark.parametrize("name", PENALTIES)
def test_gradient_at_a_flat_critic_is_finite(name):
    """The norm has no derivative at 0: 0 is taken, where sqrt alone gives infinity times 0."""
    w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    value = PENALTIES[name](linear(w), draw(4, 2, seed=21), draw(4, 2, seed=22))
    assert value.item() == FLAT[name]
    (gradient,) = torch.autograd.grad(value, w)
    assert gradient.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", ["gp", "dragan"])
def test_one_flat_sample_does_not_hide_the_others(name):
    """A rectifier that is dead for half of the points: those add 1 each and no gradient."""
    w = torch.tensor([1.5], dtype=torch.float64, requires_grad=True)
    real = torch.tensor([[-9.0], [-9.0], [9.0], [9.0]], dtype=torch.float64)
    critic = lambda x: (torch.relu(x) * w).sum(1)  # noqa: E731
    real = real * (1 if name == "gp" else 100)
    value = PENALTIES[name](critic, real, real)
    assert value.item() == pytest.approx((1 + 1 + 0.25 + 0.25) / 4)
    assert torch.autograd.grad(value, w)[0].item() == pytest.approx(2 * 0.5 * 2 / 4)


@pytest.mark.parametrize("name", PENALTIES)
def test_critic_that_ignores_its_input(name):
    bias = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    value = PENALTIES[name](lambda x: bias.expand(len(x)), draw(4, 2, seed=23), draw(4, 2, seed=24))
    assert value.item() == FLAT[name]


# Precision


@pytest.mark.parametrize("name", PENALTIES)
def test_single_precision_inside_autocast(name):
    critic, (real, fake) = small_network().float(), (draw(4, 3, 8, 8, seed=25).float(), draw(4, 3, 8, 8).float())
    results = []
    for enabled in (False, True):
        torch.manual_seed(4)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            assert critic(real).dtype == (torch.bfloat16 if enabled else torch.float32)
            value = PENALTIES[name](critic, real, fake)
            assert torch.is_autocast_enabled("cpu") == enabled
        assert value.dtype == torch.float32
        results.append([value, *parameter_gradients(value, critic)])
    torch.testing.assert_close(results[1], results[0], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", PENALTIES)
def test_half_precision_samples(name, dtype):
    """Points are mixed, and their gradients taken, in single precision."""
    real, fake = draw(4, 3, 8, 8, seed=26).to(dtype), draw(4, 3, 8, 8, seed=27).to(dtype)
    critic, results = small_network().float(), []
    for sides in ((real, fake), (real.float(), fake.float())):
        torch.manual_seed(5)
        results.append(PENALTIES[name](critic, *sides))
    assert results[0].dtype == torch.float32
    torch.testing.assert_close(results[0], results[1], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", PENALTIES)
def test_double_precision_stays(name):
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            value = PENALTIES[name](small_network(), draw(4, 3, 8, 8, seed=28), draw(4, 3, 8, 8, seed=29))
        assert value.dtype == torch.float64


# Compiled critics


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("name", PENALTIES)
def test_compiled_critic(name, backend):
    """A compiled network cannot be differentiated twice; the penalty of one equals the eager network's."""
    real, fake = draw(4, 3, 8, 8, seed=30), draw(4, 3, 8, 8, seed=31)
    critic, results = small_network(nn.LeakyReLU(0.2, inplace=True)), []
    for compiled in (False, True):
        if compiled:
            critic.compile(backend=backend)
            critic(real).sum().backward()
        torch.manual_seed(6)
        value = PENALTIES[name](critic, real, fake)
        results.append([value, *parameter_gradients(value, critic)])
    torch.testing.assert_close(results[1], results[0], rtol=1e-10, atol=1e-12)
