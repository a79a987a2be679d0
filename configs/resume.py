"""Where a run goes on: the newest run of a model, the checkpoint that it starts from."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from lit_gans.configs.arguments import Arguments, parsed
from lit_gans.configs.check import Config
from lit_gans.configs.errors import Refusal, first_process, shown

if TYPE_CHECKING:
    from lit_gans import Sampler

RUNS, LAST = Path("runs"), Path("checkpoints/last.ckpt")


def wants_last(arguments: Arguments) -> bool:
    """Whether the command line asks to go on with the last run and leaves open which."""
    keys = {change.key_or_group: change.value() for change in parsed(arguments.overrides)}
    return keys.get("ckpt_path") == "last" and "hydra.run.dir" not in keys


def last_run(arguments: Arguments) -> Path:
    """The folder of the newest run, under ``runs/``, of the same model and tricks on the same data.

    Raises:
        Refusal: if there is none, or several runs are asked for at once.
    """
    if arguments.multirun:
        raise Refusal("ckpt_path=last goes on with one run, -m starts several: leave one of them out.")
    with arguments.composer() as compose:
        config = compose([line for line in arguments.overrides if not line.startswith("hydra.")])
    wanted = _identity(OmegaConf.to_container(config, resolve=False))
    found = [run for run in _runs() if _identity(_read(run / "config.yaml")) == wanted]
    if not found:
        model, data = (config.hydra.runtime.choices[group] for group in ("model", "data"))
        raise Refusal(
            f"ckpt_path=last found no run of model={model} data={data} with these tricks and a {LAST} below "
            f"{RUNS.resolve()}: leave ckpt_path out to begin one, or name a checkpoint."
        )
    return max(found, key=lambda run: (run / LAST).stat().st_mtime)


def _runs() -> Iterator[Path]:
    yield from (path.parents[1] for path in RUNS.rglob(str(LAST)) if (path.parents[1] / "config.yaml").is_file())


def _read(path: Path) -> Any:
    try:
        return OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except Exception:
        return None  # half a file is nobody's run


def _identity(config: Any) -> Any:
    """What must be equal for a run to be a continuation of another."""
    if not isinstance(config, dict) or not all(isinstance(config.get(group), dict) for group in ("model", "data")):
        return None
    tricks = [node.get("_target_") for node in (config.get("tricks") or {}).values() if isinstance(node, dict)]
    data = config["data"]
    return config["model"].get("_target_"), tricks, data.get("_target_"), data.get("path"), data.get("root")


def check_folder() -> None:
    """Makes sure that processes which were started from outside, by torchrun or SLURM, agree on a folder.

    Raises:
        Refusal: if each would make one of its own.
    """
    processes = int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or 1)
    if processes == 1 or not HydraConfig.initialized():
        return
    # Lightning gives the processes that it starts the folder of the first.
    given = HydraConfig.get().overrides
    if not any(line.lstrip("+").startswith(("hydra.run.dir=", "run_dir=")) for line in [*given.hydra, *given.task]):
        raise Refusal(
            f"{processes} processes were started, and each would make a folder of its own: give them one, "
            "run_dir=runs/NAME."
        )


def start(config: Config, model: "Sampler") -> tuple[str | None, dict[str, Any]]:
    """The checkpoint that a run goes on from: its path and contents, or None and nothing.

    A run that goes on has weights of its own; a new one begins with those of ``weights``, if that is asked for.

    Raises:
        Refusal: if the run's folder has a run already that this one does not go on with.
        FileNotFoundError: if there is no such checkpoint.
        ValueError: if it is not whole, or of another model.
    """
    given, folder = config["ckpt_path"], Path(config["run_dir"])
    if given != "last" and (folder / LAST).exists():
        raise Refusal(
            f"{shown(folder)} holds a run already: go on with it by ckpt_path=last, or choose another run_dir."
        )
    from lit_gans import checkpoint

    if given is None:
        if config["weights"] is not None:
            checkpoint.start_from(Path(config["weights"]).expanduser(), model)
        return None, {}
    path = folder / LAST if given == "last" else Path(given).expanduser()
    contents = checkpoint.read(path)
    checkpoint.check(contents, model)
    # Lightning will load them, but only after the data were made ready by what an encoder of texts has learnt.
    model.load_state_dict(contents["state_dict"])
    if first_process():
        print(f"Going on from update {contents['global_step']} of {shown(path)}.")
        for line in changes(_read(folder / "config.yaml"), config) if given == "last" else ():
            print(f"Other than before: {line}")
    return str(path), contents


def changes(before: Any, now: Config) -> Iterator[str]:
    """What is different in a run that goes on in its own folder, one key after another.

    A value that is written down is compared as it was written: 1.0e-4 is 0.0001.
    """
    if not isinstance(before, dict):
        return
    old, new = (dict(_leaves(config)) for config in (before, OmegaConf.to_container(OmegaConf.create(now))))
    for key in sorted(old.keys() | new.keys()):
        if key not in ("ckpt_path", "run_dir") and old.get(key) != new.get(key):
            yield f"{key} {old.get(key)} -> {new.get(key)}"


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(node, dict):
        yield path, node
        return
    for key, below in node.items():
        yield from _leaves(below, f"{path}.{key}" if path else str(key))
