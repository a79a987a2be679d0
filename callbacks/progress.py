"""How a run is doing: a bar in a terminal, plain lines in a pipe."""

import math
import sys
import textwrap
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import lightning
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar as Bar
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from lit_gans import Games

NOT_SHOWN = ("images_seen", "epoch", "step", "watch")
PLACES = {"loss": 0, "penalty": 2}
"""Of numbers of each kind; the others are between them."""
WARM_UP = 5
Seen = tuple[float, int, int]
"""Seconds, generator updates, images."""


@dataclass(frozen=True)
class Status:
    """What is shown of a run at one moment.

    Attributes:
        step: generator updates done.
        total: generator updates to do; None without an end.
        rate: images per second, of all devices together; None before it is known.
        clock: the time left, or the time taken once it is over.
        values: the last numbers published, as text: losses, then scores, then penalties.
    """

    step: int
    total: int | None
    rate: float | None
    clock: str
    values: list[str]

    def head(self) -> list[str]:
        """Counts, speed and time."""
        total = "" if self.total is None else f"/{self.total:,}"
        rate = [] if self.rate is None else [f"{self.rate:,.0f} img/s"]
        return [f"{self.step:,}{total}", *rate, *([self.clock] if self.clock else [])]

    def line(self) -> str:
        """All of it in one line."""
        head = self.head()
        return "  ".join([f"update {head[0]}", *self.values, *head[1:]])

    def picture(self, width: int) -> RenderableType:
        """All of it under a bar, for a terminal of ``width`` columns."""
        bar = Table.grid(padding=(0, 2, 0, 0), expand=True)
        bar.add_column(ratio=1)
        head = self.head()
        for _ in head:
            bar.add_column(no_wrap=True)
        bar.add_row(Bar(total=self.total, completed=self.step), *head)
        # A name stays with its value: textwrap breaks at plain spaces only.
        words = "  ".join(value.replace(" ", "\N{NO-BREAK SPACE}") for value in self.values)
        lines = textwrap.wrap(words, width, break_on_hyphens=False, break_long_words=False)
        texts = [Text(line.replace("\N{NO-BREAK SPACE}", " "), no_wrap=True, overflow="ellipsis") for line in lines]
        for text in texts:
            text.highlight_regex(r"\S+/\S+", "dim")
        return Group(bar, *texts)


def values_of(metrics: dict[str, Any]) -> list[str]:
    """Published numbers as text: losses first, then scores, penalties last and only those that are not zero."""
    names = sorted((name for name in metrics if name.split("/")[0] not in NOT_SHOWN), key=place)
    numbers = {name: float(metrics[name]) for name in names}
    return [f"{name} {number:.4g}" for name, number in numbers.items() if number or place(name) != PLACES["penalty"]]


def place(name: str) -> int:
    """Where a number stands; a game's own have its name before theirs."""
    return next((PLACES[part] for part in name.split("/") if part in PLACES), 1)


def clock(seconds: float) -> str:
    """A duration: ``0:07``, ``12:34``, ``1:02:03``, ``2 d 03:04``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour:02}:{minute:02}"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def playing(model: Any) -> tuple[str, ...]:
    """The games that a model of several plays next: of stages, the one that learns."""
    return model.playing() if isinstance(model, Games) else ()


class Progress(ProgressBar):
    """Shows generator updates, losses, the last scores, images per second and the time left.

    Args:
        every: seconds between two lines in a pipe.
        refresh: seconds between two pictures of the bar in a terminal.

    Raises:
        ValueError: if one of them is not above 0.
    """

    def __init__(self, *, every: float = 5.0, refresh: float = 0.25) -> None:
        super().__init__()
        for name, value in (("every", every), ("refresh", refresh)):
            if not value > 0:
                raise ValueError(f"{name} must be above 0 seconds, got {value}.")
        self.every, self.refresh = every, refresh
        self.enabled = True
        self.live: Live | None = None
        self.due_at = math.inf
        self.total: int | None = None
        self.start: Seen = (0.0, 0, 0)
        self.playing: tuple[str, ...] = ()
        self.paced_from: Seen = self.start
        self.recent: deque[Seen] = deque(maxlen=20)

    @override
    def enable(self) -> None:
        self.enabled = True

    @override
    def disable(self) -> None:
        self.enabled = False

    @override
    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        if not self.enabled:
            return
        self.total = self._total(trainer, pl_module)
        self.start = (time.monotonic(), trainer.global_step, pl_module.images_seen)
        self.recent.clear()
        self.recent.append(self.start)
        self.playing, self.paced_from = playing(pl_module), self.start
        console = Console()
        if console.is_jupyter or (sys.stdout.isatty() and not console.is_dumb_terminal):
            self.live = Live(console=console, auto_refresh=False)
            self.live.start()
        self.due_at = 0.0

    @override
    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if time.monotonic() >= self.due_at:
            self._show(trainer, pl_module)
            self.due_at = time.monotonic() + (self.every if self.live is None else self.refresh)

    @override
    def on_fit_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        self._close(trainer, pl_module)

    @override
    def on_exception(self, trainer: lightning.Trainer, pl_module: Any, exception: BaseException) -> None:
        self._close(trainer, pl_module)

    def _close(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        if self.due_at == math.inf:
            return
        self._show(trainer, pl_module, over=True)
        self.due_at = math.inf
        if self.live is not None:
            self.live.stop()
            self.live = None

    def _show(self, trainer: lightning.Trainer, pl_module: Any, *, over: bool = False) -> None:
        status = self._status(trainer, pl_module, over=over)
        if self.live is None:
            print(status.line(), flush=True)
        else:
            self.live.update(status.picture(self.live.console.width), refresh=True)

    def _status(self, trainer: lightning.Trainer, pl_module: Any, *, over: bool) -> Status:
        now, step, images = seen = (time.monotonic(), trainer.global_step, pl_module.images_seen)
        if self.playing != playing(pl_module):
            self.playing, self.paced_from = playing(pl_module), seen
        since, _, before = self.start if over else self.recent[0]
        self.recent.append(seen)
        rate = (images - before) / (now - since) if images > before else None
        paced, first_step, _ = self.paced_from
        left = ""
        if over:
            left = f"in {clock(now - self.start[0])}"
        elif self.total is not None and step >= first_step + WARM_UP:
            # The mean, since the start or since another stage learns, has its share of pauses for pictures and metrics.
            left = f"{clock((now - paced) / (step - first_step) * (self.total - step))} left"
        return Status(step, self.total, rate, left, values_of(trainer.callback_metrics))

    @staticmethod
    def _total(trainer: lightning.Trainer, pl_module: Any) -> int | None:
        """Generator updates until the first of max_steps and max_epochs."""
        ends = [trainer.max_steps] if trainer.max_steps >= 0 else []
        batches = trainer.num_training_batches
        if trainer.max_epochs is not None and trainer.max_epochs >= 0 and batches != math.inf:
            ends.append(int(batches) * trainer.max_epochs // pl_module.round_length)
        return min(ends, default=None)
