"""Checkpoints without pickles: read one, check one against a model, make the model that wrote one."""

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lit_gans.composition import compose
from lit_gans.sampler import Sampler


def read(path: str | Path) -> dict[str, Any]:
    """The contents of a checkpoint, on the CPU, read with ``weights_only=True``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not whole, or not a checkpoint of this library.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint {path}.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read: it is truncated, or not a checkpoint ({type(error).__name__})."
        ) from error
    if not isinstance(checkpoint, dict) or "recipe" not in checkpoint:
        raise ValueError(f"{path} was not written by lit_gans: it does not say which model it holds.")
    return checkpoint


def check(checkpoint: dict[str, Any], model: nn.Module) -> None:
    """Makes sure that a checkpoint can go on in this model.

    Raises:
        ValueError: if it is of another class, or has other or differently shaped weights.
    """
    theirs, ours = checkpoint["recipe"], model.recipe() if isinstance(model, Sampler) else None
    if theirs != ours:
        raise ValueError(f"The checkpoint is of {_describe(theirs)}, the model here is {_describe(ours)}.")
    check_weights(checkpoint, model)


def check_weights(checkpoint: dict[str, Any], model: nn.Module) -> None:
    """Makes sure that a checkpoint's weights fit into this model.

    Raises:
        ValueError: if there are others, or differently shaped ones.
    """
    saved, own = checkpoint["state_dict"], model.state_dict()
    for name in sorted(saved.keys() ^ own.keys()):
        raise ValueError(
            f"The checkpoint {'has' if name in saved else 'lacks'} {name!r}: other options made its networks."
        )
    for name, tensor in own.items():
        if saved[name].shape != tensor.shape:
            raise ValueError(
                f"{name!r} has the shape {tuple(saved[name].shape)} in the checkpoint and {tuple(tensor.shape)} here: "
                "other options made its networks."
            )


def _describe(recipe: dict[str, Any] | None) -> str:
    if recipe is None:
        return "of another kind"
    names: list[str] = [path.split(":")[-1] for path in (recipe["model"], *recipe["tricks"])]
    return names[0] + (f" with {' and '.join(names[1:])}" if names[1:] else "")


def _import(path: str) -> Any:
    module, name = path.split(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"The checkpoint is of {name} from {module!r}, which cannot be imported here: pass `model_class`, or put "
            "the class into an importable module."
        ) from error
    if not (isinstance(found, type) and issubclass(found, Sampler)):
        raise ValueError(f"The checkpoint names {path}, which is no model of lit_gans.")
    return found


def start_from(path: str | Path, model: Sampler) -> None:
    """Gives a model that has not trained yet the weights of another run's, whose loss and tricks may have been others.

    They are the raw ones, with which a game goes on; of networks that this model does not train, the averaged ones.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not whole, or of other networks.
    """
    checkpoint = read(path)
    check_weights(checkpoint, model)
    model.load_state_dict(checkpoint["state_dict"])
    _take_averages(checkpoint, model, model.finished_networks())


def load(path: str | Path, *, ema: bool = True, model_class: type[Sampler] | None = None) -> Sampler:
    """The model a checkpoint holds, tricks included, on the CPU and in eval mode.

    Args:
        path: of the checkpoint.
        ema: take the averaged weights where the checkpoint has them.
        model_class: the class, where the checkpoint's own cannot be imported (one defined in a script, say).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not whole, or its class cannot be imported.
    """
    checkpoint = read(path)
    recipe = checkpoint["recipe"]
    cls = model_class or compose(_import(recipe["model"]), *(_import(trick) for trick in recipe["tricks"]))
    model = cls(**checkpoint["hyper_parameters"])
    model.load_state_dict(checkpoint["state_dict"])
    model.on_load_checkpoint(checkpoint)
    if ema:
        _take_averages(checkpoint, model, model.averaged_networks)
    return model.eval()


def _take_averages(checkpoint: dict[str, Any], model: Sampler, names: tuple[str, ...]) -> None:
    averages = checkpoint.get("ema") or {}
    for name in names:
        if name in averages:
            model.get_submodule(name).load_state_dict(averages[name])
