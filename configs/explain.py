"""Why Hydra could not make a configuration of a command line, for a person."""

from collections.abc import Iterator

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from lit_gans.configs.arguments import Arguments, is_group, options, parsed
from lit_gans.configs.check import MANY
from lit_gans.configs.errors import Refusal, guess, listed
from lit_gans.configs.keys import Keys

KINDS = {"tricks": "trick", "data": "data set", "callbacks": "set of callbacks", "debug": "debugging option"}


def explained(error: Exception, arguments: Arguments) -> Exception:
    """A :class:`Refusal` in the place of an exception that the command line or a file of options caused.

    Any other exception is returned as it is.
    """
    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, Refusal):
            return cause
        if isinstance(cause, OverrideParseException):
            return Refusal(_unreadable(cause.override))
        if (mark := getattr(cause, "problem_mark", None)) is not None:
            return Refusal(f"{mark.name}, line {mark.line + 1}, is not YAML: {getattr(cause, 'problem', cause)}.")
    if not isinstance(error, HydraException | OmegaConfBaseException | ValueError):
        return error
    if sentence := wrong_choice(arguments) or _wrong_key(arguments):
        return Refusal(sentence)
    lines = dict.fromkeys(str(cause).strip().partition("\n")[0] for cause in chain)
    return error if isinstance(error, ValueError) else Refusal(" ".join(lines))


def wrong_choice(arguments: Arguments) -> str | None:
    """What is wrong with the first choice of a group's option that is wrong."""
    for change in parsed(arguments.overrides):
        if change.is_sweep_override() and not arguments.multirun:
            key, _, values = (change.input_line or "").partition("=")
            return f"{key}={values} has several values: add -m to run one after another, or write {key}=[{values}]."
        if is_group(change.key_or_group, arguments.folders) and (wrong := _wrong_option(change, arguments)):
            return wrong
    return None


def _wrong_option(change: Override, arguments: Arguments) -> str | None:
    group, possible = change.key_or_group, options(change.key_or_group, arguments.folders)
    if change.is_delete():
        return None
    value = change.value()
    if value is None:
        return f"{group}= needs one of: {listed(possible)}. Leave {group} out for its default."
    if isinstance(value, list) and group not in MANY:
        return f"{group} takes one name, not a list: {' or '.join(f'{group}={name}' for name in value)}."
    # A sweep has its values in a list of its own; one that names none is Hydra's to explain.
    for name in map(str, getattr(value, "list", value if isinstance(value, list) else [value])):
        if name not in possible:
            kind = KINDS.get(group, group)
            return f"There is no {kind} called {name!r}.{guess(name, possible)} Possible: {listed(possible)}."
    return None


def _wrong_key(arguments: Arguments) -> str | None:
    try:
        with arguments.composer() as compose:
            return Keys(arguments.folders, compose, parsed(arguments.overrides), arguments.multirun).wrong()
    except (HydraException, OmegaConfBaseException, ValueError):
        return None  # something else is wrong, too


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _unreadable(text: str) -> str:
    if "=" not in text:
        return f"{text!r} cannot be read: options are written key=value, as in model=dcgan."
    key, _, value = text.partition("=")
    return (
        f"{text!r} cannot be read: lists are written [1,2], and text with special characters goes between quotes, as "
        f"in '{key}=\"{value}\"'."
    )
