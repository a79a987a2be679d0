"""Test error, confusion matrix and samples by class while a classifier trains."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from lit_gans.callbacks.ema import EMA
from lit_gans.callbacks.images import confusion_matrix
from lit_gans.callbacks.test_error import TestError, classes, confusion
from lit_gans.data import MNIST, Digits
from lit_gans.data.samples import InMemory
from lit_gans.models import DCGAN, SemiSupervisedGAN
from tests.conftest import TINY, trainer


def model(**options: Any) -> SemiSupervisedGAN:
    return SemiSupervisedGAN(image_size=8, latent_dim=4, generator_width=8, discriminator_width=16, **options)


def digits(**options: Any) -> Digits:
    return Digits(**{"image_size": 8, "batch_size": 20, "num_labelled": 20, "num_test": 60, **options})


def run(folder: Path, *callbacks: Any, steps: int = 4, game: Any = None, data: Any = None, **options: Any) -> Any:
    runner = trainer(
        max_steps=steps, callbacks=list(callbacks), default_root_dir=folder, use_distributed_sampler=False, **options
    )
    runner.fit(game or model(), datamodule=data or digits())
    return runner


class Wise(SemiSupervisedGAN):
    """Takes a digit's first pixel for its class."""

    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        told = torch.nn.functional.one_hot(images[:, 0, 0, 0].long(), 10).float()
        return told, told.sum(1)


def test_the_matrix_counts_labelled_samples_by_class_and_what_they_are_taken_for() -> None:
    wise = Wise(image_size=8, latent_dim=4, generator_width=8, discriminator_width=16)
    told, labels = torch.tensor([0, 1, 1, 9, 4, 4]), torch.tensor([0, 1, 2, 9, -1, 4])
    counts = confusion(wise, InMemory(told.to(torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8), labels))
    expected = torch.zeros(10, 10, dtype=torch.int64)
    for place in ((0, 0), (1, 1), (2, 1), (9, 9), (4, 4)):
        expected[place] = 1
    assert torch.equal(counts, expected)


def test_errors_of_both_kinds_of_weights_are_published_and_drawn(tmp_path: Path, capsys: Any) -> None:
    ema, error = EMA(half_life=50), TestError(every=2)
    game = model()
    runner = run(tmp_path, ema, error, game=game)
    published = {name: float(value) for name, value in runner.callback_metrics.items() if name.startswith("test/")}
    raw = confusion(game, digits().load_test())
    with ema.swapped(game):
        averaged = confusion(game, digits().load_test())
    for kind, counts in (("", averaged), ("_raw", raw)):
        wrong = 60 - int(counts.trace())
        assert published[f"test/wrong{kind}"] == wrong
        assert published[f"test/error{kind}"] == pytest.approx(wrong / 60)
    assert error.last is not None
    assert error.last[1] == 4
    assert f"test: {published['test/wrong']:.0f} wrong and" in capsys.readouterr().out
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png"))
    assert names == ["confusion.png", "samples/classes/step_000002.png", "samples/classes/step_000004.png"]


def test_the_training_does_not_feel_it(tmp_path: Path) -> None:
    found = []
    for callbacks in ([], [TestError(every=1)]):
        game = model()
        run(tmp_path, *callbacks, game=game)
        found.append(torch.cat([parameter.detach().flatten() for parameter in game.parameters()]))
    assert torch.equal(*found)


def test_each_column_holds_samples_that_are_taken_for_its_class() -> None:
    wise = Wise(image_size=8, latent_dim=4, generator_width=8, discriminator_width=16)
    picture = torch.rand(1000, 1, 8, 8) * 0.2 + 0.4
    picture[:, :, 0, 0] = torch.arange(1000)[:, None] % 9  # nothing is taken for 9
    wise.sample = lambda n: picture
    drawn = classes(wise)
    columns = [drawn.crop((x, 0, x + drawn.width // 10, drawn.height)).convert("L") for x in (0, drawn.width * 9 // 10)]
    assert min(columns[1].getdata()) == 255
    assert min(columns[0].getdata()) < 255


def test_without_the_game_there_are_no_samples_to_draw(tmp_path: Path) -> None:
    run(tmp_path, TestError(every=None), game=model(unsupervised=False))
    assert [path.name for path in tmp_path.rglob("*.png")] == ["confusion.png"]


def test_other_models_and_data_without_a_test_are_left_alone(tmp_path: Path) -> None:
    runner = run(tmp_path, TestError(every=1), game=DCGAN(**TINY), data=Digits(image_size=16, batch_size=20))
    assert "test/error" not in runner.callback_metrics
    runner = run(tmp_path, TestError(every=1), data=digits(num_test=0))
    assert "test/error" not in runner.callback_metrics
    assert not list(tmp_path.rglob("*.png"))


def test_missing_test_files_do_not_cost_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MNIST, "load", lambda self: digits().load())
    data = MNIST(root=str(tmp_path), image_size=8, batch_size=20, num_labelled=20)
    runner = run(tmp_path, TestError(every=1), data=data)
    assert runner.global_step == 4
    assert "test/error" not in runner.callback_metrics


def test_a_look_every_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        TestError(every=0)


@pytest.mark.parametrize("size", [2, 10, 40])
def test_a_matrix_of_any_size_is_drawn(size: int) -> None:
    picture = confusion_matrix(torch.eye(size, dtype=torch.int64) * 7, ["T-shirt/top"])
    assert isinstance(picture, Image.Image)
    assert picture.width > 100
