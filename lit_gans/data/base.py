"""What every data module shares: batches of all devices together, in an order that a resumed run continues exactly."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any

import lightning
import torch
from lightning.pytorch.accelerators import CUDAAccelerator
from torch import Tensor
from torch.utils.data import DataLoader
from typing_extensions import override

from lit_gans.data.captions import Captions, told
from lit_gans.data.labels import few_labels
from lit_gans.data.layout import listed
from lit_gans.data.order import ExactOrder, LabelledOrder, ResumableLoader, keyed_generator
from lit_gans.data.samples import Batch, InMemory, Samples

MOST_WORKERS = 4
"""Of the automatic number: decoding seldom needs more to keep up with a GAN's step."""


class DataModule(lightning.LightningDataModule, ABC):
    """Samples for training, and the one integer that says how far training has come.

    ``batches_seen`` counts a batch when training consumes it, not when a worker fetches it. The order is a function of
    ``seed`` and ``batches_seen`` alone (:class:`lit_gans.data.order.ExactOrder`), so that a run stopped anywhere goes
    on with the batches it would have seen.

    Args:
        batch_size: of all devices together.
        num_workers: processes that fetch samples; None for none where the data is in memory, else up to 4 with one core
            left for training.
        seed: of the order, and of everything drawn.

    Attributes:
        train_dataset: whole batches by ``__getitems__(indices)``; there after ``setup``.
        batches_seen: batches consumed since training began.

    Raises:
        ValueError: if an option is out of its range.
    """

    train_dataset: Samples

    def __init__(self, *, batch_size: int = 64, num_workers: int | None = None, seed: int = 0) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"data.batch_size must be at least 1, got {batch_size}.")
        if num_workers is not None and num_workers < 0:
            raise ValueError(f"data.num_workers must be at least 0, or null for automatic, got {num_workers}.")
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        self.batches_seen = 0

    # What a data set says

    @abstractmethod
    def load(self) -> Samples:
        """Makes the training set."""

    def load_test(self) -> Samples | None:
        """Makes the test set, of samples that are not in the training set; None where there is none.

        Raises:
            FileNotFoundError: if its files are not there.
        """
        return None

    def told(self, labels: Tensor | None) -> Tensor | None:
        """The labels of the training set that training is told; -1 for the others."""
        return labels

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of one sample, without N."""

    @property
    @abstractmethod
    def class_names(self) -> list[str]:
        """One name for each label; empty where there are no labels."""

    @abstractmethod
    def describe(self) -> str:
        """What was found, for a person: count, sizes, classes. After ``setup``."""

    @property
    def num_classes(self) -> int:
        """How many labels; 0 for none."""
        return len(self.class_names)

    def content_hash(self) -> str:
        """Hexadecimal, of the samples as the model sees them, unflipped. After ``setup``."""
        return self.train_dataset.content_hash()

    # Lightning

    @override
    def setup(self, stage: str) -> None:
        if not hasattr(self, "train_dataset"):
            self.train_dataset = self.load()
            self.train_dataset.labels = self.told(self.train_dataset.labels)
        self.check_batch_size()
        if self.trainer is not None and stage == "fit":
            # A new model begins at the beginning; one that trained before goes on; a checkpoint, loaded next, decides.
            self.batches_seen = getattr(self.trainer.lightning_module, "batches_seen", 0)

    def read_captions(self, embeddings_of: Callable[[Samples], Tensor]) -> None:
        """Gives the training set the embeddings that a model makes of its captions, or of the names of its classes."""
        samples = self.train_dataset
        if samples.captions is None and samples.labels is not None and self.class_names:
            names = [*self.class_names, "unlabelled"]  # the last is what -1 points at
            samples.captions = Captions([[names[label]] for label in samples.labels.tolist()], samples.labels)
        if samples.captions is not None:
            samples.embeddings = embeddings_of(samples)

    @property
    def place(self) -> tuple[int, int]:
        """This process's rank, and how many there are."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def check_batch_size(self) -> None:
        """Refuses a batch that the data set cannot fill or the devices cannot share."""
        if self.batch_size > len(self.train_dataset):
            raise ValueError(
                f"data.batch_size is {self.batch_size}, but the data set has only {len(self.train_dataset):,} samples: "
                f"use data.batch_size={len(self.train_dataset)} or less."
            )
        _, devices = self.place
        if self.batch_size % devices:
            below = self.batch_size - self.batch_size % devices
            raise ValueError(
                f"data.batch_size counts the samples of all devices together: {self.batch_size} cannot be shared "
                f"equally by {devices}. Use a multiple, such as {below or devices} or {below + devices}."
            )

    @override
    def train_dataloader(self) -> ResumableLoader:
        rank, world_size = self.place
        workers = self.workers()
        order = self.order(
            self.train_dataset,
            batch_size=self.batch_size,
            position=lambda: self.batches_seen,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
        )
        return ResumableLoader(
            self.train_dataset,
            batch_size=self.batch_size // world_size * order.samples_per_place,
            sampler=order,
            drop_last=True,
            num_workers=workers,
            persistent_workers=workers > 0,
            collate_fn=order.collate,
            pin_memory=self.trainer is not None and isinstance(self.trainer.accelerator, CUDAAccelerator),
            generator=torch.Generator(),  # or every epoch would draw from the global random state
        )

    @property
    def order(self) -> type[ExactOrder]:
        """How batches are numbered off the data set: with labelled ones, for a model that learns from labels."""
        learns = getattr(getattr(self.trainer, "lightning_module", None), "learns_labels", False)
        return LabelledOrder if learns and self.train_dataset.labels is not None else ExactOrder

    @override
    def test_dataloader(self) -> DataLoader[Any]:
        """Batches of the test set in its order, the same on every device.

        Raises:
            ValueError: if there is no test set.
        """
        if self.test_dataset is None:
            raise ValueError(f"{type(self).__name__} has no test set{self.how_to_test}.")
        return DataLoader(self.test_dataset, self.batch_size, collate_fn=ExactOrder.collate)

    how_to_test: str = ""
    """How a sentence goes on that says that there is no test set."""

    @cached_property
    def test_dataset(self) -> Samples | None:
        """Made when it is asked for."""
        return self.load_test()

    def workers(self) -> int:
        """How many processes fetch samples."""
        if self.num_workers is not None:
            return self.num_workers
        if isinstance(self.train_dataset, InMemory):
            return 0
        devices = 1 if self.trainer is None else self.trainer.num_devices
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, min(MOST_WORKERS, cores // devices - 1))

    @override
    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        if self.trainer is not None and self.trainer.training:
            batch = self.augment(batch)
            self.batches_seen += 1
        return batch

    def augment(self, batch: Batch) -> Batch:
        """The batch with what training draws for it, on the device, keyed by ``batches_seen``.

        Of the captions of an image some are drawn, whose mean is ``text`` ``(N, E)``.
        """
        if "texts" not in batch:
            return batch
        texts = batch["texts"]
        rest = {name: values for name, values in batch.items() if name != "texts"}
        return {**rest, "text": told(texts, self.draw("captions", *texts.shape[:2]))}

    def draw(self, name: str, *shape: int) -> Tensor:
        """Numbers from U(0, 1) for this device's part of a batch: drawn for all together, however many share it."""
        rank, world_size = self.place
        generator = keyed_generator(self.seed, name, self.batches_seen)
        return torch.rand(world_size, *shape, generator=generator)[rank]

    @override
    def state_dict(self) -> dict[str, Any]:
        """The number of batches that training has done with: one that was interrupted is seen again."""
        if self.trainer is None:
            return {"batches_seen": self.batches_seen}
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress.current
        return {"batches_seen": self.batches_seen - (progress.ready - progress.processed)}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.batches_seen = state_dict["batches_seen"]


class ImageDataModule(DataModule):
    """Images ``(N, image_channels, image_size, image_size)`` uint8, flipped on the device if asked for.

    Args:
        image_size: pixels of a side.
        image_channels: 1 for grey, 3 for RGB.
        flip: mirror each image left to right with probability 1/2.
        num_labelled: labels that training is told, as many of each class, chosen by the seed; the others are -1. None
            for all there are.
        rest: options of :class:`DataModule`.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self,
        *,
        image_size: int = 32,
        image_channels: int = 3,
        flip: bool = False,
        num_labelled: int | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        if image_size < 1:
            raise ValueError(f"data.image_size must be at least 1 pixel, got {image_size}.")
        if image_channels not in (1, 3):
            raise ValueError(f"data.image_channels must be 1 (grey) or 3 (RGB), got {image_channels}.")
        self.image_size, self.image_channels, self.flip = image_size, image_channels, flip
        self.num_labelled = num_labelled

    @override
    def told(self, labels: Tensor | None) -> Tensor | None:
        return (
            labels if self.num_labelled is None else few_labels(labels, self.num_labelled, self.class_names, self.seed)
        )

    @property
    @override
    def shape(self) -> tuple[int, ...]:
        return (self.image_channels, self.image_size, self.image_size)

    @override
    def describe(self) -> str:
        kind = "grey" if self.image_channels == 1 else "RGB"
        size = f"{self.image_size}x{self.image_size}"
        classes = f", {self.num_classes} classes ({listed(self.class_names)})" if self.num_classes else ""
        labels = self.train_dataset.labels
        known = len(self.train_dataset) if labels is None else int((labels >= 0).sum())
        told = f", {known:,} of them labelled" if known < len(self.train_dataset) else ""
        return f"{type(self).__name__}: {len(self.train_dataset):,} {kind} images of {size} pixels{classes}{told}."

    @override
    def augment(self, batch: Batch) -> Batch:
        batch = super().augment(batch)
        if not self.flip:
            return batch
        turned = dict(batch)
        for name in (name for name in batch if name.endswith("image")):
            image = batch[name]
            flipped = (self.draw(f"flip {name}", len(image)) < 0.5).to(image.device)[:, None, None, None]
            turned[name] = torch.where(flipped, image.flip(-1), image)
        return turned
