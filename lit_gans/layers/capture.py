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


def check_layer(discriminator: nn.Module, name: str, option: str) -> None:
    """Makes sure that there is a layer with this name; one that passes samples on, unlike a list of layers.

    Args:
        discriminator: to look in.
        name: with dots, as torch names modules.
        option: by which the name was given, for the error.

    Raises:
        ValueError: if there is none.
    """
    layers = [
        known
        for known, module in discriminator.named_modules()
        if known and "parametrizations" not in known and not isinstance(module, nn.ModuleList)
    ]
    if name not in layers:
        raise ValueError(
            f"The discriminator has no layer called {name!r}: set {option} to one of {', '.join(layers)}, or leave it "
            "out."
        )
