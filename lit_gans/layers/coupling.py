"""Which layers make the output for one sample depend on the rest of its batch, and what that rules out."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def coupling(network: nn.Module) -> tuple[str, str] | None:
    """What in a network couples the samples of a batch, and how to do without; None where nothing does.

    Besides batch norm, a layer that does so says it in an attribute ``couples_samples``: its name and the remedy.
    """
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            return "batch norm", "set model.discriminator_norm=none (or layer, or instance)"
        if found := getattr(module, "couples_samples", None):
            name, remedy = found
            return str(name), str(remedy)
    return None


def check_samples_apart(discriminator: nn.Module, trick: str) -> None:
    """Makes sure that a penalty on the gradient of one sample means that sample's own.

    Raises:
        ValueError: if the discriminator couples the samples of a batch.
    """
    if found := coupling(discriminator):
        name, remedy = found
        raise ValueError(
            f"{trick} penalises the gradient at each sample alone, but {name} in the discriminator makes every output "
            f"depend on the whole batch: {remedy}, or leave {trick} out (tricks.{trick}=null)."
        )
