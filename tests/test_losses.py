"""Losses against reference vectors, the papers' equations term by term, closed-form gradients and known optima."""

from inspect import signature
from math import exp, log, log1p

import pytest
import torch

from lit_gans import losses

REAL, FAKE = (0.5, 2.0, -1.0), (-0.5, 0.3, -2.0)


def doubles(values):
    return torch.tensor(values, dtype=torch.float64)


def random_logits(n, seed=0):
    generator = torch.Generator().manual_seed(1000 * n + seed)
    return [3 * torch.randn(n, dtype=torch.float64, generator=generator) for _ in range(2)]


def of_both(loss):
    """As a function of real and fake logits, also where the loss looks at the fakes alone."""
    return loss if "real_logits" in signature(loss).parameters else lambda real, fake: loss(fake)


LOSSES = {
    name.replace("_discriminator_loss", "_d").replace("_generator_loss", "_g"): of_both(loss)
    for name, loss in vars(losses).items()
    if name.endswith("_loss")
}
RELATIVISTIC = [name for name in LOSSES if name.startswith(("rp", "ra"))]


# Values

VECTORS = {
    "gan_d": 1.1232089741,
    "non_saturating_g": 1.2184534132,
    "minimax_g": -0.4851200798,
    "hinge_d": 1.4333333333,
    "hinge_g": 0.7333333333,
    "least_squares_d": 1.5983333333,
    "least_squares_g": 1.9566666667,
    "wasserstein_d": -1.2333333333,
    "wasserstein_g": 0.7333333333,
    "rpgan_d": 0.2647698015,
    "rpgan_g": 1.4981031348,
    "rasgan_d": 0.3573792105,
    "rasgan_g": 1.5907125438,
    "ralsgan_d": 1.2588888889,
}


@pytest.mark.parametrize("name", VECTORS)
def test_reference_vector(name):
    value = LOSSES[name](doubles(REAL), doubles(FAKE))
    assert value.dtype == torch.float64
    assert value.item() == pytest.approx(VECTORS[name], abs=1e-9)


def test_reference_vector_of_one_sided_smoothing():
    value = losses.gan_discriminator_loss(doubles(REAL), doubles(FAKE), real_target=0.9)
    assert value.item() == pytest.approx(1.1732089742, abs=1e-9)


def log_sigmoid(t):
    return -log1p(exp(-t)) if t >= 0 else t - log1p(exp(t))


# The papers' equations for one pair, without a tensor; ra = D(x) - E D(G(z)), fa = D(G(z)) - E D(x), 1 - s(t) = s(-t).
EQUATIONS = {
    "gan_d": lambda r, f, ra, fa: -log_sigmoid(r) - log_sigmoid(-f),
    "minimax_g": lambda r, f, ra, fa: log_sigmoid(-f),
    "non_saturating_g": lambda r, f, ra, fa: -log_sigmoid(f),
    "wasserstein_d": lambda r, f, ra, fa: f - r,
    "wasserstein_g": lambda r, f, ra, fa: -f,
    "hinge_d": lambda r, f, ra, fa: max(0, 1 - r) + max(0, 1 + f),
    "hinge_g": lambda r, f, ra, fa: -f,
    "least_squares_d": lambda r, f, ra, fa: (r - 1) ** 2 / 2 + f**2 / 2,
    "least_squares_g": lambda r, f, ra, fa: (f - 1) ** 2 / 2,
    "rpgan_d": lambda r, f, ra, fa: -log_sigmoid(r - f),
    "rpgan_g": lambda r, f, ra, fa: -log_sigmoid(f - r),
    "rasgan_d": lambda r, f, ra, fa: (-log_sigmoid(ra) - log_sigmoid(-fa)) / 2,
    "rasgan_g": lambda r, f, ra, fa: (-log_sigmoid(-ra) - log_sigmoid(fa)) / 2,
    "ralsgan_d": lambda r, f, ra, fa: ((ra - 1) ** 2 + (fa + 1) ** 2) / 2,
    "ralsgan_g": lambda r, f, ra, fa: ((ra + 1) ** 2 + (fa - 1) ** 2) / 2,
    "rahinge_d": lambda r, f, ra, fa: (max(0, 1 - ra) + max(0, 1 + fa)) / 2,
    "rahinge_g": lambda r, f, ra, fa: (max(0, 1 + ra) + max(0, 1 - fa)) / 2,
}


def equation(name, real, fake):
    n, real_mean, fake_mean = len(real), sum(real) / len(real), sum(fake) / len(fake)
    total = 0.0
    for r, f in zip(real, fake, strict=True):
        total += EQUATIONS[name](r, f, r - fake_mean, f - real_mean)
    return total / n


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("name", LOSSES)
def test_value_is_the_papers_equation(name, n):
    real, fake = random_logits(n)
    value = LOSSES[name](real, fake)
    assert value.shape == ()
    # torch's softplus is its argument above 20, wrong by less than 2.1e-9.
    assert value.item() == pytest.approx(equation(name, real.tolist(), fake.tolist()), rel=1e-9, abs=1e-12)


# Gradients


def gradients(name, real, fake):
    real, fake = real.clone().requires_grad_(), fake.clone().requires_grad_()
    return torch.autograd.grad(LOSSES[name](real, fake), [real, fake], materialize_grads=True)


s, none, one = torch.sigmoid, torch.zeros_like, torch.ones_like


def step(t):
    return (t > 0).to(t.dtype)


# n times the derivatives in each real and each fake logit or, for the Ra losses, in each ra and each fa.
DERIVATIVES = {
    "gan_d": lambda r, f: (-s(-r), s(f)),
    "minimax_g": lambda r, f: (none(r), -s(f)),
    "non_saturating_g": lambda r, f: (none(r), -s(-f)),
    "wasserstein_d": lambda r, f: (-one(r), one(f)),
    "wasserstein_g": lambda r, f: (none(r), -one(f)),
    "hinge_d": lambda r, f: (-step(1 - r), step(1 + f)),
    "hinge_g": lambda r, f: (none(r), -one(f)),
    "least_squares_d": lambda r, f: (r - 1, f),
    "least_squares_g": lambda r, f: (none(r), f - 1),
    "rpgan_d": lambda r, f: (-s(f - r), s(f - r)),
    "rpgan_g": lambda r, f: (s(r - f), -s(r - f)),
    "rasgan_d": lambda ra, fa: (-s(-ra) / 2, s(fa) / 2),
    "rasgan_g": lambda ra, fa: (s(ra) / 2, -s(-fa) / 2),
    "ralsgan_d": lambda ra, fa: (ra - 1, fa + 1),
    "ralsgan_g": lambda ra, fa: (ra + 1, fa - 1),
    "rahinge_d": lambda ra, fa: (-step(1 - ra) / 2, step(1 + fa) / 2),
    "rahinge_g": lambda ra, fa: (step(1 + ra) / 2, -step(1 - fa) / 2),
}


def closed_form(name, real, fake):
    """The gradient; in the Ra losses every logit is also in the mean that the other side is compared with."""
    if name.startswith("ra"):
        in_ra, in_fa = DERIVATIVES[name](real - fake.mean(), fake - real.mean())
        in_real, in_fake = in_ra - in_fa.mean(), in_fa - in_ra.mean()
    else:
        in_real, in_fake = DERIVATIVES[name](real, fake)
    return in_real / len(real), in_fake / len(fake)


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_the_closed_form(name, n):
    real, fake = random_logits(n, seed=1)
    torch.testing.assert_close(gradients(name, real, fake), closed_form(name, real, fake), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", RELATIVISTIC)
def test_batch_means_carry_gradient(name):
    """A shift of all logits changes nothing, so the gradient adds up to zero, and without the means' it would not."""
    real, fake = gradients(name, *random_logits(8, seed=2))
    assert (real.sum() + fake.sum()).item() == pytest.approx(0, abs=1e-12)
    assert real.abs().max() > 1e-3


@pytest.mark.parametrize("real_logit", [-200.0, 0.0, 200.0])
@pytest.mark.parametrize("fake_logit", [-200.0, 0.0, 200.0])
@pytest.mark.parametrize("name", LOSSES)
def test_extreme_logits_in_single_precision(name, real_logit, fake_logit):
    real, fake = torch.full((4,), real_logit), torch.full((4,), fake_logit)
    value = LOSSES[name](real, fake)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.item(), equation(name, [real_logit] * 4, [fake_logit] * 4), rtol=1e-6, atol=1e-30)
    torch.testing.assert_close(gradients(name, real, fake), closed_form(name, real, fake), rtol=1e-6, atol=1e-30)


def test_only_the_saturating_loss_saturates():
    """Where D is sure of a fake, s(-200) is far below single precision, and a log of it would be infinite."""
    certain = torch.full((5,), -200.0)
    assert gradients("non_saturating_g", certain, certain)[1].tolist() == pytest.approx([-1 / 5] * 5, rel=1e-6)
    assert gradients("minimax_g", certain, certain)[1].tolist() == [0.0] * 5
    assert LOSSES["non_saturating_g"](certain, certain).item() == 200
    wrong = torch.full((5,), 200.0)
    assert gradients("gan_d", -wrong, wrong)[0].tolist() == pytest.approx([-1 / 5] * 5, rel=1e-6)
    assert gradients("gan_d", -wrong, wrong)[1].tolist() == pytest.approx([1 / 5] * 5, rel=1e-6)


# Properties


def test_values_at_equilibrium():
    """A discriminator that knows nothing gives 0 everywhere."""
    zeros = torch.zeros(6, dtype=torch.float64)
    expected = {name: 0.0 for name in LOSSES} | {
        "gan_d": 2 * log(2),
        "minimax_g": -log(2),
        "non_saturating_g": log(2),
        "hinge_d": 2.0,
        "least_squares_d": 0.5,
        "least_squares_g": 0.5,
        **{name: log(2) for name in RELATIVISTIC if "ls" not in name and "hinge" not in name},
        **{name: 1.0 for name in RELATIVISTIC if "ls" in name or "hinge" in name},
    }
    values = {name: loss(zeros, zeros).item() for name, loss in LOSSES.items()}
    assert values == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", [*RELATIVISTIC, "wasserstein_d"])
def test_a_shift_of_all_logits_changes_nothing(name):
    real, fake = random_logits(8, seed=3)
    torch.testing.assert_close(LOSSES[name](real + 7.3, fake + 7.3), LOSSES[name](real, fake), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_twice_is_the_batch(name):
    real, fake = random_logits(3, seed=4)
    twice = LOSSES[name](real.repeat(2), fake.repeat(2))
    torch.testing.assert_close(twice, LOSSES[name](real, fake), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_logits_of_any_shape(name):
    real, fake = random_logits(8, seed=7)
    shaped = LOSSES[name](real.view(2, 2, 2), fake.view(2, 2, 2))
    torch.testing.assert_close(shaped, LOSSES[name](real, fake), rtol=1e-12, atol=1e-12)


# Soft targets


@pytest.mark.parametrize("n", [1, 3, 8])
def test_soft_targets_value_and_gradient(n):
    real, fake = [logits.requires_grad_() for logits in random_logits(n, seed=8)]
    value = losses.gan_discriminator_loss(real, fake, real_target=0.9, fake_target=0.2)
    pairs = list(zip(real.tolist(), fake.tolist(), strict=True))
    terms = [
        0.9 * log_sigmoid(r) + 0.1 * log_sigmoid(-r) + 0.2 * log_sigmoid(f) + 0.8 * log_sigmoid(-f) for r, f in pairs
    ]
    assert value.item() == pytest.approx(-sum(terms) / n, rel=1e-9)
    expected = ((real.sigmoid() - 0.9) / n, (fake.sigmoid() - 0.2) / n)
    torch.testing.assert_close(torch.autograd.grad(value, [real, fake]), expected, rtol=1e-9, atol=1e-12)


def test_soft_target_of_the_generator():
    fake = doubles(FAKE).requires_grad_()
    (gradient,) = torch.autograd.grad(losses.non_saturating_generator_loss(fake, target=0.375), fake)
    torch.testing.assert_close(gradient, (fake.sigmoid() - 0.375).detach() / 3, rtol=1e-9, atol=1e-12)


def test_pearson_coding_of_least_squares():
    """(D(x) - 1)^2 / 2 + (D(G(z)) + 1)^2 / 2 and D(G(z))^2 / 2."""
    real, fake = doubles(REAL), doubles(FAKE)
    value = losses.least_squares_discriminator_loss(real, fake, real_target=1.0, fake_target=-1.0)
    assert value.item() == pytest.approx(sum((r - 1) ** 2 + (f + 1) ** 2 for r, f in zip(REAL, FAKE, strict=True)) / 6)
    assert losses.least_squares_generator_loss(fake, target=0.0).item() == pytest.approx(sum(f * f for f in FAKE) / 6)


# What else the generator may look at


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 8), (8, 3)])
def test_feature_distance_value_and_gradient(n, m, squared):
    """Over samples and space first, then the difference, then over the features."""
    torch.manual_seed(10 * n + m)
    real, fake = (torch.randn(k, 5, 2, 3, dtype=torch.float64, requires_grad=True) for k in (n, m))
    value = losses.feature_distance(real, fake, squared=squared)
    differences = [
        sum(real[:, f].flatten().tolist()) / (6 * n) - sum(fake[:, f].flatten().tolist()) / (6 * m) for f in range(5)
    ]
    expected = sum(d * d if squared else abs(d) for d in differences) / 5
    assert value.item() == pytest.approx(expected, rel=1e-12)
    slopes = doubles([2 * d if squared else d / abs(d) for d in differences]) / 5
    for gradient, size in zip(torch.autograd.grad(value, (real, fake)), (6 * n, -6 * m), strict=True):
        torch.testing.assert_close(gradient, (slopes / size)[:, None, None].expand_as(gradient))


def test_feature_distance_of_vectors_and_of_half_precision():
    real, fake = torch.randn(2, 8, 5).unbind()
    assert torch.equal(losses.feature_distance(real, fake), losses.feature_distance(real[..., None], fake[..., None]))
    halves = real.bfloat16(), fake.bfloat16()
    assert torch.equal(losses.feature_distance(*halves), losses.feature_distance(*(half.float() for half in halves)))


@pytest.mark.parametrize(("n", "share", "k"), [(1, 0.5, 1), (3, 0.5, 1), (8, 0.5, 4), (8, 0.7, 5), (8, 1.0, 8)])
def test_the_highest_logits_and_nobody_else(n, share, k):
    logits, _ = random_logits(n)
    chosen = losses.highest(logits.requires_grad_(), share)
    assert chosen.tolist() == sorted(logits.tolist(), reverse=True)[:k]
    (gradient,) = torch.autograd.grad(chosen.sum(), logits)
    assert gradient.tolist() == [float(logit in chosen.tolist()) for logit in logits.tolist()]


# Optima, by descending on a discriminator that is a table: one logit for each of five places


def best_logits(loss):
    """The minimiser for p_data and p_generated over five places, each sample repeated by its frequency."""
    data, generated = torch.tensor([8, 6, 4, 2, 0]), torch.tensor([1, 1, 4, 6, 8])
    places = torch.arange(5)
    table = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([table], max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = loss(table[places.repeat_interleave(data)], table[places.repeat_interleave(generated)])
        value.backward()
        return value

    optimizer.step(closure)
    return table.detach(), data / data.sum(), generated / generated.sum()


@pytest.mark.parametrize(("a", "b"), [(0.9, 0.0), (0.9, 0.2), (0.75, 0.25)])
def test_the_best_smoothed_discriminator(a, b):
    """D* = (a p_data + b p_g) / (p_data + p_g): with b = 0 it stays 0 where there is no data."""
    logits, data, generated = best_logits(lambda r, f: losses.gan_discriminator_loss(r, f, a, b))
    expected = (a * data + b * generated) / (data + generated)
    torch.testing.assert_close(logits.sigmoid(), expected.double(), rtol=1e-4, atol=1e-5)


def test_the_best_least_squares_discriminator():
    """D* = (b p_data + a p_g) / (p_data + p_g) on raw scores (arXiv 1611.04076, section 3.2)."""
    scores, data, generated = best_logits(lambda r, f: losses.least_squares_discriminator_loss(r, f, 1.0, -1.0))
    torch.testing.assert_close(scores, ((data - generated) / (data + generated)).double(), rtol=1e-5, atol=1e-6)


# K + 1 classes

LABELLED, LABELS = ((1.0, 2.0, 3.0), (0.0, 0.0, 0.0), (-1.0, 4.0, 0.5)), (2, 0, 1)
UNLABELLED, GENERATED = ((2.0, -1.0, 0.0), (3.0, 3.0, -2.0)), ((0.5, -0.5, 1.0), (-2.0, -3.0, 0.0))


def classes(n, seed=0):
    """Class logits of labelled, unlabelled and fake samples, and labels."""
    generator = torch.Generator().manual_seed(1000 * n + seed)
    logits = [3 * torch.randn(n, 10, dtype=torch.float64, generator=generator) for _ in range(3)]
    return logits, torch.randint(0, 10, (n,), generator=generator)


def semi_supervised(labelled, labels, unlabelled, fake):
    """L_lab + L_unl, the halves as in the authors' code."""
    game = losses.gan_discriminator_loss(losses.realness(unlabelled), losses.realness(fake))
    return losses.classification(labelled, labels) + game / 2


def test_reference_vectors_of_k_plus_one_classes():
    """L_lab + L_unl; where D is indifferent about the unlabelled and the fakes, log Z = 0, L_unl is log 2."""
    labels = torch.tensor(LABELS)
    logits = [doubles(values) for values in (LABELLED, UNLABELLED, GENERATED)]
    whole = semi_supervised(logits[0], labels, *logits[1:])
    indifferent = torch.full((2, 3), -log(3), dtype=torch.float64)
    labelled = semi_supervised(logits[0], labels, indifferent, indifferent)
    assert labelled.item() == pytest.approx(0.5141626061 + log(2), abs=1e-9)
    assert whole.item() == pytest.approx(0.5141626061 + 0.6754125064, abs=1e-9)


@pytest.mark.parametrize("n", [1, 3, 8])
def test_the_fake_class_is_one_more_with_the_logit_0(n):
    """A softmax of K + 1 logits says the same: p(real) = 1 - p(K + 1), and of what is real, p(y)."""
    (labelled, unlabelled, fake), labels = classes(n)

    def probabilities(logits):
        return torch.cat([logits, logits.new_zeros(n, 1)], 1).softmax(1)

    real, unreal = probabilities(unlabelled), probabilities(fake)
    known = probabilities(labelled)[:, :10]
    of_real = (known / known.sum(1, keepdim=True))[torch.arange(n), labels]
    expected = -of_real.log().mean() - (1 - real[:, 10]).log().mean() / 2 - unreal[:, 10].log().mean() / 2
    found = semi_supervised(labelled, labels, unlabelled, fake)
    assert found.item() == pytest.approx(expected.item(), rel=1e-10)
    assert losses.realness(fake).sigmoid() == pytest.approx(1 - unreal[:, 10], rel=1e-10)


@pytest.mark.parametrize("n", [1, 3, 8])
def test_gradients_of_k_plus_one_classes(n):
    """(p(y) - one-hot) / n, -p(fake) p(y | real) / 2n and p(real) p(y | real) / 2n."""
    logits, labels = classes(n)
    for values in logits:
        values.requires_grad_()
    found = torch.autograd.grad(semi_supervised(logits[0], labels, *logits[1:]), logits)
    shares = [values.detach().softmax(1) for values in logits]
    real = [values.detach().logsumexp(1, keepdim=True).sigmoid() for values in logits]
    expected = [
        shares[0] - torch.nn.functional.one_hot(labels, 10),
        -(1 - real[1]) * shares[1] / 2,
        real[2] * shares[2] / 2,
    ]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs / n, rtol=1e-10, atol=1e-14)


def test_logits_far_out_are_finite():
    far = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    value = semi_supervised(far, torch.tensor([0]), far, -far)
    assert value.item() == pytest.approx(5000.0)
    (gradient,) = torch.autograd.grad(value, far)
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("n", [1, 3, 8])
def test_what_is_unlabelled_is_not_classified(n):
    """The mean is over the labelled samples, and the gradient of the others 0; without any, all is 0."""
    (logits, _, _), labels = classes(n)
    logits.requires_grad_()
    hidden = torch.cat([labels, torch.full((2,), -1)])
    value = losses.classification(torch.cat([logits, logits.new_ones(2, 10)]), hidden)
    assert value.item() == pytest.approx(losses.classification(logits, labels).item(), rel=1e-12)
    none = losses.classification(logits, torch.full((n,), -1))
    (gradient,) = torch.autograd.grad(none, logits)
    assert none.item() == 0
    assert not gradient.any()


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("k", [0, 1, 5])
def test_matching_value_and_gradient(n, k):
    """The mean of log sum_k e^(s_k - s_0); its gradient is the softmax, less 1 for the own one."""
    logits = torch.stack([random_logits(1 + k, seed)[0] for seed in range(n)]).requires_grad_()
    expected = sum(log(sum(exp(other - row[0]) for other in row)) for row in logits.tolist()) / n
    loss = losses.matching(logits)
    assert loss.item() == pytest.approx(expected, rel=1e-12, abs=1e-15)
    (gradient,) = torch.autograd.grad(loss, logits)
    own = torch.zeros(1 + k, dtype=torch.float64)
    own[0] = 1
    shares = (logits - logits.logsumexp(1, keepdim=True)).exp()
    torch.testing.assert_close(gradient, (shares - own) / n, rtol=1e-10, atol=1e-14)


def test_matching_of_far_logits_in_single_precision():
    logits = torch.tensor([[-200.0, 200.0], [200.0, -200.0]])
    assert losses.matching(logits).item() == pytest.approx(200.0)
