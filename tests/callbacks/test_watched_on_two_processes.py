"""A watched run on two processes: neither waits for the other for ever, and both come to the same end."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
Ranks = list[dict[str, Any]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Ranks], str]:
    """What both ranks saw, by case, and what was said."""
    folder = tmp_path_factory.mktemp("watched")
    done = subprocess.run(
        [sys.executable, "-m", "tests.callbacks.watched", str(folder)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cases = {path.stem for path in folder.iterdir()}
    found = {case: [torch.load(folder / f"{case}.{rank}", weights_only=True) for rank in (0, 1)] for case in cases}
    return found, done.stdout + done.stderr


def test_the_watch_is_not_felt_and_both_publish_the_same(runs: tuple[dict[str, Ranks], str]) -> None:
    alone, watched = runs[0]["alone"], runs[0]["watched"]
    assert all(torch.equal(one["weights"], other["weights"]) for one, other in zip(alone, watched, strict=True))
    assert watched[0]["rows"] == watched[1]["rows"]
    assert sorted(step for step, row in watched[0]["rows"].items() if row) == list(range(2, 9))
    assert watched[0]["rows"][2] != watched[0]["rows"][4]
    assert watched[0]["rows"][2] == watched[0]["rows"][3]


def test_both_stop_at_the_same_update(runs: tuple[dict[str, Ranks], str]) -> None:
    ends = {case: [rank["end"] for rank in ranks] for case, ranks in runs[0].items()}
    assert ends == {"alone": [8, 8], "watched": [8, 8], "collapsed": [3, 3], "lost": [3, 3], "early": [6, 6]}
    assert [rank["broken"] for rank in runs[0]["lost"]] == [True, True]


def test_one_process_speaks(runs: tuple[dict[str, Ranks], str]) -> None:
    for sentence in ("UserWarning: The generator has collapsed:", "Stopped early at update 6: watch/diversity has not"):
        assert runs[1].count(sentence) == 1
    assert runs[1].count("UserWarning: Training has broken down: at update 3 there is NaN or infinity in a loss,") == 1
