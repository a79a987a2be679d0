"""What the names of files say: which are images, and which classes they form."""

from collections import Counter
from pathlib import PurePosixPath

import torch
from torch import Tensor

from lit_gans.data.decode import Held
from lit_gans.data.sources import Source

SUFFIXES = {".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm"}
SUFFIXES |= {".tga", ".tif", ".tiff", ".webp"}
"""Of the files that are taken for images; in capitals too."""

UNLABELLED_FOLDERS = {"unlabelled", "unlabeled"}
"""Beside folders that are classes."""


def suffix(name: str) -> str:
    """The end of a file's name, from the last dot, in small letters."""
    return PurePosixPath(name).suffix.lower()


def listed(words: list[str], most: int = 10) -> str:
    """The words with commas, cut after ``most`` of them."""
    return ", ".join([*words[:most], f"{len(words) - most:,} more"] if len(words) > most else words)


def others(source: Source) -> str:
    """The files that are no images, counted: ``"12 .txt, 1 .heic"``."""
    counts = Counter(suffix(name) or "without a suffix" for name in source.names if suffix(name) not in SUFFIXES)
    return listed([f"{count:,} {kind}" for kind, count in counts.most_common()], 5)


def image_names(source: Source) -> list[str]:
    """The files that are images by their names.

    Raises:
        FileNotFoundError: if there are none.
    """
    names = [name for name in source.names if suffix(name) in SUFFIXES]
    if names:
        return names
    if not source.names:
        raise FileNotFoundError(f"There are no images in {source.path}: it is empty.")
    zips = [name for name in source.names if suffix(name) == ".zip"]
    hint = f" data.path can be a zip, such as {source.path / zips[0]}." if zips else ""
    raise FileNotFoundError(
        f"There are no images in {source.path}: found {others(source)}. "
        f"Images end in {' '.join(sorted(SUFFIXES))}.{hint}"
    )


def within(names: list[str]) -> list[tuple[str, ...]]:
    """The parts of the names, without the folders that are around all of them."""
    parts = [PurePosixPath(name).parts for name in names]
    shared = 0
    while all(len(part) > shared + 1 for part in parts) and len({part[shared] for part in parts}) == 1:
        shared += 1
    return [part[shared:] for part in parts]


def classes_of(names: list[str]) -> tuple[list[str], Tensor | None]:
    """Classes from subfolders: their names, sorted, and the label of each file; none if any file is in no subfolder.

    Files of a subfolder ``unlabelled`` beside others have the label -1.
    """
    parts = within(names)
    if any(len(part) == 1 for part in parts):
        return [], None
    classes = sorted({part[0] for part in parts} - UNLABELLED_FOLDERS)
    numbers = {name: number for number, name in enumerate(classes)}
    return classes, torch.tensor([numbers.get(part[0], -1) for part in parts]) if classes else None


def summary(source: Source, names: list[str], held: list[Held], asked: int) -> str:
    """What was found, for a person: sizes, kinds, classes, what was left out.

    Args:
        source: where the files are.
        names: those that could be read.
        held: what they hold.
        asked: how many there were to read.
    """
    sizes = sorted({(image.width * image.height, f"{image.width}x{image.height}") for image in held})
    modes = Counter(image.mode for image in held)
    told = [
        f"{source.path}: {sizes[0][1]}" + (f" to {sizes[-1][1]}" if len(sizes) > 1 else "") + " pixels",
        listed([f"{count:,} {mode}" for mode, count in modes.most_common()]),
    ]
    parts = within(names)
    loose = ["/".join(part) for part in parts if len(part) == 1]
    if not loose:
        told.append(listed([f"{name} {count:,}" for name, count in sorted(Counter(p[0] for p in parts).items())]))
    elif len(loose) < len(parts):
        told.append(f"no classes, because of what lies outside the subfolders ({listed(loose, 3)})")
    unread = asked - len(names)
    left_out = [others(source), f"{unread:,} unreadable" if unread else ""]
    if any(left_out):
        told.append(f"left out: {', '.join(filter(None, left_out))}")
    return "; ".join(told) + "."
