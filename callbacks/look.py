"""What a look at a game finds: real samples to compare with, and how well the discriminator tells them from fakes."""

from typing import Any

import torch
from lightning import Trainer
from torch import Tensor, nn
from torch.utils.data import IterableDataset, default_collate

from lit_gans import GAN, Games, Sampler
from lit_gans.game import Batch


def real_samples(trainer: Trainer, model: Sampler, n: int, *name: str | int) -> Batch | None:
    """A batch of ``n`` real samples, or all there are, ready for the model; the same for each call with a name.

    Returns:
        None where the training set is not known, or has fewer than two.
    """
    data: Any = getattr(getattr(trainer, "datamodule", None), "train_dataset", None)
    data = getattr(trainer.train_dataloader, "dataset", None) if data is None else data
    if data is None or isinstance(data, IterableDataset) or len(data) < 2:
        return None

    def drawn() -> Batch:
        indices = torch.randperm(len(data))[:n].tolist()
        items = data.__getitems__(indices) if hasattr(data, "__getitems__") else [data[i] for i in indices]
        batch: Batch = items if isinstance(items, dict) else default_collate(items)
        return model.prepare({name: values.to(model.device) for name, values in batch.items()})

    known = model.remembered_conditions
    try:
        return model.keyed(drawn, *name)
    finally:
        model.remembered_conditions = known


@torch.no_grad()
def told(model: Sampler, batch: Batch, fake: Tensor, seen: int) -> dict[str, float]:
    """What :func:`tell` says of a model, or, under their names, of each of the games that it plays next.

    Args:
        model: whose discriminators are asked.
        batch: real samples, prepared.
        fake: as many; those of several games are made here, by each for the batch that it sees.
        seen: as of :func:`tell`.
    """
    if isinstance(model, GAN):
        return tell(model, batch["image"], fake, model.condition(batch), seen)
    found: dict[str, float] = {}
    if not isinstance(model, Games):
        return found
    for name in model.playing():  # what is over, or has not begun, has nothing new to tell
        game = model.named(name)
        with model.in_eval_mode():  # as whole models sample: running statistics stay as they are
            own = model.game_batch(name, batch)
            made = game.generate(own)
        numbers = tell(game, own["image"], made, game.condition(own), seen)
        found |= {f"{name}/{number}": value for number, value in numbers.items()}
    return found


@torch.no_grad()
def tell(model: GAN, real: Tensor, fake: Tensor, condition: Tensor | None, seen: int) -> dict[str, float]:
    """How well the discriminator tells real samples from as many fakes, as it is in a turn; it stays as it is.

    Args:
        model: of which ``discriminator`` is asked.
        real: ``(N, ...)``.
        fake: ``(N, ...)``.
        condition: of both, ``(N, ...)``, or None.
        seen: samples that it sees at once; what is left of N is not shown.

    Returns:
        The shares of real samples with a logit above 0 and of fakes with one below, the mean sign of the real ones'
        (r_t of Karras et al. 2020, arXiv 2006.06676, section 3.1), and the distance of the mean logits; nothing if the
        discriminator has not one logit for each sample.
    """
    network = getattr(model, "discriminator", None)
    if not isinstance(network, nn.Module):
        return {}
    own = {**dict(network.named_parameters()), **{name: value.clone() for name, value in network.named_buffers()}}
    seen = min(seen, len(real))
    parts = [slice(start, start + seen) for start in range(0, len(real) - seen + 1, seen)]
    with model.standing_in(discriminator=own):
        real_logits, fake_logits = (
            torch.cat([model.discriminate(x[part], None if condition is None else condition[part]) for part in parts])
            for x in (real, fake)
        )
    if real_logits.dim() != 1:
        return {}
    return {
        "accuracy_real": float((real_logits > 0).double().mean()),
        "accuracy_fake": float((fake_logits < 0).double().mean()),
        "rt": float(real_logits.sign().mean()),
        "margin": float(real_logits.mean() - fake_logits.mean()),
    }
