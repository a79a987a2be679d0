"""Which key of a command line is no option, and which was probably meant."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lit_gans.configs.arguments import Composer, is_group, options
from lit_gans.configs.check import find
from lit_gans.configs.errors import guess, listed
from lit_gans.configs.signatures import options_of

SURE = 0.9
"""How similar a key must be to another for no other reason to be looked for."""
MOST_CHOICES = 3
"""That a sentence names."""


@dataclass
class Keys:
    """Compares the keys of values with those that there are.

    Attributes:
        folders: where options are looked for.
        compose: makes a configuration of overrides.
        overrides: those that were given; their choices of options are right.
        multirun: whether an override may have several values.
    """

    folders: Sequence[Path]
    compose: Composer
    overrides: Sequence[Override]
    multirun: bool

    def wrong(self) -> str | None:
        """What is wrong with the first key that is wrong."""
        for change in self.overrides:
            # Hydra's own options are Hydra's to explain.
            mine = not change.is_hydra_override() and not is_group(change.key_or_group, self.folders)
            if mine and not change.is_add() and not _has(self.base, change.key_or_group):
                return f"There is no option {change.key_or_group}{self.meant(change)}"
        return None

    @cached_property
    def base(self) -> DictConfig:
        """The configuration without the values that were given."""
        return self.composed()

    def composed(self, *more: str) -> DictConfig:
        """The configuration with the chosen options and nothing else changed."""
        chosen = [c.input_line or "" for c in self.overrides if is_group(c.key_or_group, self.folders)]
        return self.compose([_first(line) if self.multirun else line for line in (*chosen, *more)])

    def meant(self, change: Override) -> str:
        """The end of the sentence: what was probably meant, or what is possible."""
        key = change.key_or_group
        known = [*_keys(OmegaConf.to_container(self.base, resolve=False)), *self.groups]
        if sure := guess(key, known, SURE):
            return f".{sure}"
        if choice := self.choice_with(key):
            return f" without {choice}: add that."
        if taker := _taker(self.base, key):
            return f" in the configuration, but {taker} takes it: write +{change.input_line}."
        return f".{_similar(key, known) or self.possible(key)}"

    @property
    def groups(self) -> list[str]:
        """The names of all groups."""
        return sorted({path.parent.name for folder in self.folders for path in folder.glob("*/*.yaml")})

    def choice_with(self, key: str) -> str | None:
        """Which other choices of an option would bring the key, the first few; one where several go together."""
        group, *inner = key.split(".")
        if not inner or not is_group(group, self.folders):
            return None
        several, chosen = group in ("tricks", "callbacks"), self.base.hydra.runtime.choices.get(group)
        known = list(chosen or []) if OmegaConf.is_list(chosen) or not chosen else [str(chosen)]
        known = [name for name in known if name != "none"]  # which goes with nothing else
        found: list[str] = []
        for name, path in options(group, self.folders).items():
            if name in known or not any(part in path.read_text(encoding="utf-8") for part in inner):
                continue
            choice = f"{group}=[{','.join([*known, name])}]" if several else f"{group}={name}"
            try:
                found += [choice] if _has(self.composed(choice), key) else []
            except (HydraException, OmegaConfBaseException):
                continue  # an option that is broken itself
            if len(found) == (1 if several else MOST_CHOICES):
                break
        return " or ".join(found) or None

    def possible(self, key: str) -> str:
        """What there is in the nearest place that the key names."""
        place = key.rpartition(".")[0]
        while place and not isinstance(OmegaConf.select(self.base, place), DictConfig):
            place = place.rpartition(".")[0]
        if place:
            names = [str(name) for name in OmegaConf.select(self.base, place) if name != "_target_"]
            return f" Possible below {place}: {listed(names)}."
        names = [*self.groups, *(str(name) for name in self.base if name != "hydra")]
        return f" Possible: {listed(dict.fromkeys(names))}."


def _first(line: str) -> str:
    """The first value of a sweep."""
    key, _, value = line.partition("=")
    return line if value.startswith("[") else f"{key}={value.split(',')[0]}"


def _has(config: DictConfig, key: str) -> bool:
    missing = object()
    try:
        return OmegaConf.select(config, key, default=missing, throw_on_missing=False) is not missing
    except OmegaConfBaseException:
        return True  # there, and not to be resolved yet


def _keys(node: Any, above: str = "") -> Iterator[str]:
    for name, value in node.items() if isinstance(node, Mapping) else ():
        if (path := f"{above}{name}") != "hydra":
            yield path
            yield from _keys(value, f"{path}.")


def _similar(key: str, known: Sequence[str]) -> str:
    """The same name in another place, or one that looks alike."""
    place, _, leaf = key.rpartition(".")
    if same := [other for other in known if other.rpartition(".")[2] == leaf]:
        return f" Did you mean {' or '.join(same[:3])}?"
    beside = [other for other in known if other.rpartition(".")[0] == place]
    return guess(key, beside, 0.75) or guess(key, known, 0.8)


def _taker(base: DictConfig, key: str) -> str | None:
    """The name of the class that takes an option which its file does not list."""
    place, _, name = key.rpartition(".")
    node = OmegaConf.select(base, place) if place else None
    if not isinstance(node, DictConfig) or "_target_" not in node:
        return None
    try:
        target = find(node["_target_"])
    except Exception:
        return None  # that is said when the configuration is checked
    return str(target.__name__) if name in options_of(target).annotations else None
