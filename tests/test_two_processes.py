"""Two processes under plain ddp do what one does with the whole batch."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.two_processes import BATCH, BATCHES, CASES

ROOT = Path(__file__).parents[1]
Runs = dict[tuple[str, int, int], dict[str, Any]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """What each rank saw, by (case, number of processes, rank)."""
    folder = tmp_path_factory.mktemp("ranks")
    for devices in (1, 2):
        command = [sys.executable, "-W", "ignore", "-m", "tests.two_processes", str(devices), str(folder)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
    ranks = [(case, devices, rank) for case in CASES for devices in (1, 2) for rank in range(devices)]
    return {key: torch.load(folder / "{}-{}-{}.pt".format(*key), weights_only=True) for key in ranks}


@pytest.mark.parametrize(
    "case", ["non_saturating", "wgan_gp", "r1", "spectral_norm", "virtual_batch_norm", "accumulate", "stackgan"]
)
def test_gradients_equal_those_of_the_whole_batch(case: str, runs: Runs) -> None:
    alone, both = runs[case, 1, 0], [runs[case, 2, rank] for rank in (0, 1)]
    n_critic = CASES[case][1].get("n_critic", 1)
    assert len(alone["gradients"]) == BATCHES + BATCHES // n_critic
    for mine in both:
        for ours, whole in zip(mine["gradients"][:4], alone["gradients"][:4], strict=True):
            assert float((ours - whole).norm() / whole.norm()) < 1e-6
        assert mine["counts"] == alone["counts"] == [BATCHES // n_critic, BATCH * BATCHES]
    # One flat all-reduce a turn, of the turn's own player's gradients and nothing else.
    assert both[0]["collectives"] == [len(gradient) for gradient in both[0]["gradients"]]
    assert alone["collectives"] == []


def test_ranks_draw_their_own_latents_and_stay_together(runs: Runs) -> None:
    first, second = runs["own_latents", 2, 0], runs["own_latents", 2, 1]
    assert not any(torch.allclose(a, b) for a, b in zip(first["latents"], second["latents"], strict=True))
    ours, theirs = first["state"][0], second["state"][0]
    assert any("running_mean" in name for name in ours)
    assert [name for name, value in ours.items() if not torch.equal(value, theirs[name])] == []


def test_unrolled_steps_are_those_of_the_whole_batch_if_exchanged(runs: Runs) -> None:
    def distances(case: str, rank: int) -> list[float]:
        pairs = zip(runs[case, 2, rank]["gradients"][:4], runs[case, 1, 0]["gradients"][:4], strict=True)
        return [float((ours - whole).norm() / whole.norm()) for ours, whole in pairs]

    for rank in (0, 1):
        assert max(distances("unrolled", rank)) < 1e-9
    # Apart, the discriminator's turn is the same, and what the generator looks ahead to is not.
    discriminators, generators = distances("unrolled_apart", 0)[:1], distances("unrolled_apart", 0)[1::2]
    assert max(discriminators) < 1e-6
    assert min(generators) > 1e-4
    own, generators_own = (len(gradient) for gradient in runs["unrolled", 2, 0]["gradients"][:2])
    assert runs["unrolled", 2, 0]["collectives"] == [own, *[own] * 3 * 2, generators_own] * BATCHES
    assert runs["unrolled_apart", 2, 0]["collectives"] == [own, generators_own] * BATCHES
