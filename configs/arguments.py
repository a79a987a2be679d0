"""The command line before Hydra sees it: what it asks for, which folders hold options, which overrides there are."""

import argparse
import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from typing_extensions import override

from lit_gans.configs.errors import Refusal

PACKAGE, PRIMARY, VERSION_BASE = "lit_gans.configs", "train", "1.3"

SWITCHES = (
    *(("--help", "-h"), ("--hydra-help",), ("--version",), ("--resolve",), ("--shell-completion", "-sc")),
    *(("--run", "-r"), ("--multirun", "-m")),
)
VALUES = (
    *(("--cfg", "-c"), ("--package", "-p"), ("--config-path", "-cp"), ("--config-name", "-cn")),
    *(("--config-dir", "-cd"), ("--experimental-rerun",)),
)
"""Hydra's flags, without a value and with one; --info has one or none."""

Composer = Callable[[list[str]], DictConfig]


class _Parser(argparse.ArgumentParser):
    @override
    def error(self, message: str) -> NoReturn:
        raise Refusal(f"{message[0].upper()}{message[1:]}. Options are written key=value; see --help.")


@dataclass(frozen=True)
class Arguments:
    """What the command line says.

    Attributes:
        help: it asks for help.
        version: it asks for the version.
        trains: it asks for a run, or several, and not for information.
        multirun: it asks for several runs.
        config_dir: a folder with options of the user's own.
        flags: all that begins with a dash, with its values.
        overrides: ``key=value`` and the like.
    """

    help: bool
    version: bool
    trains: bool
    multirun: bool
    config_dir: str | None
    flags: list[str]
    overrides: list[str]

    @property
    def folders(self) -> list[Path]:
        """Where options are looked for: the package, then the user's own folders."""
        found = [Path(str(files(PACKAGE)))]
        for place in self.searchpath:
            scheme, _, rest = place.rpartition("://")
            with contextlib.suppress(ModuleNotFoundError):
                found.append(Path(str(files(rest.replace("/", ".")))) if scheme == "pkg" else Path(rest))
        return found

    @property
    def searchpath(self) -> list[str]:
        """The user's own folders, as Hydra writes them."""
        own = [] if self.config_dir is None else [f"file://{os.path.abspath(self.config_dir)}"]
        for change in parsed(self.overrides):
            value = change.value()
            if change.key_or_group == "hydra.searchpath" and isinstance(value, list):
                own += [str(place) for place in value]
        return own

    @contextlib.contextmanager
    def composer(self) -> Iterator[Composer]:
        """A function that composes the configuration of other overrides in the same folders."""
        GlobalHydra.instance().clear()
        own = ", ".join(f"'{place}'" for place in self.searchpath)
        with hydra.initialize_config_module(PACKAGE, version_base=VERSION_BASE):
            yield partial(_compose, [f"hydra.searchpath=[{own}]"] if own else [])


def _compose(always: list[str], overrides: list[str]) -> DictConfig:
    return hydra.compose(PRIMARY, [*always, *overrides], return_hydra_config=True)


def read(arguments: Sequence[str]) -> Arguments:
    """Reads a command line.

    Raises:
        Refusal: if it has a flag that there is not, or names a folder that there is not.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    for flags in SWITCHES:
        parser.add_argument(*flags, action="store_true")
    for flags in VALUES:
        parser.add_argument(*flags)
    parser.add_argument("--info", "-i", nargs="?", const="all")
    given, unknown = parser.parse_known_intermixed_args(arguments)
    if unknown:
        name = unknown[0].lstrip("-")
        raise Refusal(f"There is no flag {unknown[0]}. Options are written key=value, as in model=dcgan: {name}=…")
    folder = "hydra.sweep.dir=" if given.multirun else "hydra.run.dir="  # which Hydra makes, and run_dir is then
    overrides = [re.sub("^run_dir=", folder, text) for text in given.overrides]
    informs = given.hydra_help or given.shell_completion or given.cfg or given.info or given.experimental_rerun
    if given.config_dir is not None and not Path(given.config_dir).is_dir():
        raise Refusal(f"--config-dir {given.config_dir}: there is no such folder.")
    return Arguments(
        help=given.help,
        version=given.version,
        trains=not (informs or given.help or given.version),
        multirun=given.multirun,
        config_dir=given.config_dir,
        flags=[argument for argument in arguments if argument not in given.overrides],
        overrides=overrides,
    )


def parsed(overrides: Sequence[str]) -> list[Override]:
    """The overrides that can be read."""
    found: list[Override] = []
    for text in overrides:
        with contextlib.suppress(HydraException):
            found += OverridesParser.create().parse_overrides([text])
    return found


def options(group: str, folders: Sequence[Path]) -> dict[str, Path]:
    """The files of a group by name, those of the first folder winning."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted((folder / group).glob("*.yaml")):
            found.setdefault(path.stem, path)
    return found


def is_group(name: str, folders: Sequence[Path]) -> bool:
    """Whether a key names a group and not a value."""
    return bool(name) and "." not in name and any((folder / name).is_dir() for folder in folders)


def summary(path: Path) -> str:
    """The first line of comment in a file that is not a directive."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and not line.startswith("# @"):
            return line.lstrip("# ").rstrip()
    return ""
