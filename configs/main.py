"""The command ``lit-gans``, which is ``python train.py``: one run, from options to a report."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

import lit_gans
from lit_gans import __version__
from lit_gans.configs import help
from lit_gans.configs.arguments import PACKAGE, PRIMARY, VERSION_BASE, read
from lit_gans.configs.check import checked
from lit_gans.configs.errors import REFUSED, Refusal, exit_code
from lit_gans.configs.explain import explained, wrong_choice
from lit_gans.configs.resume import check_folder, last_run, wants_last


def train(cfg: DictConfig) -> dict[str, float]:
    """One run of a configuration composed from the groups of this package.

    Returns:
        The last value of everything that was published.

    Raises:
        Refusal: if it cannot be done as asked, before training starts.
        Failure: if it ended with NaN or infinity; the message says where the last good checkpoint is.
        KeyboardInterrupt: if it was stopped by Ctrl-C; the message says where its checkpoint is.
    """
    check_folder()
    config = checked(cfg)
    # Only now: torch and Lightning take seconds to import.
    from lightning import seed_everything

    from lit_gans.configs import build, outcome, resume, run

    with run.refusing():
        run.set_threads(config["threads"])
        seed_everything(config["seed"], workers=True, verbose=False)
        data = build.data(config)
        model = build.model(config)
        path, checkpoint = resume.start(config, model)
        start = run.Start(config)
        start.look_ahead(model, data)
        loggers = build.loggers(config, checkpoint.get("wandb_id"))
        trainer = build.trainer(config, [start, *build.callbacks(config)], loggers)
    run.fit(trainer, model, data, path)
    outcome.report(config)
    outcome.check(config, trainer, model)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


NOISE = (
    "GPU available",
    "TPU available",
    "💡",
    "`Trainer.fit` stopped",
    "---",
    "Restoring states",
    "Restored all states",
    "\nDetected KeyboardInterrupt",
    "Stopped within",
    "Stopped after",
)
"""How messages begin that advertise, or say what lines of our own say better."""


@hydra.main(version_base=VERSION_BASE, config_path=f"pkg://{PACKAGE}", config_name=PRIMARY)
def _job(cfg: DictConfig) -> None:
    run = HydraConfig.get()
    if run.mode == RunMode.MULTIRUN:
        print(f"Run {run.job.num + 1}: {run.job.override_dirname}", flush=True)
    # Here and not outside: Hydra would print its own view of an exception first.
    code = exit_code(lambda: train(cfg))
    if code == REFUSED:
        _remove_empty(Path(run.runtime.output_dir))
    if code:
        raise SystemExit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line.

    Args:
        arguments: without the program's name; the process's own if not given.

    Returns:
        The exit code: 0, 1 after a run that broke down or an error of the program, 2 after a refusal, 130 after Ctrl-C,
        143 after SIGTERM.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    # A class of one's own lies where the command is typed; an installed command would not look there.
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())
    try:
        return exit_code(lambda: _dispatch(given))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)


def _dispatch(given: list[str]) -> None:
    arguments = read(given)
    if arguments.help:
        print(help.text(arguments), end="")
        return
    if arguments.version:
        print(f"lit_gans {__version__}")
        return
    overrides = arguments.overrides
    try:
        # Before Hydra: it would make a folder for a sweep, and leave out an optional option without a word.
        if arguments.trains and (sentence := wrong_choice(arguments)):
            raise Refusal(sentence)
        if arguments.trains and wants_last(arguments):
            folder = last_run(arguments)
            overrides = [*overrides, "hydra.run.dir='{}'".format(str(folder).replace("'", r"\'"))]
        _quieten()
        # Hydra wants all overrides in one place.
        with _hydra_sees([*arguments.flags, *overrides]):
            _job()
    except Exception as error:
        raise explained(error, arguments) from error


def _remove_empty(folder: Path) -> None:
    """Removes a folder that Hydra made for nothing, and those above it, inside the one where the command is typed."""
    with suppress(OSError):
        while Path.cwd() in folder.parents:
            folder.rmdir()
            folder = folder.parent


def _quieten() -> None:
    """Leaves out what misleads or advertises; all else that Lightning says is shown."""
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    logger.addFilter(_worth_saying)
    # Of Lightning's own use of torch.
    warnings.filterwarnings("ignore", message=r".*LeafSpec.* is deprecated")
    # data.num_workers is automatic: data in memory need none.
    warnings.filterwarnings("ignore", message=r"The 'train_dataloader' does not have many workers")
    warnings.formatwarning = _plainly


_with_its_place = warnings.formatwarning


def _plainly(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning of our own is a sentence for a person; others are shown with the place in the code."""
    ours = Path(lit_gans.__file__).parent in Path(filename).parents
    return f"{message}\n" if ours else _with_its_place(message, category, filename, lineno, line)


def _worth_saying(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(NOISE)


@contextmanager
def _hydra_sees(arguments: list[str]) -> Iterator[None]:
    """Hydra, and the processes that Lightning starts, read the command line; and Hydra lets exceptions through."""
    argv, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = [argv[0], *arguments], "1"
    try:
        yield
    finally:
        sys.argv = argv
        os.environ.pop("HYDRA_FULL_ERROR")
        if full is not None:
            os.environ["HYDRA_FULL_ERROR"] = full
