"""Sentences for a person: what was asked, what is possible, what was probably meant."""

import difflib
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

FAILED, REFUSED, INTERRUPTED, TERMINATED = 1, 2, 130, 143


class Refusal(ValueError):
    """What was asked for cannot be done; the message says why, in a sentence or two."""


class Failure(RuntimeError):
    """A run began and came to a bad end; the message says what is left of it."""


def shown(path: str | Path) -> Path:
    """A path as short as it can be written here."""
    return Path(path).relative_to(Path.cwd()) if Path(path).is_relative_to(Path.cwd()) else Path(path)


def first_process() -> bool:
    """Whether this is the first of the processes of a run, or the one that will start the others."""
    return all(os.environ.get(rank, "0") == "0" for rank in ("LOCAL_RANK", "SLURM_PROCID"))


def guess(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """``" Did you mean …?"`` with the most similar of the names, or nothing."""
    close = difflib.get_close_matches(name, list(names), 1, cutoff)
    return f" Did you mean {close[0]}?" if close else ""


def listed(names: Iterable[str]) -> str:
    """The names with commas."""
    return ", ".join(names) or "none"


def exit_code(job: Callable[[], object]) -> int:
    """Runs a job and tells a person on stderr how it went wrong.

    Args:
        job: what to run.

    Returns:
        0, or 2 after a :class:`Refusal` and 1 after a :class:`Failure` (whose tracebacks the environment variable
        DEBUG=1 shows), 130 after Ctrl-C, 143 after SIGTERM, 1 after anything else, with its traceback.
    """
    try:
        job()
    except KeyboardInterrupt as stop:
        return _say(str(stop) or "Stopped.", INTERRUPTED)
    except Exception as error:
        if not isinstance(error, Refusal | Failure) or os.environ.get("DEBUG", "0") not in ("", "0"):
            traceback.print_exc()
        if isinstance(error, Refusal | Failure):
            return _say(str(error), REFUSED if isinstance(error, Refusal) else FAILED)
        return FAILED
    return 0


def _say(sentence: str, code: int) -> int:
    # Every process of a distributed run comes to the same end; one of them is enough to say so.
    if first_process():
        print(sentence, file=sys.stderr)
    return code
