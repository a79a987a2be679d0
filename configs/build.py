"""Objects from a checked configuration: the one place that makes them."""

from typing import TYPE_CHECKING, Any

import hydra.utils
from hydra.errors import InstantiationException

from lit_gans.configs.check import Config, target_of
from lit_gans.configs.errors import Refusal

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningDataModule, Trainer
    from lightning.pytorch.loggers import Logger

    from lit_gans import Sampler


def model(config: Config) -> "Sampler":
    """The model with its tricks."""
    from lit_gans import compose

    tricks = [target_of(f"tricks.{name}", node) for name, node in config["tricks"].items()]
    cls = compose(target_of("model", config["model"]), *tricks)
    options = [_options(node) for node in (config["model"], *config["tricks"].values())]
    made: Sampler = cls(**{name: value for given in options for name, value in given.items()})
    return made


def data(config: Config) -> "LightningDataModule":
    """The data module."""
    module: LightningDataModule = _instance(config["data"])
    return module


def callbacks(config: Config) -> "list[Callback]":
    """The callbacks in their order."""
    return [_instance(node) for node in config["callbacks"].values()]


def loggers(config: Config, wandb_id: str | None) -> "list[Logger]":
    """The loggers.

    Args:
        config: checked.
        wandb_id: of the W&B run that goes on, if one does.
    """
    nodes = dict(config["logger"])
    if wandb_id is not None and "wandb" in nodes:
        nodes["wandb"] = {**nodes["wandb"], "id": nodes["wandb"].get("id") or wandb_id}
    return [_instance(node) for node in nodes.values()]


def trainer(config: Config, callbacks: "list[Callback]", loggers: "list[Logger]") -> "Trainer":
    """The trainer.

    Raises:
        Refusal: if its strategy cannot train several players, or there is no such device.
    """
    import torch
    from lightning.pytorch.callbacks import Checkpoint, ProgressBar

    strategy, accelerator = (config["trainer"].get(name, "auto") for name in ("strategy", "accelerator"))
    if isinstance(strategy, str) and not strategy.startswith(("auto", "ddp")):
        raise Refusal(f"trainer.strategy={strategy} cannot train several players: use auto on one device, ddp on many.")
    if accelerator in ("gpu", "cuda") and not torch.accelerator.is_available():
        raise Refusal(f"trainer.accelerator={accelerator}: torch finds no GPU here. Use trainer.accelerator=auto.")
    own = {
        "callbacks": callbacks,
        "logger": loggers,
        # Lightning would add its own where there are none.
        "enable_checkpointing": any(isinstance(callback, Checkpoint) for callback in callbacks),
        "enable_progress_bar": any(isinstance(callback, ProgressBar) for callback in callbacks),
    }
    made: Trainer = _instance({**config["trainer"], "_partial_": True})(**own)
    return made


def _options(node: Config) -> Config:
    return {name: value for name, value in node.items() if not name.startswith("_")}


def _instance(node: Config) -> Any:
    try:
        return hydra.utils.instantiate(node, _convert_="all")
    except InstantiationException as error:
        raise (error.__cause__ or error) from None
