"""Whether a game goes well: how diverse the samples are, who tells what from what, whether all is still a number."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor
from torch.nn.utils import get_total_norm
from typing_extensions import override

from lit_gans import Sampler
from lit_gans.callbacks.finite import broken_players
from lit_gans.callbacks.look import real_samples, told
from lit_gans.callbacks.remedies import listed, remedies
from lit_gans.game import Batch
from lit_gans.metrics.diversity import Spread, spread

Numbers = dict[str, float]

SURE = 0.99
"""As many of the real samples, and of the fakes, a discriminator that has won is right about."""
OVERWHELMING = 10.0
"""Nats between the mean logits of real samples and fakes: a generator gets next to nothing from such odds."""
VANISHED = 1e-3
"""Of the largest gradient so far: what is left of the generator's once it learns no more."""


@dataclass
class Alarm:
    """Goes off after so many bad looks in a row, and is over after as many good ones.

    Attributes:
        patience: how many.
        on: whether it went off and is not over.
        against: the last looks in a row that speak against that.
    """

    patience: int
    on: bool = False
    against: int = 0

    def begins(self, bad: bool) -> bool:
        """Takes note of a look; whether it goes off now."""
        self.against = self.against + 1 if bad is not self.on else 0
        if self.against < self.patience:
            return False
        self.on, self.against = not self.on, 0
        return self.on


class CollapseWatch(Callback):
    """Publishes what tells whether the game goes well, and says in a sentence when it no longer does.

    A look, every so many generator updates, is at samples of a latent that is the same all along, made in eval mode by
    the weights that train, and at as many real samples, whose conditions they have:

    - ``watch/diversity``: the mean distance of two samples divided by that of two real ones;
    - ``watch/spread``: the number of directions in which they differ (:class:`lit_gans.metrics.diversity.Spread`),
      likewise; both of the samples themselves, pixels or coordinates, which every model has;
    - ``watch/accuracy_real``, ``watch/accuracy_fake``, ``watch/rt``, ``watch/margin``: how well the discriminator tells
      one from the other (:func:`lit_gans.callbacks.look.tell`). It sees them as in a turn: in batches of the same size,
      through ``discriminator_input``, in train mode, so that batch norm takes their own statistics;
    - ``watch/gradient_norm_<player>``: of the update that was made last, before clipping.

    The generator has collapsed when the diversity stays below a threshold. The discriminator has won when it stays
    right about practically all samples while the generator gets nothing from it: where logits are log odds, these are
    overwhelming, or the generator's gradient has vanished. With a NaN or an infinity in a weight, or in a loss, the run
    ends whatever ``on_collapse`` says. The training does not feel that it is looked at.

    Args:
        every: generator updates between two looks.
        n: samples of each kind; all real ones if they are fewer.
        patience: looks in a row before it is said that the generator has collapsed or the discriminator has won.
        diversity: the threshold.
        on_collapse: whether the run then goes on (``warn``) or ends (``stop``).

    Attributes:
        broken: whether a NaN or an infinity has ended the run.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self,
        every: int = 100,
        n: int = 256,
        patience: int = 5,
        diversity: float = 0.25,
        on_collapse: Literal["warn", "stop"] = "warn",
    ) -> None:
        for name, value, least in (("every", every, 1), ("n", n, 2), ("patience", patience, 1)):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}.")
        if not 0 < diversity < 1:
            raise ValueError(f"diversity must be above 0 and below 1, got {diversity}.")
        if on_collapse not in ("warn", "stop"):
            raise ValueError(f"on_collapse must be 'warn' or 'stop', got {on_collapse!r}.")
        self.every, self.n, self.patience = every, n, patience
        self.diversity, self.on_collapse = diversity, on_collapse
        self._forget()

    def _forget(self) -> None:
        self.broken = False
        self.looked_at = 0
        self.latent = torch.empty(0)
        self.real: Batch | None = None
        self.real_spread = Spread(math.nan, math.nan)
        self.collapse, self.victory = Alarm(self.patience), Alarm(self.patience)
        self.gradient_norms: dict[str, Tensor] = {}
        self.largest_gradients: dict[str, float] = {}

    # When

    @override
    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        if stage == "fit":
            self._forget()

    @override
    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: torch.optim.Optimizer) -> None:
        if (trainer.global_step + 1) % self.every == 0:
            player = next(i for i, known in enumerate(trainer.optimizers) if known is optimizer)
            gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            self.gradient_norms[pl_module.game[player].name] = get_total_norm(gradients)

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int) -> None:
        # With several discriminator turns a round, several batches end at the same update.
        step = trainer.global_step
        if step == self.looked_at or step % self.every:
            return
        self.looked_at = step
        if not self._ends(trainer, pl_module):
            seen = max(1, len(next(iter(batch.values()))) // pl_module.accumulate)
            # Every process looks, for layers that wait for the other processes', and all go by the first one's numbers.
            numbers: Numbers = trainer.strategy.broadcast(self._look(trainer, pl_module, seen))
            pl_module.publish({f"watch/{name}": number for name, number in numbers.items()})
            self._judge(trainer, pl_module, numbers)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        if not self.broken:
            self._ends(trainer, pl_module)

    # What

    def _look(self, trainer: Trainer, model: Sampler, seen: int) -> Numbers:
        """All numbers of a look; ``seen`` samples are what the discriminator sees at once in a turn."""
        norms, self.gradient_norms = self.gradient_norms, {}
        numbers = {f"gradient_norm_{player}": float(norm) for player, norm in norms.items()}
        if self.real is None:
            self._fix(trainer, model)
        if not self.real:
            return numbers
        real, condition = self.real["image"], model.condition(self.real)
        latent = self.latent[: len(real)]
        # Under a key: a network that draws noise of its own draws the same each time, and disturbs nobody's.
        make = partial(model.sample, len(latent), latent=latent, condition=condition)
        fake = model.keyed(make, "watch", "noise")
        found, known = spread(fake), self.real_spread
        numbers |= model.keyed(partial(told, model, self.real, fake, seen), "watch", "told")
        return {
            "diversity": found.distance / known.distance if known.distance else math.nan,
            "spread": found.rank / known.rank,
            **numbers,
        }

    def _fix(self, trainer: Trainer, model: Sampler) -> None:
        """Chooses the latent, for good, and the real samples, which are the same for each run that goes on."""
        if not len(self.latent):
            self.latent = model.keyed(partial(model.sample_latent, self.n), "watch", "latent").cpu()
        self.real = real_samples(trainer, model, len(self.latent), "watch", "real") or {}
        if self.real:
            self.real_spread = spread(self.real["image"])
        else:
            rank_zero_info("CollapseWatch knows no real samples: it looks at gradients, and for NaN, alone.")

    def _ends(self, trainer: Trainer, model: Sampler) -> bool:
        """Ends the run, and says why, if something is no number any more."""
        players = broken_players(model)
        # Under 16-mixed an update whose loss is too large for 16 bits is left out, and no harm is done.
        losses = {} if trainer.precision == "16-mixed" else model.latest_terms
        terms = [name for name, term in losses.items() if not term.isfinite().all()]
        if not trainer.strategy.reduce_boolean_decision(bool(players or terms), all=False):
            return False
        self.broken = trainer.should_stop = True
        what = f"the weights of the {listed(players, 'and')}" if players else listed(terms, "and")
        event = f"Training has broken down: at update {trainer.global_step} there is NaN or infinity in"
        rank_zero_warn(f"{event} {what or 'a loss'}, so the run ends; likely remedies: {remedies('breakdown', model)}.")
        return True

    def _judge(self, trainer: Trainer, model: Sampler, numbers: Numbers) -> None:
        """Says what has gone wrong by this look, once."""
        step, looks = trainer.global_step, f"{self.patience} looks in a row"
        sentences = {}
        if self.collapse.begins(numbers.get("diversity", math.nan) < self.diversity):
            sentences["collapse"] = (
                f"The generator has collapsed: for {looks}, up to update {step}, its samples were less than "
                f"{self.diversity:g} times as far apart as real ones ({numbers['diversity']:.2g} times now)"
            )
        winners = [game for game in games_of(numbers) if self._has_won(game, model, numbers)]
        if self.victory.begins(bool(winners)):
            where = " in " + listed(winners, "and") if any(winners) else ""
            sentences["victory"] = (
                f"The discriminator has won{where}: for {looks}, up to update {step}, it was right about "
                f"{SURE:.0%} or more of real samples and of fakes, and left the generator nothing to learn from"
            )
        for event, sentence in sentences.items():
            end = ", so the run ends" if self.on_collapse == "stop" else ""
            rank_zero_warn(f"{sentence}{end}; likely remedies: {remedies(event, model)}.")
        if sentences and self.on_collapse == "stop":
            trainer.should_stop = True

    def _has_won(self, game: str, model: Sampler, numbers: Numbers) -> bool:
        own = f"{game}/" if game else ""
        gradient = numbers.get(f"gradient_norm_{own}generator", math.nan)
        largest = max(self.largest_gradients.get(game, 0.0), gradient if math.isfinite(gradient) else 0.0)
        self.largest_gradients[game] = largest
        if min(numbers.get(f"{own}accuracy_{kind}", 0.0) for kind in ("real", "fake")) < SURE:
            return False
        # A critic's scores have no scale.
        return (model.has_labels and numbers[f"{own}margin"] > OVERWHELMING) or gradient < VANISHED * largest

    # Checkpoints

    @override
    def state_dict(self) -> dict[str, Any]:
        return {
            "latent": self.latent,
            "looked_at": self.looked_at,
            "largest_gradients": self.largest_gradients,
            "alarms": [[alarm.on, alarm.against] for alarm in (self.collapse, self.victory)],
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.latent, self.looked_at = state_dict["latent"], state_dict["looked_at"]
        self.largest_gradients = dict(state_dict["largest_gradients"])
        for alarm, (on, against) in zip((self.collapse, self.victory), state_dict["alarms"], strict=True):
            alarm.on, alarm.against = on, against


def games_of(numbers: Numbers) -> list[str]:
    """The games whose discriminators were asked; the empty name is that of a model that is one game."""
    end = "accuracy_real"
    return [name.removesuffix(end).rstrip("/") for name in numbers if name.endswith(end)]
