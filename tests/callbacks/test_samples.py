"""The grids of a run: when, of which weights, what is on disk and what the loggers get."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from lit_gans import GAN
from lit_gans.callbacks.ema import EMA
from lit_gans.callbacks.images import grid, plane
from lit_gans.callbacks.samples import SampleGrid
from lit_gans.data import Digits
from lit_gans.models import DCGAN, MLPGAN, StackGAN
from tests.conftest import TINY, fit, images, trainer

Make = Callable[..., DCGAN]
BATCH = 8
SAME = images(BATCH) * 12


class Album(Logger):
    """Keeps the pictures it is given."""

    name, version = "album", 0

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[tuple[str, int, Image.Image]] = []
        self.tables: list[tuple[str, int, list[str], list[Image.Image]]] = []

    def log_image(self, key: str, images: list[Image.Image], step: int) -> None:
        self.pictures += [(key, step, image) for image in images]

    def log_captions(self, key: str, captions: list[str], images: list[Image.Image], step: int) -> None:
        self.tables.append((key, step, captions, images))

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None: ...

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None: ...


class Data(lightning.LightningDataModule):
    """Batches from a data set that knows its reals."""

    def __init__(self, dataset: Any) -> None:
        super().__init__()
        self.train_dataset = dataset

    def train_dataloader(self) -> Any:
        many = hasattr(self.train_dataset, "__getitems__")
        return DataLoader(self.train_dataset, BATCH, drop_last=True, collate_fn=(lambda batch: batch) if many else None)


class Points:
    """Points on a line, fetched many at a time."""

    def __len__(self) -> int:
        return 96

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"image": torch.tensor([index / 48 - 1, 0.5])}

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        return {"image": torch.stack([self[i]["image"] for i in indices])}


def names(folder: Path, pattern: str = "**/*") -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.glob(pattern) if path.is_file())


def same(path: Path, picture: Image.Image) -> bool:
    with Image.open(path) as shown:
        return shown.mode == picture.mode and shown.size == picture.size and shown.tobytes() == picture.tobytes()


class Weights(Callback):
    """Keeps a copy of the raw and of the averaged generator after every update."""

    def __init__(self, ema: EMA | None = None) -> None:
        self.ema = ema
        self.raw: dict[int, Any] = {}
        self.averaged: dict[int, Any] = {}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        # The first batch that ends with it: the discriminator's next turns move the generator's running statistics.
        self.raw.setdefault(trainer.global_step, deepcopy(pl_module.generator))
        if self.ema:
            self.averaged.setdefault(trainer.global_step, deepcopy(self.ema.averages["generator"]))


def expected(model: GAN, generator: torch.nn.Module, samples: SampleGrid) -> Image.Image:
    twin = deepcopy(model)
    twin.generator = generator
    return grid(twin.sample(len(samples.latent), latent=samples.latent, condition=samples.condition), samples.columns)


@pytest.mark.parametrize("n_critic", [1, 3])
def test_grids_of_average_and_raw_weights_on_disk_and_in_the_logger(tiny: Make, tmp_path: Path, n_critic: int) -> None:
    model, ema, samples, album = tiny(n_critic=n_critic), EMA(200, None), SampleGrid(every=3, n=10), Album()
    weights = Weights(ema)
    fit(
        model,
        images(BATCH * 7 * n_critic),
        max_epochs=1,
        default_root_dir=tmp_path,
        logger=album,
        callbacks=[ema, samples, weights],
    )
    steps = [1, 3, 6, 7]
    files = [f"samples/{kind}step_{step:06d}.png" for kind in ("", "raw/") for step in steps]
    assert names(tmp_path) == sorted(["progress.gif", *files])
    logged = {(key, step): picture for key, step, picture in album.pictures}
    assert len(album.pictures) == len(logged) == 8
    for step in steps:
        # The picture of update N is of the average that includes update N.
        for key, kind, kept in (("samples", "", weights.averaged), ("samples_raw", "raw/", weights.raw)):
            path = tmp_path / f"samples/{kind}step_{step:06d}.png"
            assert same(path, logged[key, step])
            assert same(path, expected(model, kept[step], samples))
        assert logged["samples", step].tobytes() != logged["samples_raw", step].tobytes()
    with Image.open(tmp_path / "progress.gif") as film:
        assert film.n_frames == 4


def test_without_an_average_there_are_raw_grids_only(tiny: Make, tmp_path: Path) -> None:
    model, samples, weights = tiny(), SampleGrid(every=4, n=4), Weights()
    fit(model, images(BATCH * 4), max_epochs=1, default_root_dir=tmp_path, callbacks=[samples, weights])
    assert names(tmp_path) == ["progress.gif", "samples/step_000001.png", "samples/step_000004.png"]
    assert same(tmp_path / "samples/step_000004.png", expected(model, weights.raw[4], samples))


def test_drawing_does_not_disturb_training(tiny: Make, tmp_path: Path) -> None:
    alone, watched = tiny(num_classes=10), tiny(num_classes=10)
    fit(alone, images(48), max_epochs=1)
    fit(watched, images(48), max_epochs=1, default_root_dir=tmp_path, callbacks=[EMA(), SampleGrid(every=1)])
    assert all(
        torch.equal(a, b) for a, b in zip(alone.state_dict().values(), watched.state_dict().values(), strict=True)
    )


def test_each_column_is_a_class(tiny: Make, tmp_path: Path) -> None:
    model, samples = tiny(num_classes=10), SampleGrid(every=4, n=64)
    fit(model, SAME, max_epochs=1, default_root_dir=tmp_path, callbacks=[samples])
    assert samples.columns == 10
    assert samples.condition.tolist() == list(range(10)) * 6
    assert len(samples.latent) == 60
    with Image.open(tmp_path / "samples/step_000004.png") as picture:
        assert picture.size == (10 * 16 * 4 + 11 * 2, 6 * 16 * 4 + 7 * 2)


def test_labels_of_many_classes_or_of_an_unknown_number_are_in_order(tiny: Make, tmp_path: Path) -> None:
    many, unknown = SampleGrid(n=20), SampleGrid(n=20)
    fit(tiny(num_classes=30), SAME, max_steps=1, default_root_dir=tmp_path, callbacks=[many])
    assert (many.columns, many.condition.tolist()) == (5, list(range(20)))

    class Labelled(DCGAN):
        def build(self) -> None:
            super().build()
            self.num_classes = 0

        def condition(self, batch: Any) -> Tensor:
            return batch["label"]

    fit(Labelled(**TINY, num_classes=10), SAME, max_steps=1, default_root_dir=tmp_path, callbacks=[unknown])
    labels = unknown.condition.tolist()
    assert labels == sorted(labels)
    assert 3 < len(set(labels)) <= 8


@pytest.mark.parametrize("n_critic", [1, 2])
def test_a_resumed_run_goes_on_with_the_same_grid(tiny: Make, tmp_path: Path, n_critic: int) -> None:
    options = {"num_classes": 10, "n_critic": n_critic}
    for part, steps in (("straight", 6), ("resumed", 3)):
        runner = trainer(
            max_steps=steps, default_root_dir=tmp_path / part, callbacks=[EMA(), SampleGrid(every=3, n=20)]
        )
        runner.fit(tiny(**options), DataLoader(SAME, BATCH))
    runner.save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
    state = torch.load(tmp_path / "a.ckpt", weights_only=True)["callbacks"]["SampleGrid"]
    assert (state["drawn"], state["columns"], len(state["latent"])) == (3, 10, 20)
    # Another seed would draw another latent: the checkpoint's is used.
    again, album = SampleGrid(every=3, n=20), Album()
    runner = trainer(max_steps=6, default_root_dir=tmp_path / "resumed", logger=album, callbacks=[EMA(), again])
    runner.fit(tiny(**options), DataLoader(SAME, BATCH), ckpt_path=tmp_path / "a.ckpt")
    assert [(key, step) for key, step, _ in album.pictures] == [("samples", 6), ("samples_raw", 6)]
    assert torch.equal(again.latent, state["latent"])
    for name in names(tmp_path / "straight", "samples/**/*"):
        assert (tmp_path / "straight" / name).read_bytes() == (tmp_path / "resumed" / name).read_bytes()


def test_points_are_scattered_over_the_real_ones(tmp_path: Path) -> None:
    model, samples, album = (
        MLPGAN(generator_hidden=[8], discriminator_hidden=[8]),
        SampleGrid(every=5, points=50),
        Album(),
    )
    runner = trainer(max_steps=5, default_root_dir=tmp_path, logger=album, callbacks=[samples])
    runner.fit(model, Data(Points()))
    assert names(tmp_path) == ["progress.gif", "reals.png", "samples/step_000001.png", "samples/step_000005.png"]
    assert [key for key, _, _ in album.pictures] == ["reals", "samples", "samples"]
    fake = model.sample(50, latent=samples.latent)
    assert not same(tmp_path / "samples/step_000005.png", plane(fake))
    real = samples._reals(runner, model)
    assert sorted(set(real[:, 1].tolist())) == [0.5]
    assert len(real) == len({float(x) for x in real[:, 0]}) == 50
    assert same(tmp_path / "samples/step_000005.png", plane(fake, real))
    assert same(tmp_path / "reals.png", plane(None, real))


def test_reals_are_drawn_once(tiny: Make, tmp_path: Path) -> None:
    samples, album = SampleGrid(every=1, n=9), Album()
    runner = trainer(max_steps=3, default_root_dir=tmp_path, logger=album, callbacks=[samples])
    runner.fit(tiny(), Data(images(40)))
    (picture,) = [picture for key, _, picture in album.pictures if key == "reals"]
    assert same(tmp_path / "reals.png", picture)
    whole = {image["image"].numpy().tobytes() for image in images(40)}
    tile, factor = 16 * 11, 11
    shown = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(picture.height, picture.width)
    for i in range(9):
        top, left = 2 + i // 3 * (tile + 2), 2 + i % 3 * (tile + 2)
        whole.remove(shown[top : top + tile : factor, left : left + tile : factor].contiguous().numpy().tobytes())


def test_films_are_made_now_and_then_and_of_this_run_only(tiny: Make, tmp_path: Path, monkeypatch: Any) -> None:
    films: list[list[str]] = []
    monkeypatch.setattr(
        "lit_gans.callbacks.samples.animate", lambda paths, target: films.append([path.stem for path in paths])
    )
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "step_1000000.png").touch()  # of a run that had come further
    fit(tiny(), SAME, max_steps=10, default_root_dir=tmp_path, callbacks=[SampleGrid(every=1, n=1)])
    assert [len(film) for film in films] == [1, 2, 4, 8, 10]
    assert films[-1] == [f"step_{step:06d}" for step in range(1, 11)]


def test_a_film_that_cannot_be_made_costs_a_warning(tiny: Make, tmp_path: Path) -> None:
    (tmp_path / "progress.gif").mkdir()
    samples = SampleGrid(every=1, n=1)
    samples._draw = lambda *_: setattr(samples, "drawn", 1)  # type: ignore[method-assign]
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "step_000001.png").write_text("no picture")
    with pytest.warns(UserWarning, match=r"progress\.gif could not be written: UnidentifiedImageError"):
        fit(tiny(), SAME, max_steps=1, default_root_dir=tmp_path, callbacks=[samples])


@pytest.mark.parametrize("option", ["every", "n", "points"])
def test_options_out_of_range_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match=rf"{option} must be at least 1, got 0"):
        SampleGrid(**{option: 0})


@pytest.mark.parametrize("shape", [[3], [2, 8, 8], [8, 8]])
def test_samples_that_cannot_be_drawn_are_refused(tmp_path: Path, shape: list[int]) -> None:
    with pytest.raises(ValueError, match=r"but MLPGAN makes samples of the shape \(.*\): leave it out"):
        fit(MLPGAN(sample_shape=shape), SAME, max_steps=1, default_root_dir=tmp_path, callbacks=[SampleGrid()])


def test_texts_and_their_images_go_to_loggers_that_take_tables(tmp_path: Path) -> None:
    album, plain = Album(), Album()
    model = StackGAN(
        **{"image_size": 16, "image_channels": 1, "generator_width": 4, "discriminator_width": 4, "latent_dim": 4},
        **{"c_dim": 4, "residual_blocks": 1, "stage_steps": [1, 1], "text_encoder": {"name": "bag_of_words", "dim": 8}},
    )
    runner = trainer(max_steps=2, max_epochs=-1, logger=album, default_root_dir=tmp_path, callbacks=[SampleGrid(n=4)])
    runner.fit(model, Digits(image_size=16, batch_size=8))
    assert [(key, step) for key, step, *_ in album.tables] == [("captions", 1), ("captions", 2)]
    _, _, captions, pictures = album.tables[-1]
    assert len(captions) == len(pictures) == 4
    assert set(captions) <= set("0123456789")
    options = {"logger": plain, "default_root_dir": tmp_path, "callbacks": [SampleGrid()]}
    fit(DCGAN(**TINY), images(BATCH), BATCH, max_epochs=1, **options)
    assert not plain.tables
