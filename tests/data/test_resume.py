"""Inside a real Trainer: a run that stops anywhere goes on with the batches of the run that never stopped."""

import random
import warnings
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from lit_gans.data import DataModule, ImageDataModule
from lit_gans.data.samples import InMemory, Samples
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import TINY, trainer

SAMPLES, BATCH = 53, 8
PER_EPOCH, EPOCHS = SAMPLES // BATCH, 4
BATCHES = PER_EPOCH * EPOCHS


class Numbers(DataModule):
    """Points that say which sample they are."""

    shape, class_names = (2,), ()

    def load(self) -> Samples:
        return InMemory(torch.arange(2.0 * SAMPLES).view(-1, 2) / 100, None)

    def describe(self) -> str:
        return "numbers"


class Noise(ImageDataModule):
    """Images that tell by a flip that they were flipped."""

    class_names = ("even", "odd")

    def load(self) -> Samples:
        generator = torch.Generator().manual_seed(0)
        size = (SAMPLES, 1, 16, 16)
        return InMemory(torch.randint(256, size, generator=generator, dtype=torch.uint8), torch.arange(SAMPLES) % 2)


class Record(Callback):
    """Notes every batch as the model gets it, and saves a checkpoint after each batch and each epoch if asked to."""

    def __init__(self, folder: Path | None = None) -> None:
        self.seen: list[torch.Tensor] = []
        self.folder = folder

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.seen.append(batch["image"].clone())

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        if self.folder:
            trainer.save_checkpoint(self.folder / f"batch{len(self.seen)}.ckpt")

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        if self.folder:
            trainer.save_checkpoint(self.folder / f"epoch{len(self.seen)}.ckpt")


def model(n_critic: int = 1) -> MLPGAN:
    return MLPGAN(latent_dim=2, generator_hidden=[4], discriminator_hidden=[4], n_critic=n_critic)


def run(
    data: DataModule, game: Any = None, *, steps: int = -1, epochs: int = -1, folder: Path | None = None, **fit: Any
) -> tuple[list[torch.Tensor], lightning.Trainer]:
    record = Record(folder)
    runner = trainer(max_steps=steps, max_epochs=epochs, callbacks=[record])
    runner.fit(game or model(), datamodule=data, **fit)
    return record.seen, runner


def same(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return len(ours) == len(theirs) and all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[torch.Tensor], Path]:
    """The batches of a run that never stopped, and the folder of its checkpoints."""
    folder = tmp_path_factory.mktemp("straight")
    seen, _ = run(Numbers(batch_size=BATCH), epochs=EPOCHS, folder=folder)
    assert len(seen) == BATCHES
    return seen, folder


@pytest.mark.parametrize("stop", [1, 3, 5, 6, 7, 11, 12, 13, 20])
def test_a_checkpoint_saved_in_a_batch_goes_on_exactly(stop: int, straight: Any) -> None:
    whole, folder = straight
    data = Numbers(batch_size=BATCH)
    seen, _ = run(data, steps=BATCHES, ckpt_path=folder / f"batch{stop}.ckpt", weights_only=True)
    assert same(seen, whole[stop:])
    assert data.batches_seen == BATCHES


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_checkpoint_saved_at_the_end_of_an_epoch_goes_on_exactly(epoch: int, straight: Any) -> None:
    whole, folder = straight
    name = folder / f"epoch{epoch * PER_EPOCH}.ckpt"
    seen, _ = run(Numbers(batch_size=BATCH), epochs=EPOCHS, ckpt_path=name)
    assert same(seen, whole[epoch * PER_EPOCH :])


@pytest.mark.parametrize("stop", [4, 6, 9])
def test_workers_that_fetch_ahead_do_not_count(stop: int, straight: Any, tmp_path: Path) -> None:
    whole, _ = straight
    data = Numbers(batch_size=BATCH, num_workers=2)
    seen, runner = run(data, steps=stop)
    assert data.batches_seen == stop
    runner.save_checkpoint(tmp_path / "stop.ckpt")
    rest, _ = run(Numbers(batch_size=BATCH, num_workers=2), steps=stop + 7, ckpt_path=tmp_path / "stop.ckpt")
    assert same(seen + rest, whole[: stop + 7])


def test_stops_at_random_after_max_steps_with_rounds_of_three(tmp_path: Path, straight: Any) -> None:
    whole, _ = straight
    draw = random.Random(0)
    seen: list[torch.Tensor] = []
    done, path = 0, None
    while done < 8:  # rounds of three batches are the 24 of the straight run
        done = min(8, done + draw.randint(1, 3))
        part, runner = run(Numbers(batch_size=BATCH), model(n_critic=3), steps=done, ckpt_path=path)
        seen += part
        runner.save_checkpoint(path := tmp_path / f"{done}.ckpt")
    assert same(seen, whole)


@pytest.mark.parametrize("workers", [0, 2])
def test_flips_go_on_exactly_too(workers: int, tmp_path: Path) -> None:
    options = {"image_size": 16, "image_channels": 1, "flip": True, "batch_size": BATCH, "num_workers": workers}

    def game() -> DCGAN:
        return DCGAN(**TINY)

    whole, _ = run(Noise(**options), game(), steps=15)
    first, runner = run(Noise(**options), game(), steps=8)
    runner.save_checkpoint(tmp_path / "8.ckpt")
    rest, _ = run(Noise(**options), game(), steps=15, ckpt_path=tmp_path / "8.ckpt")
    assert same(first + rest, whole)
    unflipped, _ = run(Noise(**{**options, "flip": False}), game(), steps=2)
    assert not same(unflipped, whole[:2])


def test_lightnings_limit_on_an_epoch_does_not_change_the_order(straight: Any) -> None:
    whole, _ = straight
    record = Record()
    runner = trainer(max_steps=BATCHES, limit_train_batches=4, callbacks=[record])
    runner.fit(model(), datamodule=Numbers(batch_size=BATCH))
    assert same(record.seen, whole)


def test_a_batch_that_was_interrupted_is_seen_again(tmp_path: Path, straight: Any) -> None:
    whole, _ = straight

    class Interrupt(Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if trainer.datamodule.batches_seen == 5:
                raise RuntimeError("stopped in the fifth batch")

        def on_exception(self, trainer: lightning.Trainer, *_: Any) -> None:
            trainer.save_checkpoint(tmp_path / "stop.ckpt")

    with pytest.raises(RuntimeError, match="in the fifth batch"):
        trainer(max_steps=BATCHES, callbacks=[Interrupt()]).fit(model(), datamodule=Numbers(batch_size=BATCH))
    rest, _ = run(Numbers(batch_size=BATCH), steps=BATCHES, ckpt_path=tmp_path / "stop.ckpt")
    assert same(rest, whole[4:])


def test_a_new_model_begins_at_the_beginning_and_a_trained_one_goes_on(straight: Any) -> None:
    whole, _ = straight
    data, game = Numbers(batch_size=BATCH), model()
    first, _ = run(data, game, steps=4)
    again, _ = run(data, model(), steps=4)
    assert same(first, whole[:4])
    assert same(again, whole[:4])
    further, _ = run(data, game, steps=4)
    assert same(further, whole[4:8])


def test_lightning_says_nothing_of_loaders_that_cannot_resume(straight: Any) -> None:
    _, folder = straight
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run(Numbers(batch_size=BATCH), steps=12, ckpt_path=folder / "batch8.ckpt")
    assert [str(warning.message) for warning in told if "resum" in str(warning.message)] == []


def test_lightnings_overfitting_run_works() -> None:
    record = Record()
    runner = trainer(max_steps=6, overfit_batches=2, callbacks=[record])
    runner.fit(model(), datamodule=Numbers(batch_size=BATCH))
    assert same(record.seen, record.seen[:2] * 3)
