"""Which labels are told: the few of semi-supervised learning; -1 stands for a label that is not."""

import csv
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from lit_gans.data.layout import listed
from lit_gans.data.order import keyed_generator

UNLABELLED = -1


def check_labels(labels: Tensor, class_names: Sequence[str]) -> None:
    """Makes sure that a classifier can learn from these.

    Args:
        labels: ``(N,)`` int64, -1 for unlabelled.
        class_names: K of them.

    Raises:
        ValueError: if a label is out of range, or a class has none.
    """
    out = sorted(set(labels[(labels < UNLABELLED) | (labels >= len(class_names))].tolist()))
    if out:
        raise ValueError(
            f"Labels must be 0 to {len(class_names) - 1}, one for each class, or -1 for unlabelled; the data have "
            f"{listed([str(label) for label in out])}."
        )
    counts = torch.bincount(labels[labels >= 0], minlength=len(class_names))
    empty = [name for name, count in zip(class_names, counts.tolist(), strict=True) if not count]
    if empty:
        raise ValueError(f"No sample has the label of {listed(empty)}: a class needs at least one.")


def few_labels(labels: Tensor | None, count: int, class_names: Sequence[str], seed: int) -> Tensor:
    """Keeps ``count`` labels, as many of each class, and hides the others as -1.

    Where the classes cannot have equally many, some of them, drawn by the seed, have one more.

    Args:
        labels: ``(N,)`` int64; -1 stays -1.
        count: of the labels that are told, of all classes together.
        class_names: one for each class.
        seed: of the choice.

    Raises:
        ValueError: if there are not so many, or fewer than classes.
    """
    if labels is None or not class_names:
        raise ValueError("data.num_labelled chooses among labels, and the data have none: leave it out.")
    known, classes = int((labels >= 0).sum()), len(class_names)
    if count < classes:
        raise ValueError(f"data.num_labelled={count} is fewer than the {classes} classes: use at least {classes}.")
    if count > known:
        raise ValueError(f"data.num_labelled={count:,} is more than the {known:,} labels that there are.")
    generator = keyed_generator(seed, "labelled")
    more = set(torch.randperm(classes, generator=generator)[: count % classes].tolist())
    kept = torch.full_like(labels, UNLABELLED)
    for number, name in enumerate(class_names):
        own, wanted = (labels == number).nonzero().flatten(), count // classes + (number in more)
        if wanted > len(own):
            raise ValueError(
                f"data.num_labelled={count:,} takes {wanted:,} of each class, but {name} has {len(own):,}: use at most "
                f"{classes * len(own):,}."
            )
        kept[own[torch.randperm(len(own), generator=generator)[:wanted]]] = number
    return kept


def read_labels(path: Path, names: Sequence[str]) -> tuple[list[str], Tensor]:
    """Classes, sorted, and a label for each name, from a CSV with the columns ``file`` and ``label``.

    A file that it does not name, or whose label is empty, is unlabelled.

    Args:
        path: of the CSV.
        names: of the files, as the CSV has them.

    Raises:
        FileNotFoundError: if there is no such CSV.
        ValueError: if it lacks a column, or names a file that is not there.
    """
    if not path.is_file():
        raise FileNotFoundError(f"data.labels={path} is not a file.")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = {"file", "label"} - set(reader.fieldnames or [])
        rows = [] if missing else [(row["file"], (row["label"] or "").strip()) for row in reader]
    if missing:
        raise ValueError(f"{path} has no column {listed(sorted(missing))}: its first line must be file,label.")
    told = {name: label for name, label in rows if label}
    if unknown := sorted(told.keys() - set(names)):
        raise ValueError(f"{path} has labels of files that are not there: {listed(unknown)}.")
    if not told:
        raise ValueError(f"{path} has no label: leave data.labels out.")
    classes = sorted(set(told.values()))
    numbers = {name: number for number, name in enumerate(classes)}
    return classes, torch.tensor([numbers[told[name]] if name in told else UNLABELLED for name in names])
