"""A game whose outcome makes samples: what pictures, scores, averages and checkpoints go by."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lit_gans.game import Batch, Game

REMEMBERED_CONDITIONS = 1024
AT_ONCE = 256
"""Samples that a network is given at once after training."""


class Sampler(Game):
    """Maps latents, and conditions where there are any, to samples by ``forward``, and knows how it was made.

    Args:
        rest: options of :class:`lit_gans.game.Game`.
    """

    has_labels: bool = False
    """Whether the discriminator's loss compares its logits with labels, which ``real_target`` then is for real ones."""

    learns_labels: bool = False
    """Whether a round looks at labelled samples, too: :class:`lit_gans.data.order.LabelledOrder` hands them out."""

    averaged_networks: tuple[str, ...] = ("generator",)
    """The attributes whose weights are used after training: what an exponential moving average averages."""

    def __init__(self, **rest: Any) -> None:
        super().__init__(**rest)
        self.sample_shape: tuple[int, ...] | None = None
        self.remembered_conditions: Tensor | None = None
        self.views: dict[str, dict[str, Any]] = {}  # what `sample` must be given to show more of the same, by name

    def sample_latent(self, n: int) -> Tensor:
        """The prior: ``(n, ...)``."""
        raise NotImplementedError(f"{type(self).__name__} must define sample_latent.")

    def condition(self, batch: Batch) -> Tensor | None:
        """What of a batch conditions both networks; None for an unconditional model."""
        return None

    def finished_networks(self) -> tuple[str, ...]:
        """Those of :attr:`averaged_networks` that no update will move any more: they take on their averages."""
        return ()

    # Data

    @override
    def prepare(self, batch: Batch) -> Batch:
        """Makes uint8 images floats in [-1, 1], on the device."""
        images = {name: self.floats(value) for name, value in batch.items() if name.endswith("image")}
        for name, image in images.items():
            if image.dim() == 4:
                images[name] = image.contiguous(memory_format=torch.channels_last)
        batch = {**batch, **images}
        if self.remembered_conditions is None or len(self.remembered_conditions) < REMEMBERED_CONDITIONS:
            self.remember(self.condition(batch))
        return batch

    def floats(self, image: Tensor) -> Tensor:
        """In [-1, 1] and of the weights' type, of uint8; what is no uint8 only changes its type."""
        return image.to(self.float_type) / 127.5 - 1 if image.dtype == torch.uint8 else image.to(self.float_type)

    def remember(self, condition: Tensor | None) -> None:
        """Keeps the data's first conditions, for samples that are asked for without one."""
        if condition is not None:
            known = [] if self.remembered_conditions is None else [self.remembered_conditions]
            self.remembered_conditions = torch.cat([*known, condition.detach().cpu()])[:REMEMBERED_CONDITIONS]

    # Use

    @property
    def float_type(self) -> torch.dtype:
        """The type of the weights, which latents and images take."""
        return next(self.parameters()).dtype

    def sample_condition(self, n: int) -> Tensor | None:
        """Conditions for ``n`` samples, drawn from the training data's own; None for an unconditional model."""
        known = self.remembered_conditions
        return None if known is None else known[torch.randint(len(known), (n,))].to(self.device)

    @torch.no_grad()
    def sample(self, n: int, *, latent: Tensor | None = None, condition: Tensor | None = None, **more: Any) -> Tensor:
        """Generated samples, in eval mode.

        Args:
            n: how many.
            latent: ``(n, latent_dim)``; drawn from the prior if not given.
            condition: ``(n, ...)``; drawn from the data's own if not given.
            more: what else ``forward`` takes; tensors ``(n, ...)``.

        Returns:
            ``(n, C, H, W)`` in [-1, 1].
        """
        if n < 1:
            raise ValueError(f"The number of samples must be at least 1, got {n}.")
        latent = self.sample_latent(n) if latent is None else latent.to(self.device, self.float_type)
        condition = self.sample_condition(n) if condition is None else condition
        tensors = {"latent": latent, "condition": condition, **more}
        rest = {name: tensors.pop(name) for name, value in list(tensors.items()) if not isinstance(value, Tensor)}
        parts = [slice(start, start + AT_ONCE) for start in range(0, n, AT_ONCE)]
        cut = ({name: value[part].to(self.device) for name, value in tensors.items()} for part in parts)
        with self.in_eval_mode():
            return torch.cat([self(**part, **rest) for part in cut])

    @contextmanager
    def in_eval_mode(self) -> Iterator[None]:
        """Within it all modules are in eval mode; each in its own again afterwards."""
        modes = {module: module.training for module in self.modules()}
        self.eval()
        try:
            yield
        finally:
            for module, training in modes.items():
                module.training = training

    # Lightning

    @override
    def setup(self, stage: str) -> None:
        super().setup(stage)
        data = getattr(self.trainer, "datamodule", None)
        if data is not None and self.trainer.lightning_module is self:  # it is whole
            self.check_data(data)

    def check_data(self, data: Any) -> None:
        """Makes sure that it can be trained on these data.

        Args:
            data: a data module that is set up.

        Raises:
            ValueError: if it cannot.
        """
        shape = getattr(data, "shape", None)
        if shape is not None and self.sample_shape is not None and tuple(shape) != self.sample_shape:
            raise ValueError(
                f"The data's samples have the shape {tuple(shape)}, but {type(self).__name__} makes "
                f"{self.sample_shape}."
            )

    @classmethod
    def recipe(cls) -> dict[str, Any]:
        """Import paths of the model and its tricks, from which :func:`lit_gans.load` makes the class again."""
        return {"model": f"{cls.__module__}:{cls.__qualname__}", "tricks": []}

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["recipe"] = self.recipe()
        checkpoint["remembered_conditions"] = self.remembered_conditions

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.remembered_conditions = checkpoint["remembered_conditions"]
