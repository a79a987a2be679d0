"""`python train.py --help`."""

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from lit_gans.configs.arguments import Arguments, options, summary
from lit_gans.configs.errors import listed

WIDTH = 80

HEADER = """\
lit_gans: trains a GAN and shows what it learns.

  {command} [group=option …] [key=value …]

Without options: DCGAN on handwritten digits that are bundled, in under two
minutes on two CPU cores. Everything a run makes lies in its folder under runs/:
pictures, progress.gif, metrics.csv, checkpoints/, report.html, config.yaml.
"""

LISTS = {"model": "Models", "tricks": "Tricks, which go with any model", "data": "Data sets"}
NAMES = {
    "trainer": "Trainers",
    "callbacks": "Callbacks",
    "logger": "Loggers",
    "experiment": "Experiments",
    "debug": "Debugging",
}

KEYS = {
    "seed=N": "equal seeds give equal runs",
    "ckpt_path=last": "go on with this model's newest run; or a checkpoint's path",
    "weights=PATH": "begin with the weights in a checkpoint",
    "trainer.max_steps=N": "generator updates",
    "trainer.devices=N": "how many devices; with trainer=ddp",
    "trainer.precision=bf16-mixed": "faster where the hardware has it",
    "data.batch_size=N": "of all devices together",
    "data.path=FOLDER": "pictures, for data=folder",
    "model.n_critic=N": "discriminator updates for each of the generator's",
    "model.compile=true": "compile the networks",
    "tricks.NAME.OPTION=VALUE": "an option of a trick that was chosen",
    "run_dir=FOLDER": "the run's folder",
}

EXAMPLES = {
    "": "digits, now",
    "data=folder data.path=FOLDER data.image_size=64": "pictures of one's own",
    "model=wgan_gp data=fashion_mnist trainer=gpu": "another model, other data",
    "'tricks=[r1,label_smoothing]' tricks.r1.r1_gamma=5": "tricks",
    "ckpt_path=last trainer.max_steps=5000": "the last run, for longer",
    "-m seed=1,2,3 model=dcgan,wgan_gp logger=csv": "six runs, one after another",
}

FOOTER = """\
The whole configuration of a run: --cfg job. Tab completion, here for bash:
  eval "$({command} -sc install=bash)"
Options of one's own, such as my/model/mine.yaml: --config-dir my
"""


def text(arguments: Arguments) -> str:
    """The help, in 80 columns, with the options of the user's own folders."""
    command = "lit-gans" if Path(sys.argv[0]).stem == "lit-gans" else f"python {Path(sys.argv[0]).name}"
    folders = arguments.folders
    parts = [HEADER.format(command=command)]
    parts += [_list(title, group, folders) for group, title in LISTS.items()]
    parts += ["\n".join(_names(title, group, folders) for group, title in NAMES.items()) + "\n"]
    parts += ["Options\n" + "".join(_line(key, meaning, 30) for key, meaning in KEYS.items())]
    parts += [
        "Examples\n" + "".join(f"  # {why}\n  {command} {more}".rstrip() + "\n" for more, why in EXAMPLES.items())
    ]
    return "\n".join([*parts, FOOTER.format(command=command)])


def _list(title: str, group: str, folders: Sequence[Path]) -> str:
    lines = [_line(name, summary(path), 17) for name, path in options(group, folders).items()]
    return f"{title} ({group}=…)\n" + "".join(lines)


def _line(name: str, meaning: str, column: int) -> str:
    indent = " " * (column + 2)
    start = f"  {name:{column}}" if len(name) < column else f"  {name}  "
    return textwrap.fill(meaning, WIDTH, initial_indent=start, subsequent_indent=indent).rstrip() + "\n"


def _names(title: str, group: str, folders: Sequence[Path]) -> str:
    start = f"{f'{title} ({group}=…)':28}"
    return textwrap.fill(listed(options(group, folders)), WIDTH, initial_indent=start, subsequent_indent=" " * 28)
