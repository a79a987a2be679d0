"""Several devices: which ways to use them suit a game, and what they exchange in a turn."""

import os
from collections.abc import Iterable, Sequence

import lightning
import torch
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor, nn


def check_trainer(trainer: lightning.Trainer) -> None:
    """Refuses what cannot work before Lightning does, which cannot name our options.

    Raises:
        ValueError: if the trainer clips, accumulates or shards by itself.
    """
    if trainer.gradient_clip_val is not None:
        raise ValueError("trainer.gradient_clip_val cannot reach several players: use model.gradient_clip.")
    if trainer.accumulate_grad_batches != 1:
        raise ValueError("trainer.accumulate_grad_batches cannot reach several players: use model.accumulate.")
    if not isinstance(trainer.strategy, SingleDeviceStrategy | DDPStrategy):
        raise ValueError(
            f"{type(trainer.strategy).__name__} trains one model under one optimizer, not several players. "
            "Use trainer.strategy=auto on one device, trainer.strategy=ddp on many."
        )


def look_for_gpus_fast(device: torch.device) -> None:
    """On the CPU, undoes a setting of Lightning under which every step of Adam asks the driver for GPUs: 0.2 ms.

    It is there so that processes can be forked before CUDA is used.
    """
    if device.type == "cpu":
        os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)


def gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """The gradients, zero where a parameter got none, so that every device exchanges the same tensors."""
    found = []
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        found.append(parameter.grad)
    return found


def average(tensors: Sequence[Tensor], world_size: int) -> None:
    """Replaces each tensor by its mean over the devices, in one flat all-reduce."""
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    torch.distributed.all_reduce(flat)
    flat /= world_size
    for tensor, mean in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(mean.view(tensor.shape))
