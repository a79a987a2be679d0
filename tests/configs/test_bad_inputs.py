"""Whatever is wrong with a command line: one or two sentences, exit code 2, no traceback, nothing left behind."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.configs.conftest import Cli, tiny

ROOT = Path(__file__).parents[2]

BEFORE_TORCH = {
    "model=dcgna": r"There is no model called 'dcgna'\. Did you mean dcgan\? Possible: dcgan, .*mlp_gan, .*wgan_gp",
    "data=digit": r"There is no data set called 'digit'\. Did you mean digits\?",
    "tricks=[r1,r3]": r"There is no trick called 'r3'\.(.*) Possible: .*label_smoothing, .*r1, .*wgan_gp",
    "experiment=nope": r"There is no experiment called 'nope'\. Possible: conditional_digits, digits",
    "debug=null": r"debug= needs one of: .*fast.*\. Leave debug out for its default",
    "model=[dcgan,wgan_gp]": r"model takes one name, not a list: model=dcgan or model=wgan_gp",
    "model=dcgan,wgan_gp": r"has several values: add -m",
    "modle=dcgan": r"There is no option modle\. Did you mean model\?",
    "max_steps=10": r"There is no option max_steps\. Did you mean trainer\.max_steps\?",
    "lr=0.1": r"Did you mean model\.generator_optimizer\.lr or model\.discriminator_optimizer\.lr\?",
    "model.latent_dimm=3": r"There is no option model\.latent_dimm\. Did you mean model\.latent_dim\?",
    "tricks.r1.r1_gamma=5": r"There is no option tricks\.r1\.r1_gamma without tricks=\[r1\]: add that",
    "data.path=pictures": r"There is no option data\.path without data=captioned or data=folder: add that",
    "callbacks.samples.every=3": r"There is no option callbacks\.samples\.every without callbacks=.default.: add that",
    "model.x=[1,": r"'model\.x=\[1,' cannot be read: lists are written \[1,2\]",
    "dcgan": r"'dcgan' cannot be read: options are written key=value",
    "--epochs 10": r"There is no flag --epochs\. Options are written key=value",
    "--cfg": r"expected one argument\. Options are written key=value",
    "ckpt_path=last": r"found no run of model=dcgan data=digits .*leave ckpt_path out to begin one",
    "-m ckpt_path=last seed=1,2": r"goes on with one run, -m starts several",
    "-m model=dcgan,wgan_g": r"There is no model called 'wgan_g'\. Did you mean wgan_gp\?",
    "hydra.run.dri=x": r"Could not override 'hydra\.run\.dri'",
}

BY_SIGNATURE = {
    "trainer.max_steps=ten": r"^trainer\.max_steps: expected an integer, got 'ten'",
    "trainer.precision=fp17": r"^trainer\.precision: expected one of .*bf16-mixed.* or null, got 'fp17'",
    "model.compile=maybe": r"^model\.compile: expected true or false, got 'maybe'",
    "model.generator_optimizer.lr=fast": r"^model\.generator_optimizer\.lr: expected a number, got 'fast'",
    "model.generator_optimizer.betas=0.5": r"^model\.generator_optimizer\.betas: expected a list of numbers, got 0\.5",
    "tricks=[r1] tricks.r1.r1_gamma=much": r"^tricks\.r1\.r1_gamma: expected a number, got 'much'",
    "data.batch_size=null": r"^data\.batch_size: expected an integer, got None",
    "seed=-1": r"^seed must be from 0 to 4294967295, got -1",
    "+model.widht=3": r"^model\.widht is not an option of DCGAN\. Did you mean width\?",
    "trainer.limit_val_batches=3": r"Trainer takes it: write \+trainer\.limit_val_batches=3",
    "model._target_=lit_gans.models.DCGANN": r"lit_gans\.models has no DCGANN\. Did you mean DCGAN\?",
    "model.latent_dim=${nothing}": r"^model\.latent_dim cannot be resolved: .*'nothing' not found",
}

BY_BUILDING = {
    "model.n_critic=0": r"^n_critic must be at least 1, got 0",
    "data.image_size=20": r"16, 32, 64, 128 pixels, not 20",
    "model.generator_norm=btach": r"There is no normalization called 'btach'",
    "tricks=[wgan_gp]": r"batch norm in the discriminator .* set model\.discriminator_norm=none",
    "model=wgan_gp tricks=[label_smoothing]": r"this model's loss has none: .*Leave it out",
    "model=wgan_gp tricks=[wgan_gp]": r"has the trick GradientPenalty already: leave it out",
    "trainer.accelerator=tpuu": r"invalid accelerator name",
    "trainer.strategy=fsdp": r"^trainer\.strategy=fsdp cannot train several players: use auto on one device, ddp",
    "ckpt_path=nowhere.ckpt": r"^There is no checkpoint nowhere\.ckpt",
    "ckpt_path=truncated.ckpt": r"truncated\.ckpt cannot be read: it is truncated",
    "weights=nowhere.ckpt": r"^There is no checkpoint nowhere\.ckpt",
    "weights=truncated.ckpt": r"truncated\.ckpt cannot be read: it is truncated",
    "weights=other.ckpt": r"has .discriminator.*: other options made its networks",
    "weights=3": r"^There is no checkpoint 3",
    "ckpt_path=other.ckpt": r"^The checkpoint is of WGANGP, the model here is DCGAN",
    "model=wgan_gp model.latent_dim=9 ckpt_path=other.ckpt": r"has the shape .* other options made its networks",
    "hydra.run.dir=taken": r"taken holds a run already: go on with it by ckpt_path=last, or choose another",
}

BY_STARTING = {
    "data.batch_size=5000": r"^data\.batch_size is 5000, but the data set has only 1,797 samples",
    "data=folder data.path=nowhere": r"data\.path=nowhere does not exist",
    "data=folder data.path=empty": r"There are no images in .*empty",
    "data=folder data.path=texts": r"There are no images in .*texts",
    "data=folder data.path=corrupt": r"broken\.jpg",
    "model.num_classes=5": r"The data have 10 classes, more than model\.num_classes=5",
    "model.num_classes=10 data=folder data.path=pictures": r"model\.num_classes=10 needs labels",
    "model=mlp_gan": r"shape \(2,\), but the data's have \(1, 16, 16\)\. It takes points: data=rings",
    "model.generator_optimizer.name=adma": r"There is no optimizer called 'adma'\. Did you mean 'adam'\?",
    "model.lr_schedule.name=cosin": r"Did you mean 'cosine'\?",
    "trainer.gradient_clip_val=1": r"^trainer\.gradient_clip_val .*use model\.gradient_clip",
}


def pictures(folder: Path, n: int) -> None:
    folder.mkdir()
    for i in range(n):
        Image.new("RGB", (16, 16), (i, 0, 0)).save(folder / f"{i}.png")


@pytest.fixture
def given(workplace: Path) -> None:
    """Files and folders that the command lines name."""
    (workplace / "empty").mkdir()
    (workplace / "texts").mkdir()
    (workplace / "texts" / "notes.txt").write_text("no picture")
    pictures(workplace / "pictures", 16)
    pictures(workplace / "corrupt", 16)
    (workplace / "corrupt" / "broken.jpg").write_bytes(b"\xff\xd8\xff and no more")
    (workplace / "taken" / "checkpoints").mkdir(parents=True)
    (workplace / "taken" / "checkpoints" / "last.ckpt").touch()


def refused(cli: Cli, line: str, sentence: str, leave_out: tuple[str, ...] = ()) -> None:
    outcome = cli(*tiny(*line.split(), leave_out=leave_out))
    assert outcome.code == 2, outcome
    assert re.search(sentence, outcome.err), outcome.err
    assert "Traceback" not in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize("line", BEFORE_TORCH)
def test_what_hydra_cannot_compose_is_explained(cli: Cli, line: str) -> None:
    refused(cli, line, BEFORE_TORCH[line])


@pytest.mark.parametrize("line", BY_SIGNATURE)
def test_values_are_compared_with_signatures(cli: Cli, line: str) -> None:
    refused(cli, line, BY_SIGNATURE[line])


@pytest.mark.parametrize("line", BY_BUILDING)
def test_what_cannot_be_built_is_refused(cli: Cli, given: None, other: Path, line: str) -> None:
    Path("other.ckpt").write_bytes(other.read_bytes())
    Path("truncated.ckpt").write_bytes(other.read_bytes()[:3000])
    refused(cli, line, BY_BUILDING[line])


@pytest.mark.parametrize("line", BY_STARTING)
def test_what_cannot_be_started_is_refused(cli: Cli, given: None, line: str) -> None:
    refused(cli, line, BY_STARTING[line], leave_out=("model.width",) if "mlp_gan" in line else ())


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused(cli: Cli) -> None:
    refused(cli, "trainer=gpu trainer.accelerator=gpu", r"^trainer\.accelerator=gpu: torch finds no GPU here")


def test_an_unreadable_file_of_options_is_named_with_its_line(cli: Cli, workplace: Path) -> None:
    (workplace / "my" / "model").mkdir(parents=True)
    (workplace / "my" / "model" / "mine.yaml").write_text("defaults: [dcgan]\nwidth: [4\nseed: 3\n")
    refused(cli, "--config-dir my model=mine", r"my/model/mine\.yaml, line 3, is not YAML: expected")


def test_a_value_that_must_be_given_is_asked_for(cli: Cli, workplace: Path) -> None:
    (workplace / "my" / "model").mkdir(parents=True)
    (workplace / "my" / "model" / "mine.yaml").write_text("defaults: [dcgan]\nsharpness: ???\n")
    refused(cli, "--config-dir my model=mine", r"^model\.sharpness must be given: add model\.sharpness=")


def test_a_missing_folder_of_options_is_named(cli: Cli) -> None:
    refused(cli, "--config-dir nowhere", r"^--config-dir nowhere: there is no such folder")


def test_an_option_that_a_class_needs_is_asked_for(cli: Cli, workplace: Path) -> None:
    (workplace / "needy.py").write_text(
        "from lit_gans.models import DCGAN\n\n\nclass Needy(DCGAN):\n"
        "    def __init__(self, *, sharpness: float, **rest):\n        super().__init__(**rest)\n"
    )
    refused(cli, "model._target_=needy.Needy", r"^Needy needs model\.sharpness: add model\.sharpness=")


def test_debug_shows_the_traceback_too(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG", "1")
    outcome = cli(*tiny("model.n_critic=0"))
    assert outcome.code == 2
    assert "Traceback" in outcome.err
    assert "gan.py" in outcome.err
    assert outcome.err.endswith("n_critic must be at least 1, got 0.\n")


def test_an_error_within_training_is_no_refusal(cli: Cli, workplace: Path) -> None:
    (workplace / "faulty.py").write_text(
        "from lightning.pytorch import Callback\n\n\nclass Faulty(Callback):\n"
        "    def on_train_batch_end(self, *_):\n        raise ValueError('a fault of the program')\n"
    )
    outcome = cli(*tiny("+callbacks.faulty._target_=faulty.Faulty"))
    assert outcome.code == 1
    assert "Traceback" in outcome.err
    assert "a fault of the program" in outcome.err


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("model=dcgna", "Did you mean dcgan?"),
        ("model.latent_dimm=3", "Did you mean model.latent_dim?"),
        ("--epochs 10", "There is no flag --epochs"),
    ],
)
def test_the_script_exits_with_2(workplace: Path, line: str, sentence: str) -> None:
    command = [sys.executable, str(ROOT / "train.py"), *line.split()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(workplace.iterdir())
