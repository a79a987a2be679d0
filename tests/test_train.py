"""Whole runs by the command line: what they leave behind, how they go on, how they end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from lit_gans import load
from lit_gans.configs.main import train
from lit_gans.text import CharCNN
from tests.configs.conftest import Cli, cli, tiny, workplace  # noqa: F401

ROOT = Path(__file__).parents[1]
FULL = (
    "callbacks=default",
    "callbacks.samples.every=2",
    "callbacks.samples.n=4",
    "callbacks.metrics.num_samples=20",
    "callbacks.metrics.num_real=20",
    "callbacks.checkpoints.every=2",
    "trainer.log_every_n_steps=1",
)


def only_run(where: str = "dcgan-digits") -> Path:
    (folder,) = (Path("runs") / where).iterdir()
    return folder


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load(path, ema=False).state_dict()


def test_a_run_leaves_everything_in_its_folder(cli: Cli) -> None:  # noqa: F811
    outcome = cli(*tiny(*FULL, "trainer.max_steps=4"))
    assert outcome.code == 0, outcome.err
    folder = only_run()
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    expected = {"config.yaml", "metrics.csv", "progress.gif", "report.html", "checkpoints/last.ckpt"}
    assert names >= expected | {"samples/step_000004.png", "checkpoints/update_000002.ckpt"}
    assert not [name for name in names if ".hydra" in name or name.endswith(".log")]
    assert sorted(os.listdir()) == ["cache", "runs"]
    assert "Digits: 1,797 grey images of 16x16 pixels" in outcome.out
    assert f"Run      {folder}\n" in outcome.out
    assert "Look at  samples, progress.gif, report.html\n" in outcome.out
    assert f"lit_gans.load('{folder}/checkpoints/last.ckpt').sample(16)" in outcome.out
    assert "litlogger" not in outcome.out + outcome.err
    assert "GPU available" not in outcome.out + outcome.err


def test_its_configuration_is_plain_and_repeats_it(cli: Cli) -> None:  # noqa: F811
    line = tiny("callbacks=checkpoints", "tricks=[r1]", "tricks.r1.r1_gamma=5", "model.generator_optimizer.lr=1e-3")
    line.append("model.discriminator_norm=none")
    assert cli(*line).code == 0
    first = only_run()
    text = (first / "config.yaml").read_text()
    assert text.startswith("# train.py experiment/tuned=none model.width=4 ")
    assert "${" not in text
    config = OmegaConf.load(first / "config.yaml")
    assert config.tricks.r1.r1_gamma == 5.0
    assert config.model.generator_optimizer.lr == 1e-3
    assert Path(config.run_dir) == first.resolve()
    train(OmegaConf.create(text.replace(config.run_dir, "again")))
    before, after = weights(first / "checkpoints/last.ckpt"), weights(Path("again/checkpoints/last.ckpt"))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_last_run_goes_on_in_its_folder_as_if_it_had_never_stopped(cli: Cli) -> None:  # noqa: F811
    assert cli(*tiny(*FULL, "trainer.max_steps=4", "hydra.run.dir=straight")).code == 0
    assert cli(*tiny(*FULL, "trainer.max_steps=2")).code == 0
    folder = only_run()
    outcome = cli(*tiny(*FULL, "trainer.max_steps=4", "ckpt_path=last"))
    assert outcome.code == 0, outcome.err
    assert f"Going on from update 2 of {folder}/checkpoints/last.ckpt.\n" in outcome.out
    assert "Other than before: trainer.max_steps 2 -> 4\n" in outcome.out
    assert only_run() == folder
    straight, resumed = weights(Path("straight/checkpoints/last.ckpt")), weights(folder / "checkpoints/last.ckpt")
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_another_checkpoint_begins_a_new_folder(cli: Cli) -> None:  # noqa: F811
    assert cli(*tiny("callbacks=checkpoints", "hydra.run.dir=old")).code == 0
    outcome = cli(*tiny("callbacks=checkpoints", "ckpt_path=old/checkpoints/last.ckpt", "trainer.max_steps=3"))
    assert outcome.code == 0, outcome.err
    assert torch.load(only_run() / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 3
    assert torch.load("old/checkpoints/last.ckpt", weights_only=True)["global_step"] == 2


def test_a_run_begins_with_another_runs_weights(cli: Cli) -> None:  # noqa: F811
    """At update 0, with other tricks, and one level of LAPGAN alone, which leaves the others as they were."""
    small = ["model=lapgan", "data=digits", "data.image_size=16", "model.width=4", "model.latent_dim=4"]
    small += ["model.coarsest_generator_width=8", "model.coarsest_discriminator_width=8", "data.batch_size=8"]
    small += ["callbacks=checkpoints", "logger=csv", "trainer=cpu", "trainer.max_steps=2", "experiment/tuned=none"]
    assert cli(*small, "hydra.run.dir=old").code == 0
    other = ["weights=old/checkpoints/last.ckpt", "model.levels=[0]", "tricks=[instance_noise]", "hydra.run.dir=new"]
    outcome = cli(*small, *other)
    assert outcome.code == 0, outcome.err
    assert torch.load("new/checkpoints/last.ckpt", weights_only=True)["global_step"] == 2
    old, new = weights(Path("old/checkpoints/last.ckpt")), weights(Path("new/checkpoints/last.ckpt"))
    moved = {name.split(".")[0] for name in old if not torch.equal(old[name], new[name])}
    assert moved == {"level0"}
    assert cli(*small, *other, "ckpt_path=last", "trainer.max_steps=3").code == 0
    assert torch.load("new/checkpoints/last.ckpt", weights_only=True)["global_step"] == 3


def test_an_encoder_of_texts_learns_once(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """A resumed run makes its data's embeddings by what it learnt before, in however many steps."""
    line = ["model=stackgan", "data=digits", "data.image_size=16", "data.batch_size=8", "model.network=simple"]
    line += ["model.generator_width=4", "model.discriminator_width=4", "model.stage_steps=[2,1]", "model.c_dim=4"]
    line += ["model.text_encoder={name: char_cnn, dim: 8, steps: 2}", "callbacks=checkpoints", "hydra.run.dir=here"]
    line += ["logger=csv", "trainer=cpu", "experiment/tuned=none"]
    assert cli(*line, "trainer.max_steps=2").code == 0
    learnt: list[CharCNN] = []
    monkeypatch.setattr(CharCNN, "fit", lambda encoder, *_: learnt.append(encoder))
    outcome = cli(*line, "trainer.max_steps=3", "ckpt_path=last", "model.text_encoder.steps=5")
    assert outcome.code == 0, outcome.err
    assert learnt == []


@pytest.mark.parametrize("option", ["run_dir", "hydra.run.dir"])
def test_a_named_folder_goes_on_with_its_own_last_checkpoint(cli: Cli, option: str) -> None:  # noqa: F811
    assert cli(*tiny("callbacks=checkpoints", f"{option}=here")).code == 0
    assert cli(*tiny("callbacks=checkpoints", f"{option}=here", "ckpt_path=last", "trainer.max_steps=3")).code == 0
    assert not Path("runs").exists()
    assert torch.load("here/checkpoints/last.ckpt", weights_only=True)["global_step"] == 3
    outcome = cli(*tiny(f"{option}=nowhere", "ckpt_path=last"))
    assert outcome.code == 2
    assert outcome.err == f"There is no checkpoint {Path('nowhere').resolve()}/checkpoints/last.ckpt.\n"


def test_wandb_offline_goes_on_with_the_same_run(cli: Cli) -> None:  # noqa: F811
    assert cli(*tiny(*FULL, "logger=wandb")).code == 0
    assert cli(*tiny(*FULL, "logger=wandb", "ckpt_path=last", "trainer.max_steps=3")).code == 0
    names = {path.name for path in only_run().rglob("*.wandb")}
    assert len(names) == 1
    wandb_id = torch.load(only_run() / "checkpoints/last.ckpt", weights_only=True)["wandb_id"]
    assert names == {f"run-{wandb_id}.wandb"}


@pytest.mark.parametrize(("own", "around"), [([], "runs/sweeps/*"), (["run_dir=here"], "here")])
def test_several_runs_each_in_a_folder(cli: Cli, own: list[str], around: str) -> None:  # noqa: F811
    outcome = cli(*tiny("callbacks=checkpoints"), "-m", "seed=1,2", "model.latent_dim=6", *own)
    assert outcome.code == 0, outcome.err
    (sweep,) = Path().glob(around)
    first, second = (sweep / f"{i}-dcgan-digits" for i in range(2))
    assert [OmegaConf.load(folder / "config.yaml").seed for folder in (first, second)] == [1, 2]
    one, two = (weights(folder / "checkpoints/last.ckpt") for folder in (first, second))
    assert any(not torch.equal(one[name], two[name]) for name in one)


def test_several_runs_on_several_devices_are_refused(cli: Cli) -> None:  # noqa: F811
    outcome = cli(*tiny("trainer.devices=2", "trainer.strategy=ddp"), "-m", "seed=1,2")
    assert outcome.code == 2
    assert "several devices need a process each" in outcome.err


def test_processes_from_outside_need_one_folder(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("WORLD_SIZE", "2")
    outcome = cli(*tiny("trainer.devices=2", "trainer.strategy=ddp"))
    assert outcome.code == 2
    assert "2 processes were started, and each would make a folder of its own: give them one, run_dir=" in outcome.err


def test_without_the_main_function_a_run_is_a_function_call(workplace: Path) -> None:  # noqa: F811
    with initialize_config_module("lit_gans.configs", version_base="1.3"):
        options = tiny("logger=csv", "trainer.log_every_n_steps=1", "model.n_critic=2")
        cfg = compose("train", [*options, f"run_dir={workplace / 'mine'}"])
    published = train(cfg)
    assert published.keys() >= {"loss/generator", "loss/discriminator", "images_seen"}
    assert published["images_seen"] == 2 * 2 * 8
    assert (workplace / "mine" / "metrics.csv").is_file()


STOPPER = """
import os, signal
from lightning.pytorch import Callback


class Stopper(Callback):
    def __init__(self, number: int) -> None:
        self.number = number

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 3:
            os.kill(os.getpid(), self.number)
"""


@pytest.mark.parametrize(
    ("number", "code", "how"), [(signal.SIGINT, 130, "by Ctrl-C"), (signal.SIGTERM, 143, "by SIGTERM")]
)
def test_a_run_that_is_stopped_says_where_it_is(
    cli: Cli,  # noqa: F811
    workplace: Path,  # noqa: F811
    number: signal.Signals,
    code: int,
    how: str,
) -> None:
    (workplace / "stopper.py").write_text(STOPPER)
    stopper = f"+callbacks.stopper={{_target_: stopper.Stopper, number: {int(number)}}}"
    stopped = [*tiny("callbacks=default", "callbacks.checkpoints.every=1", "callbacks.metrics=null"), stopper]
    outcome = cli(*stopped, "trainer.max_steps=50")
    sys.modules.pop("stopper")
    assert outcome.code == code
    folder = only_run()
    assert f"Stopped {how}. ckpt_path=last goes on from {folder}/checkpoints/last.ckpt\n" in outcome.err
    assert "Traceback" not in outcome.err
    assert torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["global_step"] in (2, 3)


def test_two_processes_have_one_folder(workplace: Path) -> None:  # noqa: F811
    line = tiny("callbacks=checkpoints", "trainer.devices=2", "trainer.strategy=ddp", "trainer.log_every_n_steps=1")
    command = [sys.executable, str(ROOT / "train.py"), *line]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    folder = only_run()
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoints", "config.yaml", "metrics.csv"]
    assert OmegaConf.load(folder / "config.yaml").trainer.devices == 2
    assert done.stdout.count("Digits: 1,797") == 1
    assert done.stdout.count("Run      runs") == 1
    game = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["game"]
    assert game["images_seen"] == 2 * 8
