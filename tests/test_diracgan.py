"""DiracGAN (Mescheder, Geiger, Nowozin 2018, arXiv 1801.04406, section 2): where games converge, circle or diverge.

Data at 0, fakes at theta, D(x) = psi x. Gradient descent of rate 0.2 from theta = 1, psi = -1 with the minimax losses.
"""

import pytest
import torch

from lit_gans import losses, penalties

RATE, UPDATES = 0.2, 500


def radius(gamma, alternating):
    """The distance to the equilibrium, theta = psi = 0, at the end."""
    theta = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
    psi = torch.tensor(-1.0, dtype=torch.float64, requires_grad=True)
    real = torch.zeros(1, 1, dtype=torch.float64)

    def critic(x):
        return (psi * x).flatten()

    for _ in range(UPDATES):
        loss = losses.gan_discriminator_loss(critic(real), critic(theta.detach()))
        loss = loss + gamma / 2 * penalties.r1(critic, real)
        (psi_slope,) = torch.autograd.grad(loss, psi)
        before = psi.detach().clone()
        with torch.no_grad():
            psi -= RATE * psi_slope
        seen = psi.detach() if alternating else before
        (theta_slope,) = torch.autograd.grad(losses.minimax_generator_loss((seen * theta).flatten()), theta)
        with torch.no_grad():
            theta -= RATE * theta_slope
    return torch.hypot(theta.detach(), psi.detach()).item()


def test_simultaneous_descent_without_penalty_diverges():
    assert radius(0.0, alternating=False) == pytest.approx(3.10, abs=0.01)


def test_alternating_descent_without_penalty_circles():
    assert radius(0.0, alternating=True) == pytest.approx(1.42, abs=0.02)


@pytest.mark.parametrize(("gamma", "alternating", "expected"), [(0.3, False, 2.6e-6), (0.3, True, 2.4e-7)])
def test_r1_converges(gamma, alternating, expected):
    assert radius(gamma, alternating) == pytest.approx(expected, rel=0.05)


def test_r1_converges_fastest_at_the_critical_weight():
    """Both eigenvalues of the game at its equilibrium, -gamma/2 +- sqrt(gamma^2/4 - 1/4), are -1/2 for gamma = 1."""
    assert radius(1.0, alternating=False) == pytest.approx(9.5e-22, rel=0.1)
