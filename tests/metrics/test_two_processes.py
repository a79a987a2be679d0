"""Two processes, each with its own part of the images, find the scores that one finds."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.metrics.two_processes import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], dict[str, Any]]:
    """What each rank found, by (number of processes, rank)."""
    folder = tmp_path_factory.mktemp("ranks")
    main(1, folder)
    command = [sys.executable, "-W", "ignore", "-m", "tests.metrics.two_processes", "2", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [(1, 0), (2, 0), (2, 1)]
    return {key: torch.load(folder / "{}-{}.pt".format(*key), weights_only=True) for key in ranks}


@pytest.mark.parametrize("run", ["measured", "kept"])
def test_every_process_has_the_score_of_all_images(run: str, runs: dict[tuple[int, int], dict[str, Any]]) -> None:
    alone, first, second = (runs[key][run] for key in ((1, 0), (2, 0), (2, 1)))
    for name in ("fid/digits", "kid/digits"):
        assert alone[name] > 0.1
        assert first[name] == second[name] == pytest.approx(alone[name], rel=1e-9)


def test_reals_on_disk_give_the_same_scores(runs: dict[tuple[int, int], dict[str, Any]]) -> None:
    for results in runs.values():
        for name in ("fid/digits", "kid/digits"):
            assert results["kept"][name] == pytest.approx(results["measured"][name], rel=1e-12)


def test_each_process_holds_a_part_of_the_reals(runs: dict[tuple[int, int], dict[str, Any]]) -> None:
    assert (runs[1, 0]["kept"]["real"], runs[1, 0]["kept"]["kept"]) == (101, 51)
    assert (runs[2, 0]["kept"]["real"], runs[2, 0]["kept"]["kept"]) == (101, 26)
    assert (runs[2, 1]["kept"]["real"], runs[2, 1]["kept"]["kept"]) == (0, 25)
