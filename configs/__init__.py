"""The command line: Hydra's groups, and what is made of them."""

from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf


def _run_dir() -> str:
    """Hydra's folder for this run; without Hydra's main function there is none, and one below here is taken."""
    config: Any = HydraConfig.instance().cfg
    chosen = None if config is None else OmegaConf.select(config, "hydra.runtime.output_dir")
    return str(chosen or "runs/unnamed")


OmegaConf.register_new_resolver("lit_gans.run_dir", _run_dir, replace=True)
