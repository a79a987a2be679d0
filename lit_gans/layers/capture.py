"""What goes on inside a network."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def captured(module: nn.Module, *, inputs: bool = False) -> Iterator[list[Tensor]]:
    """Within it, what the module gives in each forward pass, with its history; or what it is given, if ``inputs``.

    Copies, as the next layer may work in place. Compiled networks run eagerly: they would not notice.
    """
    seen: list[Tensor] = []

    def note(_: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
        seen.append((given[0] if inputs else result).clone())

    handle = module.register_forward_hook(note)
    try:
        with torch.compiler.set_stance("force_eager"):
            yield seen
    finally:
        handle.remove()
