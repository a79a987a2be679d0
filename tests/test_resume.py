"""A resumed run equals, bit for bit, the run that never stopped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.resume import main

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(("workers", "n_critic"), [(0, 1), (0, 3), (2, 1)])
def test_resume_is_exact_on_one_process(workers: int, n_critic: int, tmp_path: Path) -> None:
    assert main(1, workers, n_critic, 2 if workers == 0 else 1, tmp_path) == []


def two_processes(workers: int, n_critic: int, stops: int, folder: Path) -> None:
    arguments = [str(number) for number in (2, workers, n_critic, stops)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.resume", *arguments, str(folder)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert [(folder / f"rank{rank}.txt").read_text() for rank in (0, 1)] == ["equal", "equal"]


def test_resume_is_exact_on_two_processes(tmp_path: Path) -> None:
    two_processes(0, 3, 2, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("n_critic", [1, 3])
@pytest.mark.parametrize("workers", [0, 2])
def test_twenty_stops_on_one_process(workers: int, n_critic: int, tmp_path: Path) -> None:
    assert main(1, workers, n_critic, 15 if n_critic == 1 else 20, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("n_critic", [1, 3])
@pytest.mark.parametrize("workers", [0, 2])
def test_many_stops_on_two_processes(workers: int, n_critic: int, tmp_path: Path) -> None:
    two_processes(workers, n_critic, 8, tmp_path)
