"""Memories on one process and on two: exact on resume, equal on all ranks, and those of the whole batch."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.mixins.remembering import BATCH, BATCHES, KINDS
from tests.resume import differences

ROOT = Path(__file__).parents[2]
Runs = dict[tuple[int, int], dict[str, Any]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """What each rank had in the end, by (number of processes, rank)."""
    folder = tmp_path_factory.mktemp("ranks")
    for devices in (1, 2):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "tests.mixins.remembering", str(devices), str(folder)],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    keys = [(devices, rank) for devices in (1, 2) for rank in range(devices)]
    return {key: torch.load(folder / "{}-{}.pt".format(*key), weights_only=True) for key in keys}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("devices", [1, 2])
def test_a_run_resumed_from_what_one_rank_wrote_alone_is_exact(devices: int, kind: str, runs: Runs) -> None:
    for rank in range(devices):
        mine = runs[devices, rank][kind]
        assert differences(mine["straight"], mine["resumed"]) == []
        assert mine["straight"]["met"] == BATCH * BATCHES


@pytest.mark.parametrize("kind", KINDS)
def test_all_ranks_remember_the_same(kind: str, runs: Runs) -> None:
    first, second = runs[2, 0][kind]["straight"], runs[2, 1][kind]["straight"]
    assert differences(first, second) == []
    assert len(first["memories"]["past_fakes"]["samples"]) == 11


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_remember_what_one_does_with_the_whole_batch(kind: str, runs: Runs) -> None:
    alone = runs[1, 0][kind]["same"]
    for rank in (0, 1):
        both = runs[2, rank][kind]["same"]
        for name, value in alone["weights"].items():
            torch.testing.assert_close(both["weights"][name], value, rtol=1e-6, atol=1e-9)
        ours, whole = (run["memories"]["past_fakes"]["samples"] for run in (both, alone))
        torch.testing.assert_close(ours, whole, rtol=1e-6, atol=1e-9)
