"""A composed configuration made plain, and every value in it one that its class takes."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lit_gans.configs.arguments import options, parsed
from lit_gans.configs.errors import Refusal, guess, listed
from lit_gans.configs.signatures import options_of
from lit_gans.configs.values import Mismatch, described, fit, like

Config = dict[str, Any]

TOP = {"seed": int, "ckpt_path": str | None, "weights": str | None, "run_dir": str, "threads": int | None}
ONE, MANY = ("model", "data", "trainer"), ("tricks", "callbacks", "logger")
"""Groups that describe one object, and groups that describe several by name."""


def checked(cfg: DictConfig) -> Config:
    """The configuration as plain, resolved values of the types that its classes ask for.

    Args:
        cfg: as composed from the groups of this package.

    Raises:
        Refusal: if a value is missing or of another type, a key is no option of its class, or a class cannot be found.
    """
    config, usual = _plain(cfg), _usual()
    for key, annotation in TOP.items():
        config[key] = _fitted(key, config.get(key), annotation, None)
    if not 0 <= config["seed"] < 2**32:
        raise Refusal(f"seed must be from 0 to {2**32 - 1}, got {config['seed']}.")
    if config["threads"] is not None and config["threads"] < 1:
        raise Refusal(f"threads must be at least 1, or null for torch's own choice, got {config['threads']}.")
    for group in MANY:
        config[group] = _chosen(group, config.get(group) or {})
    for path, node in _objects(config):
        node.update(_checked_object(path, node, _at(usual, path)))
    return config


def target_of(path: str, node: Any) -> Any:
    """The class or function that a part of the configuration names.

    Raises:
        Refusal: if it names none, or one that cannot be imported.
    """
    name = node.get("_target_") if isinstance(node, dict) else None
    if not isinstance(name, str):
        raise Refusal(f"{path} must name a class, as in {path}._target_=package.module.Class, got {node!r}.")
    try:
        return find(name)
    except Exception as error:
        raise Refusal(f"{path}._target_ is {name!r}, which cannot be imported: {error}") from error


def find(name: str) -> Any:
    """What ``package.module.Class`` names.

    Raises:
        ImportError: if there is no such thing.
    """
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:cut])
        try:
            found = import_module(module)
        except ModuleNotFoundError as error:
            # Anything else is missing inside the module, which is there.
            if cut > 1 and error.name is not None and f"{module}.".startswith(f"{error.name}."):
                continue
            raise
        for part in parts[cut:]:
            if not hasattr(found, part):
                raise ImportError(f"{module} has no {part}.{guess(part, dir(found))}")
            found = getattr(found, part)
        return found
    raise ImportError("it has no dot in it.")


def _plain(cfg: DictConfig) -> Config:
    try:
        missing = sorted(key for key in OmegaConf.missing_keys(cfg) if not key.startswith("hydra."))
        plain = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        reason = str(error.msg or error).splitlines()[0]
        raise Refusal(f"{error.full_key or 'The configuration'} cannot be resolved: {reason}.") from error
    if missing:
        raise Refusal(f"{' and '.join(missing)} must be given: add {' '.join(f'{key}=…' for key in missing)}.")
    return {str(key): value for key, value in plain.items() if key != "hydra"} if isinstance(plain, dict) else {}


def _chosen(group: str, nodes: Config) -> Config:
    """Without what was set to null, and without settings, of an experiment say, for what was not chosen."""
    known = options(group, [Path(__file__).parent])
    return {
        name: node
        for name, node in nodes.items()
        if node is not None and not (name in known and isinstance(node, dict) and "_target_" not in node)
    }


def _usual() -> Any:
    """The configuration without the values that the command line gives; None outside Hydra's main function."""
    if not HydraConfig.initialized() or not GlobalHydra.instance().is_initialized():
        return None
    run = HydraConfig.get()
    groups = [c.input_line or "" for c in parsed(run.overrides.task) if c.key_or_group in run.runtime.choices]
    try:
        return OmegaConf.to_container(hydra.compose(run.job.config_name, groups), resolve=False)
    except (HydraException, OmegaConfBaseException):
        return None  # a value decides which groups there are


def _at(node: Any, path: str) -> Any:
    for name in path.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def _objects(config: Config) -> Iterator[tuple[str, Config]]:
    for group in ONE:
        yield group, config.get(group, {})
    for group in MANY:
        yield from ((f"{group}.{name}", node) for name, node in config[group].items())


def _checked_object(path: str, node: Config, usual: Any) -> Config:
    target = target_of(path, node)
    accepted, name = options_of(target), getattr(target, "__name__", str(target))
    given = {key: value for key, value in node.items() if not key.startswith("_")}
    for key in given:
        if key not in accepted.annotations and not accepted.open:
            possible = guess(key, accepted.annotations) or f" Possible: {listed(sorted(accepted.annotations))}."
            raise Refusal(f"{path}.{key} is not an option of {name}.{possible}")
    partly = node.get("_partial_") or "_args_" in node
    for key in sorted(accepted.required - given.keys()) if not partly else ():
        raise Refusal(f"{name} needs {path}.{key}: add {path}.{key}=…")
    return {
        key: _fitted(f"{path}.{key}", value, accepted.annotations.get(key, Any), _at(usual, key))
        for key, value in given.items()
    }


def _fitted(path: str, value: Any, annotation: Any, usual: Any) -> Any:
    """The value as its annotation says; where that says nothing, it must be of the usual value's kind."""
    if isinstance(value, dict) and "_target_" in value:
        return {**value, **_checked_object(path, value, usual)}
    try:
        value = fit(value, like(usual) if annotation is Any else annotation)
    except Mismatch:
        expected = described(like(usual) if annotation is Any else annotation)
        raise Refusal(f"{path}: expected {expected}, got {value!r}.") from None
    if isinstance(value, dict) and isinstance(usual, dict):
        return {key: _fitted(f"{path}.{key}", below, Any, usual.get(key)) for key, below in value.items()}
    return value
