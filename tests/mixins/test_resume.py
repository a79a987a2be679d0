"""Every trick, and games in games, resume exactly, on one process and on two, and keep the ranks together."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.every_trick import NAMES, stopped_and_resumed

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", NAMES)
def test_a_trick_resumes_exactly(name: str, tmp_path: Path) -> None:
    assert stopped_and_resumed(name, 1, tmp_path)["differences"] == []


def test_every_trick_resumes_exactly_on_two_processes_that_stay_together(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.every_trick", "2", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert first.keys() == second.keys() == set(NAMES)
    assert [
        (name, rank[name]["differences"]) for name in NAMES for rank in (first, second) if rank[name]["differences"]
    ] == []
    assert [name for name in NAMES if first[name]["weights"] != second[name]["weights"]] == []
