"""The code that the documents show runs."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def test_a_model_of_ones_own_trains_as_shown(tmp_path: Path) -> None:
    module, script = blocks("docs/own_model.md", "python")[:2]
    (tmp_path / "mine.py").write_text(module)
    quiet = "max_steps=3, accelerator='cpu', logger=False, enable_checkpointing=False, enable_progress_bar=False"
    shortened = script.replace("max_steps=100", quiet)
    assert shortened != script
    (tmp_path / "run.py").write_text(shortened + "\nprint('updates', model.global_step, model.sample(2).shape)\n")
    done = subprocess.run([sys.executable, "run.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "updates 3 torch.Size([2, 1, 16, 16])" in done.stdout


def test_a_model_of_ones_own_is_found_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(blocks("docs/own_model.md", "python")[0])
    folder = tmp_path / "configs" / "model"
    folder.mkdir(parents=True)
    (folder / "hinge.yaml").write_text(blocks("docs/own_model.md", "yaml")[0])
    page = (ROOT / "docs/own_model.md").read_text()
    command = next(line for line in page.splitlines() if line.startswith("lit-gans "))
    arguments = command.split()[1:]
    short = ["data.image_size=16", "model.width=4", "trainer.max_steps=2", "logger=csv", "callbacks=checkpoints"]
    run = [sys.executable, "-c", "import sys; from lit_gans.configs.main import main; sys.exit(main())"]
    done = subprocess.run(
        [*run, *arguments, *short, "hydra.run.dir=run"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()
