"""A project of one's own on the installed library: python tests/installed_wheel.py PYTHON.

Run with the interpreter of an environment that has the wheel, from anywhere but a checkout: a model of the project's
own is trained by ``--config-dir``, then by a configuration and a main function of the project's own, and what they
saved is loaded again.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

MODEL = '''
from typing import Any

from lit_gans.models import DCGAN


class Mine(DCGAN):
    """DCGAN with an option of its own."""

    def __init__(self, *, sharpness: float = 1.0, **rest: Any) -> None:
        super().__init__(**rest)
        self.sharpness = sharpness
'''
OPTION = """
# Mine: DCGAN with an option of its own
defaults: [dcgan]
_target_: mine.Mine
sharpness: 2.0
width: 4
"""
PRIMARY = """
defaults:
  - train
  - override model: mine
  - override logger: csv
  - override callbacks: checkpoints
  - _self_
trainer:
  max_steps: 2
hydra:
  searchpath: [pkg://lit_gans.configs]
"""
APP = """
import hydra

from lit_gans.configs.main import train


@hydra.main(version_base="1.3", config_path="options", config_name="own")
def main(cfg):
    print("published:", sorted(train(cfg)))


if __name__ == "__main__":
    main()
"""
COMMAND = "import sys; from lit_gans.configs.main import main; sys.exit(main())"
LOAD = """
import sys

from lit_gans import load

model = load(sys.argv[1])
print(type(model).__name__, model.sharpness, tuple(model.sample(3).shape))
"""
SMALL = ["data.image_size=16", "data.batch_size=8", "trainer.accelerator=cpu", "trainer.log_every_n_steps=1"]


def make_project(folder: Path) -> None:
    """Writes a project with a model and options of its own."""
    (folder / "options" / "model").mkdir(parents=True)
    (folder / "mine.py").write_text(MODEL)
    (folder / "options" / "model" / "mine.yaml").write_text(OPTION.lstrip())
    (folder / "options" / "own.yaml").write_text(PRIMARY.lstrip())
    (folder / "app.py").write_text(APP)
    (folder / "load.py").write_text(LOAD)


def command(python: str) -> list[str]:
    """The installed command, or what it does where a wheel's scripts are not beside the interpreter."""
    script = Path(python).parent / "lit-gans"
    return [str(script)] if script.exists() else [python, "-c", COMMAND]


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in the project, which is not on its path but for scripts that lie there."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "DEBUG")}
    environment |= {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def expect(done: subprocess.CompletedProcess[str], code: int, *sentences: str) -> None:
    """Raises an AssertionError unless a process ended as it should."""
    said = done.stdout + done.stderr
    missing = [sentence for sentence in sentences if sentence not in said]
    if done.returncode != code or missing:
        raise AssertionError(f"exit code {done.returncode}, without {missing}:\n{done.args}\n{said}")


def check_config_dir(python: str, folder: Path) -> None:
    """``lit-gans --config-dir options model=mine``."""
    own = [*command(python), "--config-dir", "options"]
    expect(run(folder, *own, "--help"), 0, "mine", "Mine: DCGAN with an option of its own")
    own += ["model=mine"]
    expect(run(folder, *own, "model.sharpnes=3"), 2, "Did you mean model.sharpness?")
    expect(run(folder, *own, "model.sharpness=very"), 2, "model.sharpness: expected a number, got 'very'.")
    few = ["logger=csv", "callbacks=checkpoints", "trainer.max_steps=2", "hydra.run.dir=first"]
    expect(run(folder, *own, *few, *SMALL, "model.sharpness=3"), 0, "Run      first")
    expect(run(folder, python, "load.py", "first/checkpoints/last.ckpt"), 0, "Mine 3.0 (3, 1, 16, 16)")


def check_searchpath(python: str, folder: Path) -> None:
    """A configuration and a main function of the project's own."""
    expect(run(folder, python, "app.py", *SMALL, "hydra.run.dir=second"), 0, "Run      second", "loss/generator")
    expect(run(folder, python, "load.py", "second/checkpoints/last.ckpt"), 0, "Mine 2.0 (3, 1, 16, 16)")


CHECKS: list[Callable[[str, Path], None]] = [check_config_dir, check_searchpath]


def main() -> None:
    """Makes a project in a temporary folder and runs every check there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", nargs="?", default=sys.executable, help="interpreter that has lit_gans")
    python = os.path.abspath(parser.parse_args().python)
    for check in CHECKS:
        with tempfile.TemporaryDirectory() as folder:
            make_project(Path(folder))
            check(python, Path(folder))
            print(f"{check.__name__}: as it should be")


if __name__ == "__main__":
    main()
