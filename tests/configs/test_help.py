import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.configs.conftest import Cli

EVERY = ("model", "tricks", "data", "trainer", "callbacks", "logger", "experiment", "debug")


def test_help_lists_what_there_is_in_80_columns(cli: Cli) -> None:
    outcome = cli("--help")
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80
    for group in EVERY:
        assert f"({group}=…)" in outcome.out
    assert "  dcgan  " in outcome.out
    assert "Radford et al. 2016" in outcome.out
    assert "  label_smoothing  " in outcome.out
    assert "  digits  " in outcome.out
    assert outcome.out.count("\n  python ") == 7  # the form of a command, and six examples


def test_help_lists_options_of_ones_own(cli: Cli, workplace: Path) -> None:
    (workplace / "my" / "model").mkdir(parents=True)
    (workplace / "my" / "model" / "mine.yaml").write_text("# Mine: with a twist\ndefaults: [dcgan]\n")
    outcome = cli("--help", "--config-dir", "my")
    assert "mine             Mine: with a twist\n" in outcome.out


def test_the_examples_of_the_help_compose(cli: Cli) -> None:
    lines = cli("--help").out.splitlines()
    examples = [line.split("#")[0].split()[2:] for line in lines if line.startswith("  python ") and "…" not in line]
    assert len(examples) == 6
    for words in examples:
        arguments = [word.strip("'") for word in words if word not in ("-m", "ckpt_path=last")]
        single = [word if "=[" in word else word.split(",")[0] for word in arguments]
        outcome = cli("--cfg", "job", *single)
        assert outcome.code == 0, outcome.err


def test_the_version(cli: Cli) -> None:
    assert cli("--version").out == "lit_gans 0.1.0\n"


@pytest.mark.parametrize("line", ["--help", "--cfg job", "model=dcgna", "model.latent_dimm=3"])
def test_torch_is_not_waited_for(line: str, workplace: Path) -> None:
    code = "import sys; from lit_gans.configs.main import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    command = [sys.executable, "-c", code, *line.split()]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_tab_completion(workplace: Path) -> None:
    code = "import sys; from lit_gans.configs.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "-sc", "query=bash"]

    def completed(line: str) -> str:
        environment = {**os.environ, "COMP_LINE": line}
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout

    assert "model=wgan_gp" in completed("python train.py model=").split()
    assert completed("python train.py trainer.max_st").split() == ["trainer.max_steps="]
