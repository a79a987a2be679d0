"""Run as a script: trains every case on DEVICES processes and saves, for each rank, what the tests compare.

usage: python -m tests.two_processes DEVICES FOLDER
"""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lit_gans import Games, Sampler, compose, penalties
from lit_gans.mixins import R1Penalty, SpectralNorm, Unrolled, VirtualBatchNorm
from lit_gans.models import DCGAN, WGANGP, StackGAN
from tests.conftest import TINY, images, trainer
from tests.mixins.test_tricks import SMALL

BATCH, BATCHES = 8, 6
NO_NORM = {"discriminator_norm": "none", "generator_norm": "none"}
PLAIN = {**TINY, **NO_NORM}
NEAREST = {"text_head": "projection", "wrong_texts": 2, "matching_weight": 1.0, "stage_steps": [1, 5]}
CASES: dict[str, tuple[type[Sampler], dict[str, Any]]] = {
    "non_saturating": (DCGAN, PLAIN),
    "wgan_gp": (WGANGP, {**PLAIN, "n_critic": 2}),
    "r1": (compose(DCGAN, R1Penalty), PLAIN),
    "spectral_norm": (compose(DCGAN, SpectralNorm), PLAIN),
    "virtual_batch_norm": (compose(DCGAN, VirtualBatchNorm), PLAIN),
    "accumulate": (DCGAN, {**PLAIN, "accumulate": 2}),
    "batch_norm": (DCGAN, TINY),
    "own_latents": (DCGAN, TINY),
    "unrolled": (compose(DCGAN, Unrolled), {**PLAIN, "unrolled_steps": 3, "unrolled_exchange": True}),
    "unrolled_apart": (compose(DCGAN, Unrolled), {**PLAIN, "unrolled_steps": 3}),
    "stackgan": (StackGAN, {**SMALL["stackgan"], **NO_NORM, **NEAREST}),
}


def content_mix(first: Tensor, second: Tensor) -> Tensor:
    """Mixing weights from the real samples, so that they do not depend on who draws them."""
    weight = (first.flatten(1).mean(1) * 7).remainder(1).view(-1, *[1] * (first.dim() - 1))
    return weight * first + (1 - weight) * second


def record(model: Sampler, rank: int, world: int, own_latents: bool) -> dict[str, list[Any]]:
    """Lets the model note its latents, gradients and collectives; shares one sequence of latents out over the ranks."""
    seen: dict[str, list[Any]] = {"latents": [], "gradients": [], "collectives": []}
    reduce, before = torch.distributed.all_reduce, model.on_before_optimizer_step

    def share_out(game: Sampler) -> None:
        draw = game.sample_latent

        def sample_latent(n: int) -> Tensor:
            generator = torch.Generator().manual_seed(len(seen["latents"]))
            whole = torch.randn(n * world, game.latent_dim, generator=generator, dtype=torch.double)
            seen["latents"].append(draw(n) if own_latents else whole[rank * n : (rank + 1) * n])
            return seen["latents"][-1]

        game.sample_latent = sample_latent

    def all_reduce(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        if tensor.numel() > 1:  # Lightning itself compares a few single numbers
            seen["collectives"].append(tensor.numel())
        return reduce(tensor, *args, **kwargs)

    def on_before_optimizer_step(optimizer: torch.optim.Optimizer) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        seen["gradients"].append(torch.cat([p.grad.flatten() for p in parameters]).clone())
        before(optimizer)

    for game in map(model.named, model.names) if isinstance(model, Games) else [model]:
        share_out(game)
    model.on_before_optimizer_step = on_before_optimizer_step
    torch.distributed.all_reduce = all_reduce
    return seen


def main(case: str, devices: int, folder: Path) -> None:
    cls, options = CASES[case]
    rank = int(os.environ.get("LOCAL_RANK", 0))
    model = cls(**options).double()
    local = BATCH // devices
    order = [b * BATCH + rank * local + i for b in range(BATCHES) for i in range(local)]
    loader = DataLoader(images(BATCH * BATCHES), local, sampler=order)
    runner = trainer(
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        max_epochs=1,
        precision="64-true",
        use_distributed_sampler=False,
    )
    original = torch.distributed.all_reduce
    seen = record(model, rank, devices, case == "own_latents")
    runner.fit(model, loader)
    torch.distributed.all_reduce = original
    seen["state"] = [model.state_dict()]
    seen["counts"] = [runner.global_step, model.images_seen]
    torch.save(seen, folder / f"{case}-{devices}-{rank}.pt")


if __name__ == "__main__":
    penalties._mix = content_mix
    for name in CASES:
        main(name, int(sys.argv[1]), Path(sys.argv[2]))
