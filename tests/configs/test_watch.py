"""By the command line: a run that goes wrong, a run that stops early; and the watch beside every model and trick."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_module

from lit_gans import GAN, load
from lit_gans.callbacks.collapse import CollapseWatch
from lit_gans.callbacks.remedies import TRICKS as REMEDIES
from lit_gans.callbacks.remedies import has, remedies
from lit_gans.configs import build
from lit_gans.configs.arguments import options
from lit_gans.configs.check import checked, find
from lit_gans.mixins import R1Penalty, SpectralNorm
from lit_gans.models import DCGAN, MLPGAN, WGANGP
from tests.callbacks.test_collapse import Published, equal, everything, run
from tests.configs.conftest import Cli, tiny
from tests.configs.test_generic import FOLDER, MODELS, SMALL, TRICKS
from tests.conftest import TINY, images
from tests.mixins.test_tricks import AFTER

ROOT = Path(__file__).parents[2]
POISON = """
from lightning.pytorch import Callback


class Poison(Callback):
    def __init__(self, at: int) -> None:
        self.at = at

    def on_train_batch_end(self, trainer, pl_module, *_):
        if trainer.global_step == self.at:
            next(pl_module.generator.parameters()).data.fill_(float("nan"))
"""
FULL = (
    "callbacks=default",
    "callbacks.samples.every=2",
    "callbacks.samples.n=4",
    "callbacks.metrics.num_samples=20",
    "callbacks.metrics.num_real=20",
    "callbacks.metrics.every=2",
    "callbacks.checkpoints.every=2",
    "callbacks.collapse.every=2",
    "callbacks.collapse.n=8",
    "trainer.log_every_n_steps=1",
    "trainer.max_steps=20",
    "hydra.run.dir=here",
)
POINTS = ("model=mlp_gan", "data=rings", "data.batch_size=8", "data.num_samples=64")


def poison(at: int) -> str:
    """A callback of the user's own that spoils the weights after an update."""
    Path("poison.py").write_text(POISON)
    return f"+callbacks.poison={{_target_: poison.Poison, at: {at}}}"


# NaN


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_run_that_breaks_down_keeps_its_last_good_checkpoint(cli: Cli) -> None:
    outcome = cli(*tiny(*FULL, poison(5)))
    sys.modules.pop("poison")
    assert outcome.code == 1
    assert outcome.err.endswith(
        "The run broke down at update 6. The last good checkpoint is here/checkpoints/last.ckpt, of update 4: "
        "ckpt_path=last goes on from it.\n"
    )
    assert "Traceback" not in outcome.err
    assert all(value.isfinite().all() for value in load("here/checkpoints/last.ckpt", ema=False).state_dict().values())
    assert torch.load("here/checkpoints/best.ckpt", weights_only=True)["global_step"] <= 4
    assert "Stopped early after 6 updates" in Path("here/report.html").read_text()
    assert "Use it   lit_gans.load('here/checkpoints/last.ckpt').sample(16)\n" in outcome.out
    # Without what spoilt it, it goes on.
    again = cli(*tiny(*FULL), "ckpt_path=last", "trainer.max_steps=8")
    assert (again.code, "Going on from update 4" in again.out) == (0, True), again.err


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("callbacks", ["default", "checkpoints"])
def test_a_run_that_breaks_down_at_once_has_none(cli: Cli, callbacks: str) -> None:
    few = [option for option in FULL if not option.startswith("callbacks.") or callbacks == "default"]
    outcome = cli(*tiny(*few[1:], f"callbacks={callbacks}", poison(1), "trainer.max_steps=3"))
    sys.modules.pop("poison")
    assert outcome.code == 1
    end = 2 if callbacks == "default" else 3
    assert outcome.err.endswith(f"The run broke down at update {end}. There is no checkpoint from before.\n")
    assert not Path("here/checkpoints").exists()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_learning_rate_that_is_far_too_high(cli: Cli) -> None:
    rates = [f"model.{player}_optimizer.lr=1e30" for player in ("generator", "discriminator")]
    outcome = cli(*tiny(*FULL, *rates, *POINTS, leave_out=("model.width", "data.image_size")))
    assert outcome.code == 1
    assert "The run broke down at update " in outcome.err
    assert "Traceback" not in outcome.err


def test_the_sentences_reach_a_person_without_the_place_in_the_code(cli: Cli, workplace: Path) -> None:
    line = tiny(*FULL, "callbacks.metrics=null", poison(5))
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *line],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(workplace)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    found = [line for line in lines if line.startswith("Training has broken down: at update 6 there is NaN or inf")]
    assert len(found) == 1, done.stderr
    assert found[0].endswith(".")
    assert "rank_zero_warn" not in done.stderr
    assert lines[-1].startswith("The run broke down at update 6. ")


# Collapse


def test_a_collapse_ends_a_run_well_if_asked_to(cli: Cli) -> None:
    stop = (
        "callbacks.collapse.patience=1",
        "callbacks.collapse.diversity=0.999",
        "callbacks.collapse.on_collapse=stop",
    )
    with pytest.warns(UserWarning, match="The generator has collapsed: for 1 looks in a row, up to update 2, "):
        outcome = cli(*tiny(*FULL, *stop))
    assert outcome.code == 0, outcome.err
    assert torch.load("here/checkpoints/last.ckpt", weights_only=True)["global_step"] == 2
    columns = Path("here/metrics.csv").read_text().splitlines()[0].split(",")
    assert {"watch/diversity", "watch/rt", "watch/gradient_norm_generator"} <= {*columns}
    assert "watch/" not in outcome.out


def test_what_to_do_then_is_one_of_two_things(cli: Cli) -> None:
    outcome = cli(*tiny(*FULL, "callbacks.collapse.on_collapse=wait"))
    assert outcome.code == 2
    assert outcome.err == "callbacks.collapse.on_collapse: expected one of warn, stop, got 'wait'.\n"


# Early stopping


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_early_stopping_beside_the_default_callbacks(cli: Cli) -> None:
    early = ("callbacks=[default,early_stopping]", "callbacks.early_stopping.patience=2")
    outcome = cli(*tiny(*FULL[1:], *early, "callbacks.early_stopping.min_delta=1e9"))
    assert outcome.code == 0, outcome.err
    assert (
        "Stopped early at update 6: fid/digits has not improved by 1e+09 in the last 2 looks; the best" in outcome.out
    )
    assert torch.load("here/checkpoints/last.ckpt", weights_only=True)["global_step"] == 6
    assert "fid/digits: best" in outcome.out
    other = cli(
        *tiny(*FULL[1:-1], *early, "callbacks.early_stopping.monitor=watch/diversity", "callbacks.metrics=null"),
        "callbacks.early_stopping.min_delta=1e9",
        "callbacks.early_stopping.mode=max",
    )
    assert "Stopped early at update 6: watch/diversity has not improved" in other.out


def test_an_option_of_callbacks_that_were_not_chosen_names_the_choice(cli: Cli) -> None:
    outcome = cli("callbacks.early_stopping.patience=2")
    assert outcome.code == 2
    assert outcome.err == (
        "There is no option callbacks.early_stopping.patience without callbacks=[default,early_stopping]: add that.\n"
    )


# Every model and trick


def built(*overrides: str) -> GAN:
    with initialize_config_module("lit_gans.configs", version_base="1.3"):
        cfg = compose("train", [*overrides, "experiment/tuned=none"])
    cfg.model.update({key: value for key, value in SMALL.items() if key in cfg.model})
    if "image_size" in cfg.model:
        cfg.model.update({"image_size": 16, "image_channels": 1})
    return build.model(checked(cfg))


def samples_for(model: GAN) -> list[dict[str, torch.Tensor]]:
    shape = model.sample_shape or ()
    if len(shape) == 3:
        found = images(96, size=shape[1])
        return [{**item, "image": item["image"].expand(shape[0], -1, -1)} for item in found]
    generator = torch.Generator().manual_seed(0)
    return [{"image": torch.randn(shape, generator=generator), "label": torch.tensor(0)} for _ in range(96)]


def check_that_it_is_not_felt(*overrides: str) -> None:
    found = []
    for watch in ([], [CollapseWatch(every=1, n=16)]):
        model, published = built(*overrides), Published()
        found.append(everything(model, run(model, *watch, published, data=samples_for(model), max_steps=5)))
    assert equal(*found)
    keys = published.rows[5].keys()
    assert keys >= {"watch/diversity", "watch/spread"}
    assert any(key.startswith("watch/gradient_norm_") and key.endswith("generator") for key in keys)


@pytest.mark.parametrize("model", MODELS)
def test_the_watch_looks_at_every_model_and_is_not_felt(model: str) -> None:
    check_that_it_is_not_felt(f"model={model}", *(["data=rings"] if "mlp" in model or model == "unrolled" else []))


@pytest.mark.parametrize("trick", TRICKS)
def test_the_watch_looks_at_every_trick_and_is_not_felt(trick: str) -> None:
    named = f"tricks=[{','.join([trick, *AFTER.get(trick, ())])}]"
    for overrides in (["model=mlp_gan", "data=rings"], ["model=dcgan", "model.discriminator_norm=none"]):
        try:
            built(*overrides, named)
        except ValueError:
            continue  # that they do not go together is another test's
        check_that_it_is_not_felt(*overrides, named)
        return
    pytest.fail(f"{trick} goes with neither")


def test_remedies_are_tricks_that_there_are() -> None:
    files = options("tricks", [FOLDER])
    names = {name for tricks in REMEDIES.values() for name in tricks}
    for name in sorted(names):
        with initialize_config_module("lit_gans.configs", version_base="1.3"):
            node = checked(compose("train", [f"tricks=[{name}]", "experiment/tuned=none"]))["tricks"][name]
        assert find(node["_target_"]).__module__ == f"lit_gans.mixins.{name}", files[name]


def test_remedies_leave_out_what_a_model_has() -> None:
    assert has(WGANGP(**TINY), "wgan_gp")
    assert not has(WGANGP(**TINY), "r1")

    class Own(R1Penalty, MLPGAN):
        pass

    assert "tricks=[r1]" in remedies("breakdown", MLPGAN(latent_dim=2))
    assert "tricks=[r1]" not in remedies("breakdown", Own(latent_dim=2))
    assert remedies("breakdown", MLPGAN(latent_dim=2)).endswith(" or smaller learning rates")


def test_remedies_suit_the_model() -> None:
    class Points(R1Penalty, SpectralNorm, MLPGAN):
        pass

    class Scores(R1Penalty, SpectralNorm, DCGAN):
        has_labels = False

    def suggested(model: GAN) -> list[str]:
        return re.findall(r"tricks=\[(\w+)\]", remedies("victory", model))

    assert suggested(Points(latent_dim=2)) == ["instance_noise", "label_smoothing"]
    assert suggested(Scores(**TINY, discriminator_norm="none")) == ["instance_noise", "diff_augment"]
    assert suggested(DCGAN(**TINY)) == ["r1", "spectral_norm", "instance_noise"]
