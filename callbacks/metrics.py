"""FID and KID of generated images during training, worked out outside the model so that no checkpoint holds them."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn
from typing_extensions import override

from lit_gans import Sampler
from lit_gans.callbacks.draws import drawn
from lit_gans.callbacks.ema import averaged
from lit_gans.callbacks.images import to_uint8
from lit_gans.data.base import DataModule
from lit_gans.metrics import reals
from lit_gans.metrics.extractors import FeatureExtractor, build_extractor, check_extractor, name_of
from lit_gans.metrics.scores import Scores, Statistics


class GenerativeMetrics(Callback):
    """Publishes ``fid/<extractor>`` and ``kid/<extractor>`` of images made with the averaged weights, where there are.

    Each process makes its part of the images. What is drawn depends on the model's seed, the update and the image's
    place alone, so the scores of a resumed run are those of one that never stopped. Images are rounded to 256 levels
    first. Put it before callbacks that choose checkpoints by a score. Points in the plane are not scored.

    Args:
        every: generator updates between scores; None for one score, at the end of training. The end is always scored.
        num_samples: generated images. FID is biased upwards by few: compare only scores of equally many.
        extractor: as in :func:`lit_gans.metrics.build_extractor`.
        weights_path: of the ``inception`` extractor's weights.
        kid: work out KID too.
        kid_subsets: KID is the mean over so many random subsets.
        kid_subset_size: images in each, or fewer where there are not as many.
        num_real: real images to compare with, evenly spaced over the data set; None for all.
        batch_size: images at a time.
        cache_dir: keeps the real images' statistics between runs; None for ``$XDG_CACHE_HOME/lit_gans``, or
            ``~/.cache/lit_gans``.

    Attributes:
        best: the lowest FID so far and its update.
        last: the last FID and its update.

    Raises:
        ValueError: if an option is out of its range or there is no such extractor; before training, if its weights
            cannot be had.
        FileNotFoundError: before training, if there is no file ``weights_path``.
    """

    def __init__(
        self,
        every: int | None = 500,
        num_samples: int = 2000,
        extractor: str | nn.Module = "digits",
        weights_path: str | None = None,
        kid: bool = True,
        kid_subsets: int = 10,
        kid_subset_size: int = 1000,
        num_real: int | None = 10_000,
        batch_size: int = 250,
        cache_dir: str | None = None,
    ) -> None:
        options = {"every": every, "num_samples": num_samples, "kid_subsets": kid_subsets, "batch_size": batch_size}
        options |= {"kid_subset_size": kid_subset_size, "num_real": num_real}
        for name, value in options.items():
            least = 2 if name in ("num_samples", "kid_subset_size", "num_real") else 1
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}.")
        check_extractor(extractor, weights_path)
        self.every, self.num_samples, self.num_real, self.batch_size = every, num_samples, num_real, batch_size
        self.kid_subsets, self.kid_subset_size = kid_subsets if kid else 0, kid_subset_size
        self.asked_extractor, self.weights_path = extractor, weights_path
        self.cache_dir = reals.default_cache_dir() if cache_dir is None else Path(cache_dir).expanduser()
        self.device = torch.device("cpu")
        self.extractor: FeatureExtractor | None = None
        self.scores: Scores | None = None
        self.best: tuple[float, int] | None = None
        self.last: tuple[float, int] | None = None

    # When

    @override
    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Finds out what cannot work before training starts."""
        self.extractor = self.scores = self.best = self.last = None
        if stage != "fit":
            return
        data = _data_of(trainer)
        if len(data.shape) != 3:
            rank_zero_info(f"FID looks at images: samples of the shape {data.shape} are not scored.")
            return
        with torch.random.fork_rng(devices=[]):
            self.extractor = build_extractor(self.asked_extractor, self.weights_path, data.shape)

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        if self.extractor is None:
            return
        device = trainer.strategy.root_device
        # The sums are float64, which Apple's GPUs do not have.
        self.device = torch.device("cpu") if device.type == "mps" else device
        self.extractor.to(self.device)
        real = self._real_statistics(trainer, self.extractor)
        size = min(self.kid_subset_size, len(real.features), self.num_samples)
        if self.kid_subsets and size < self.kid_subset_size:
            rank_zero_info(f"KID compares subsets of {size} images, not {self.kid_subset_size}: there are no more.")
        part = real.share(trainer.global_rank, trainer.world_size)
        self.scores = Scores(part, kid_subsets=self.kid_subsets, kid_subset_size=size)

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        # With several discriminator turns a round, several batches end at the same update.
        step = trainer.global_step
        if self.every is not None and step and step % self.every == 0:
            self._score_once(trainer, pl_module)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.global_step:
            self._score_once(trainer, pl_module)

    @override
    def on_fit_end(self, trainer: Trainer, pl_module: Any) -> None:
        if self.extractor is not None and self.best and self.last and trainer.is_global_zero:
            (best, best_at), (last, last_at) = self.best, self.last
            print(
                f"fid/{self.extractor.name}: best {best:.4g} at update {best_at}, last {last:.4g} at update {last_at}"
            )

    # What

    def _score_once(self, trainer: Trainer, model: Sampler) -> None:
        step = trainer.global_step
        if self.extractor is None or self.scores is None or (self.last and self.last[1] == step):
            return
        with averaged(trainer, model):
            fake = self._fake_features(trainer, model, self.extractor)
        scores = model.keyed(partial(self.scores.score, fake), "metrics", "subsets", step)
        model.publish({f"{score}/{self.extractor.name}": value for score, value in scores.items()})
        self.last = (scores["fid"], step)
        self.best = min(self.best or self.last, self.last)

    def _fake_features(self, trainer: Trainer, model: Sampler, extractor: FeatureExtractor) -> Tensor:
        """Features ``(N, D)`` of this process's part of the images."""
        batches = drawn(trainer, model, self.num_samples, self.batch_size, "metrics", trainer.global_step)
        return torch.cat([extractor(to_uint8(images).to(self.device)) for images in batches])

    def _real_statistics(self, trainer: Trainer, extractor: FeatureExtractor) -> Statistics:
        data, strategy = _data_of(trainer), trainer.strategy
        num_real = min(self.num_real or len(data.train_dataset), len(data.train_dataset))
        kept = min(self.num_samples, num_real) if self.kid_subsets else 0
        found = None
        if trainer.is_global_zero:
            path = reals.cache_path(self.cache_dir, data.content_hash(), extractor, num_real, kept)
            found = reals.read(path)
        found = strategy.broadcast(found)
        if found is None:
            rank_zero_info(f"Looking at {num_real:,} real images for fid/{extractor.name}; later runs will know them.")
            found = reals.measure(
                data.train_dataset,
                extractor,
                num_real=num_real,
                num_kept=kept,
                batch_size=self.batch_size,
                device=self.device,
                rank=trainer.global_rank,
                world_size=trainer.world_size,
            ).gathered()
            if trainer.is_global_zero:
                reals.write(path, found)
        return found.to(self.device)

    # Checkpoints

    @property
    @override
    def state_key(self) -> str:
        """One for each extractor, so that a trainer may have several."""
        return self._generate_state_key(extractor=name_of(self.asked_extractor))

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "last": self.last}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.last = state_dict["best"], state_dict["last"]


def _data_of(trainer: Trainer) -> DataModule:
    """The data module, which has the real images.

    Raises:
        ValueError: if it is not one of ours, or has less than two samples.
    """
    data = getattr(trainer, "datamodule", None)
    if not isinstance(data, DataModule):
        raise ValueError(
            "GenerativeMetrics takes the real images from the data module: fit with `datamodule=` one of lit_gans.data "
            f"(got {type(data).__name__}), or leave this callback out."
        )
    if len(data.train_dataset) < 2:
        raise ValueError("FID needs at least 2 real images, the data set has 1: leave GenerativeMetrics out.")
    return data
