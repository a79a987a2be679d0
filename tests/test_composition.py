"""Classes made of a model and tricks, and checkpoints that make them again."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import lit_gans
from lit_gans import GAN, checkpoint, compose
from lit_gans.callbacks.ema import EMA
from lit_gans.mixins import GradientPenalty, OneSidedLabelSmoothing, R1Penalty
from lit_gans.models import DCGAN, WGANGP
from tests.conftest import TINY as SIZES
from tests.conftest import fit, images

TINY = {**SIZES, "discriminator_norm": "none"}


def saved(path: Path, cls: type[GAN] = DCGAN, **options: Any) -> GAN:
    """A model that trained on three batches, and its checkpoint."""
    model = cls(**TINY, **options)
    runner = fit(model, images(24), max_epochs=1, callbacks=[EMA(half_life=100.0)])
    runner.save_checkpoint(path, weights_only=False)
    return model


def test_composed_is_the_class_one_would_write() -> None:
    class Written(R1Penalty, OneSidedLabelSmoothing, DCGAN):
        pass

    composed = compose(DCGAN, R1Penalty, OneSidedLabelSmoothing)
    assert composed.__mro__[1:] == Written.__mro__[1:]
    assert compose(DCGAN) is DCGAN


@pytest.mark.parametrize(
    ("tricks", "error", "sentence"),
    [
        ((R1Penalty, R1Penalty), ValueError, "R1Penalty is named twice"),
        ((GradientPenalty,), ValueError, "WGANGP has the trick GradientPenalty already"),
        (("r1",), TypeError, "must be a class that extends lit_gans.GAN, got 'r1'"),
    ],
)
def test_what_cannot_be_composed_is_refused(tricks: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        compose(WGANGP, *tricks)


def test_every_option_is_a_plain_hyperparameter() -> None:
    model = compose(DCGAN, R1Penalty)(**TINY, r1_gamma=3.0, n_critic=2)
    assert model.hparams["r1_gamma"] == 3.0
    assert model.hparams["n_critic"] == 2
    assert model.hparams["width"] == TINY["width"]
    plain = (int, float, str, bool, type(None), list, dict)
    assert all(isinstance(value, plain) for value in model.hparams.values())


def test_a_checkpoint_is_loaded_in_an_empty_folder_by_another_process(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    model = saved(path, compose(DCGAN, R1Penalty, OneSidedLabelSmoothing), r1_gamma=5.0)
    empty = tmp_path / "empty"
    empty.mkdir()
    script = (
        "import torch, lit_gans\n"
        f"model = lit_gans.load({str(path)!r})\n"
        "print(type(model).__name__, model.r1_gamma, tuple(model.sample(16).shape), model.training)\n"
        "torch.save(model.state_dict(), 'weights.pt')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=empty, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["R1PenaltyOneSidedLabelSmoothingDCGAN", "5.0", "(16,", "1,", "16,", "16)", "False"]
    loaded = torch.load(empty / "weights.pt", weights_only=True)
    raw = model.state_dict()
    assert all(torch.equal(loaded[name], raw[name]) for name in raw if name.startswith("discriminator"))
    # The generator's are the averaged weights.
    assert not torch.equal(loaded["generator.output.weight"], raw["generator.output.weight"])


def test_raw_weights_on_demand(tmp_path: Path) -> None:
    model = saved(tmp_path / "a.ckpt")
    raw = lit_gans.load(tmp_path / "a.ckpt", ema=False)
    assert all(torch.equal(value, raw.state_dict()[name]) for name, value in model.state_dict().items())
    averaged = lit_gans.load(tmp_path / "a.ckpt").state_dict()
    contents = torch.load(tmp_path / "a.ckpt", weights_only=True)
    for name, value in contents["ema"]["generator"].items():
        assert torch.equal(averaged[f"generator.{name}"], value)


def test_a_conditional_model_remembers_the_datas_labels(tmp_path: Path) -> None:
    model = saved(tmp_path / "a.ckpt", num_classes=10)
    loaded = lit_gans.load(tmp_path / "a.ckpt")
    assert torch.equal(loaded.remembered_conditions, model.remembered_conditions)
    assert loaded.sample(4).shape == (4, 1, 16, 16)


def test_a_class_that_cannot_be_imported_can_be_given(tmp_path: Path) -> None:
    class Local(DCGAN):
        pass

    saved(tmp_path / "a.ckpt", Local)
    with pytest.raises(ValueError, match="cannot be imported here: pass `model_class`"):
        lit_gans.load(tmp_path / "a.ckpt")
    assert isinstance(lit_gans.load(tmp_path / "a.ckpt", model_class=Local), Local)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    saved(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"a\.ckpt cannot be read: it is truncated"):
        lit_gans.load(path)
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="not written by lit_gans"):
        lit_gans.load(path)
    with pytest.raises(FileNotFoundError, match="There is no checkpoint"):
        lit_gans.load(tmp_path / "b.ckpt")


def test_a_checkpoint_names_only_models(tmp_path: Path) -> None:
    saved(tmp_path / "a.ckpt")
    contents = torch.load(tmp_path / "a.ckpt", weights_only=True)
    contents["recipe"]["model"] = "pathlib:Path"
    torch.save(contents, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match=r"pathlib:Path, which is no model of lit_gans"):
        lit_gans.load(tmp_path / "a.ckpt")


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "a.ckpt", compose(DCGAN, R1Penalty))
    contents = checkpoint.read(tmp_path / "a.ckpt")
    checkpoint.check(contents, compose(DCGAN, R1Penalty)(**TINY))
    with pytest.raises(ValueError, match="is of DCGAN with R1Penalty, the model here is DCGAN"):
        checkpoint.check(contents, DCGAN(**TINY))
    with pytest.raises(ValueError, match=r"shape \(.*\) in the checkpoint and \(.*\) here"):
        checkpoint.check(contents, compose(DCGAN, R1Penalty)(**{**TINY, "width": 8}))
    with pytest.raises(ValueError, match="other options made its networks"):
        checkpoint.check(contents, compose(DCGAN, R1Penalty)(**{**TINY, "discriminator_norm": "instance"}))


def test_two_tricks_with_a_loss_of_their_own_are_refused() -> None:
    class One(GAN):
        def generator_loss(self, real: Any, fake: Any, condition: Any) -> Any:
            return fake.mean()

    class Two(One):
        def generator_loss(self, real: Any, fake: Any, condition: Any) -> Any:
            return -fake.mean()

    assert issubclass(compose(DCGAN, One), One)
    with pytest.raises(ValueError, match="Two and One each have a generator_loss of their own: leave it out"):
        compose(DCGAN, Two, One)
