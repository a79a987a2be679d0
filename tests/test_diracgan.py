"""DiracGAN (Mescheder, Geiger, Nowozin 2018, arXiv 1801.04406, section 2): where games converge, circle or diverge.

Data at 0, fakes at theta, D(x) = psi x. Gradient descent of rate 0.2 from theta = 1, psi = -1 with the minimax losses.
"""

import pytest
import torch

from lit_gans import losses, penalties

RATE, UPDATES = 0.2, 500


def radius(gamma, order, penalty=penalties.r1):
    """The distance to the equilibrium, theta = psi = 0, at the end; ``order`` says who moves first, or ``together``."""
    theta = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
    psi = torch.tensor(-1.0, dtype=torch.float64, requires_grad=True)
    real = torch.zeros(1, 1, dtype=torch.float64)

    def critic(x):
        return (psi * x).flatten()

    def discriminator_slope():
        loss = losses.gan_discriminator_loss(critic(real), critic(theta.detach()))
        samples = real if penalty is penalties.r1 else theta
        (slope,) = torch.autograd.grad(loss + gamma / 2 * penalty(critic, samples), psi)
        return slope

    def generator_slope():
        (slope,) = torch.autograd.grad(losses.minimax_generator_loss((psi.detach() * theta).flatten()), theta)
        return slope

    def move(weight, slope):
        with torch.no_grad():
            weight -= RATE * slope

    for _ in range(UPDATES):
        if order == "together":
            psi_slope, theta_slope = discriminator_slope(), generator_slope()
            move(psi, psi_slope)
            move(theta, theta_slope)
        elif order == "discriminator":
            move(psi, discriminator_slope())
            move(theta, generator_slope())
        else:
            move(theta, generator_slope())
            move(psi, discriminator_slope())
    return torch.hypot(theta.detach(), psi.detach()).item()


def test_simultaneous_descent_without_penalty_diverges():
    assert radius(0.0, "together") == pytest.approx(3.10, abs=0.01)


@pytest.mark.parametrize(("order", "expected"), [("discriminator", 1.413), ("generator", 1.421)])
def test_alternating_descent_without_penalty_circles(order, expected):
    assert radius(0.0, order) == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("penalty", [penalties.r1, penalties.r2])
@pytest.mark.parametrize(
    ("order", "expected"), [("together", 2.64e-6), ("discriminator", 2.38e-7), ("generator", 2.30e-7)]
)
def test_r1_and_r2_converge(penalty, order, expected):
    """The slope of D(x) = psi x is psi everywhere, so that one penalty is the other here."""
    assert radius(0.3, order, penalty) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("penalty", [penalties.r1, penalties.r2])
def test_they_converge_fastest_at_the_critical_weight(penalty):
    """Both eigenvalues of the game at its equilibrium, -gamma/2 +- sqrt(gamma^2/4 - 1/4), are -1/2 for gamma = 1."""
    assert radius(1.0, "together", penalty) == pytest.approx(9.5e-22, rel=0.1)
