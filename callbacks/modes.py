"""How many modes of the data the generator has found, counted during training where modes are known."""

from typing import Any, Protocol

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors
from typing_extensions import override

from lit_gans import Sampler
from lit_gans.callbacks.draws import drawn
from lit_gans.callbacks.ema import averaged
from lit_gans.callbacks.images import to_uint8
from lit_gans.data.points import PointDataModule
from lit_gans.data.stacked import StackedDataModule
from lit_gans.metrics import modes
from lit_gans.metrics.digits import DigitsClassifier
from lit_gans.metrics.mnist import MNISTClassifier

READERS = {"digits": DigitsClassifier, "mnist": MNISTClassifier}
KERNEL_POINTS = 1000
"""Of each kind that MMD compares: its cost grows with the square."""


class ModeCount(Callback):
    """Publishes ``modes/...`` of samples of the averaged weights, where there are, for data whose modes are known.

    Of points: ``modes/captured``, ``modes/high_quality``, ``modes/reverse_kl``, ``modes/spread``,
    ``modes/sliced_wasserstein``, ``modes/mmd``; of points without width (``data=dirac``) only the distance. Of stacked
    digits, named after the classifier that reads them: ``modes/captured_mnist``, ``modes/reverse_kl_mnist``,
    ``modes/confident_mnist``, or with ``_digits``. :mod:`lit_gans.metrics.modes` says what they are. With any other
    data it does nothing.

    Each process makes its part of the samples. What is drawn depends on the model's seed, the update and the sample's
    place alone, so the scores of a resumed run are those of one that never stopped. Put it before callbacks that choose
    checkpoints by a score.

    Args:
        every: generator updates between counts; None for one count, at the end of training. The end always counts.
        num_points: generated points, and real ones to compare them with.
        num_stacks: generated images of stacked digits. Fewer find fewer modes: compare only counts of equally many.
        batch_size: samples at a time.

    Attributes:
        last: the last scores, and their update.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self, every: int | None = 500, num_points: int = 2500, num_stacks: int = 25_600, batch_size: int = 500
    ) -> None:
        for name, value, least in (
            ("every", every, 1),
            ("num_points", num_points, 2),
            ("num_stacks", num_stacks, 1),
            ("batch_size", batch_size, 1),
        ):
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}.")
        self.every, self.num_points, self.num_stacks, self.batch_size = every, num_points, num_stacks, batch_size
        self.judge: Judge | None = None
        self.last: tuple[dict[str, float], int] | None = None

    # When

    @override
    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        self.judge = self.last = None
        if stage != "fit":
            return
        data: Any = getattr(trainer, "datamodule", None)
        if isinstance(data, PointDataModule):
            self.judge = PointJudge(data, self.num_points)
        elif isinstance(data, StackedDataModule):
            self.judge = StackJudge(data, self.num_stacks)
        else:
            rank_zero_info("Modes are counted where they are known, of points and of stacked digits: not here.")

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        # With several discriminator turns a round, several batches end at the same update.
        step = trainer.global_step
        if self.every is not None and step and step % self.every == 0:
            self._count_once(trainer, pl_module)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.global_step:
            self._count_once(trainer, pl_module)

    @override
    def on_fit_end(self, trainer: Trainer, pl_module: Any) -> None:
        if self.judge is not None and self.last and trainer.is_global_zero:
            scores, step = self.last
            told = [f"{name.removeprefix('modes/')} {value:.4g}" for name, value in scores.items()]
            print(f"modes, of {self.judge.num_modes} at update {step}: {', '.join(told)}")

    # What

    def _count_once(self, trainer: Trainer, model: Sampler) -> None:
        step = trainer.global_step
        if self.judge is None or (self.last and self.last[1] == step):
            return
        device = trainer.strategy.root_device
        device = torch.device("cpu") if device.type == "mps" else device  # which cannot make images smaller
        with averaged(trainer, model):
            batches = drawn(trainer, model, self.judge.num_samples, self.batch_size, "modes", step)
            seen = torch.cat([self.judge.look(samples.to(device)) for samples in batches])
        scores = {f"modes/{name}": value for name, value in self.judge.score(_gathered(seen).cpu()).items()}
        model.publish(scores)
        self.last = (scores, step)

    # Checkpoints

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"last": self.last}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.last = state_dict["last"]


class Judge(Protocol):
    """What looks at samples batch by batch, and scores what it saw of all of them.

    Attributes:
        num_samples: how many it needs.
        num_modes: how many modes there are to find.
    """

    num_samples: int
    num_modes: int

    def look(self, samples: Tensor) -> Tensor:
        """What counts of samples ``(n, ...)``, one row for each, on their device."""

    def score(self, seen: Tensor) -> dict[str, float]:
        """The scores by their names, of the rows of all samples, on the CPU."""


class PointJudge:
    """Of points: in float64 on the CPU, so that the scores are the same on every device.

    Args:
        data: set up.
        num_samples: points of each kind.
    """

    def __init__(self, data: PointDataModule, num_samples: int) -> None:
        self.num_samples, self.num_modes = num_samples, len(data.centres)
        self.centres, self.std = data.centres.double(), data.std
        self.real = data.train_dataset.images(_spaced(num_samples, len(data.train_dataset))).double()

    def look(self, samples: Tensor) -> Tensor:
        return samples

    def score(self, seen: Tensor) -> dict[str, float]:
        fake = seen.double()
        distance = {"sliced_wasserstein": modes.sliced_wasserstein(self.real, fake)}
        if self.std == 0 or len(self.real) < 2:
            return distance
        few, fakes = (points[_spaced(KERNEL_POINTS, len(points))] for points in (self.real, fake))
        scale = modes.median_distance(few)
        mmd = modes.squared_mmd(few, fakes, [scale * factor for factor in modes.BANDWIDTHS])
        return {**modes.point_scores(fake, self.centres, self.std), **distance, "mmd": mmd}


class StackJudge:
    """Of images of stacked digits, by the classifier that their data name.

    Args:
        data: of which the modes are.
        num_samples: images.
    """

    def __init__(self, data: StackedDataModule, num_samples: int) -> None:
        self.num_samples, self.num_modes = num_samples, data.num_classes
        self.name, self.reader = data.reader, READERS[data.reader].pretrained()

    def look(self, samples: Tensor) -> Tensor:
        return modes.read_stacks(self.reader.to(samples.device), to_uint8(samples))

    def score(self, seen: Tensor) -> dict[str, float]:
        return {f"{name}_{self.name}": value for name, value in modes.stack_scores(seen).items()}


def _spaced(count: int, total: int) -> Tensor:
    """At most ``count`` places in ``range(total)``, evenly spaced, so that no mode of a sorted set is left out."""
    count = min(count, total)
    return torch.arange(count) * total // count


def _gathered(rows: Tensor) -> Tensor:
    """The rows of all processes, in their order, on every process."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return rows
    return torch.cat(gather_all_tensors(rows))
