"""The average of the generator's weights over training: what is shown and measured, while the raw ones train on."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn
from typing_extensions import override

from lit_gans import Sampler


class EMA(Callback):
    """Averages the networks ``model.averaged_networks`` after every generator update; buffers are copied.

    average = beta * average + (1 - beta) * weights, beta = 0.5 ** (images since the last update / half-life), the
    half-life in images, and in the beginning a share of the images seen so far (Karras et al. 2020, arXiv 2006.06676).
    The model keeps its raw weights as long as they train: a network that no update will move any more, such as a
    stage's whose turn is over, takes on its average. Checkpoints hold the average besides, under ``ema``. Put it before
    every callback that uses the average: pictures and scores of update N are then those of the average that includes
    update N.

    Args:
        half_life: images after which old weights count half.
        ramp_up: the half-life is at most this share of the images seen; None for the full half-life from the start.

    Raises:
        ValueError: if an option is not above 0.
    """

    def __init__(self, half_life: float = 10_000, ramp_up: float | None = 0.05) -> None:
        for name, value in (("half_life", half_life), ("ramp_up", ramp_up)):
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be above 0, got {value}.")
        self.half_life, self.ramp_up = half_life, ramp_up
        self.averages: dict[str, nn.Module] = {}
        self.step = self.images_seen = 0
        self._finished: tuple[str, ...] = ()
        self._loaded: dict[str, dict[str, Tensor]] | None = None
        self._parameters: tuple[list[Tensor], list[Tensor]] = ([], [])
        self._buffers: list[tuple[nn.Module, nn.Module, str]] = []

    # What others use

    @contextmanager
    def swapped(self, model: Sampler) -> Iterator[None]:
        """Within it the model's networks are their averages; without a fit before, nothing is swapped."""
        raw = {name: model.get_submodule(name) for name in self.averages}
        try:
            for name, average in self.averages.items():
                _replace(model, name, average.to(model.device))
            yield
        finally:
            for name, network in raw.items():
                _replace(model, name, network)

    # Averaging

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        networks = {name: pl_module.get_submodule(name) for name in pl_module.averaged_networks}
        self.averages = {name: deepcopy(network).eval().requires_grad_(False) for name, network in networks.items()}
        for average in self.averages.values():
            average.zero_grad()  # a network that was trained before was copied with its last gradients
        if self._loaded is None:
            self.images_seen = pl_module.images_seen
        elif self._loaded.keys() != networks.keys():
            raise ValueError(
                f"The checkpoint has averages of {', '.join(self._loaded)}, the model has {', '.join(networks)}."
            )
        for name, weights in (self._loaded or {}).items():
            self.averages[name].load_state_dict(weights)
        self._loaded = None
        self._pair(networks)

    def _pair(self, networks: dict[str, nn.Module]) -> None:
        """Looks up once what each update needs: parameters by name, and which modules have which buffers."""
        self._parameters, self._buffers = ([], []), []
        for name, network in networks.items():
            average = self.averages[name]
            for path, parameter in network.named_parameters():
                self._parameters[0].append(average.get_parameter(path))
                self._parameters[1].append(parameter)
            for path, _ in network.named_buffers():
                # The module and not the tensor: a layer may put a new tensor in a buffer's place.
                owner, _, key = path.rpartition(".")
                self._buffers.append((average.get_submodule(owner), network.get_submodule(owner), key))

    @override
    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.step = trainer.global_step

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        # With several discriminator turns a round, most batches end without a generator update.
        if trainer.global_step != self.step:
            self.step = trainer.global_step
            self._update(pl_module.images_seen)
        if self._finished != (finished := pl_module.finished_networks()):
            self._finished = finished
            for name in finished:
                pl_module.get_submodule(name).load_state_dict(self.averages[name].state_dict())

    @torch.no_grad()
    def _update(self, images_seen: int) -> None:
        half_life = self.half_life if self.ramp_up is None else min(self.half_life, self.ramp_up * images_seen)
        beta = 0.5 ** ((images_seen - self.images_seen) / half_life)
        self.images_seen = images_seen
        torch._foreach_lerp_(*self._parameters, 1 - beta)
        if self._buffers:
            ours, theirs = ([side[i].get_buffer(key) for *side, key in self._buffers] for i in (0, 1))
            torch._foreach_copy_(ours, theirs)

    # Checkpoints

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"images_seen": self.images_seen}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.images_seen = state_dict["images_seen"]

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["ema"] = {name: average.state_dict() for name, average in self.averages.items()}

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self._loaded = checkpoint.get("ema")
        if not self._loaded:
            self._loaded = None
            rank_zero_info("The checkpoint has no averaged weights: the average starts from the weights it has.")


def find_ema(trainer: Trainer) -> EMA | None:
    """The trainer's EMA callback."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return next((callback for callback in callbacks if isinstance(callback, EMA)), None)


def averaged(trainer: Trainer, model: Sampler) -> AbstractContextManager[None]:
    """Within it the model's networks are their averages if the trainer has an :class:`EMA`, else as they are."""
    ema = find_ema(trainer)
    return nullcontext() if ema is None else ema.swapped(model)


def _replace(model: nn.Module, name: str, network: nn.Module) -> None:
    owner, _, key = name.rpartition(".")
    setattr(model.get_submodule(owner), key, network)
