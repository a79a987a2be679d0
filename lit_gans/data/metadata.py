"""Files that say which captions images have: ``metadata.jsonl`` or ``metadata.csv`` beside them."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from lit_gans.data.layout import listed
from lit_gans.data.sources import Source

FILES = ("metadata.jsonl", "metadata.csv", "captions.jsonl", "captions.csv")
FILE_NAMES, TEXTS, SPLIT = ("file_name", "file"), ("text", "texts", "caption", "captions"), "split"
"""What a row's file, its captions and its part of the data may be called."""


def read_captions(source: Source, split: str | None = None) -> dict[str, list[str]]:
    """The captions of each image that a source has some of, by the image's name.

    Each row names a file, relative to where the rows are, and one caption or a list of them; several rows may name one
    file. Blank captions are left out; an image without any other has none, an empty list.

    Args:
        source: the folder or zip.
        split: the rows to take, by their column ``split``; None for all.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if there are several, or it cannot be understood, or names images that are not there.
    """
    found = [name for name in source.names if PurePosixPath(name).name.lower() in FILES]
    if not found:
        raise FileNotFoundError(
            f"There are no captions in {source.path}: put a metadata.jsonl beside the images, with a line such as "
            '{"file_name": "0001.png", "text": ["a red bird", "a small bird on a branch"]} for each, or a metadata.csv '
            "with the columns file_name and text. data=folder has no need of captions."
        )
    if len(found) > 1:
        raise ValueError(f"{source.path} has several files of captions, {listed(found)}: leave one.")
    rows, folder = list(rows_of(source, found[0])), PurePosixPath(found[0]).parent
    captions: dict[str, list[str]] = {}
    for place, row in rows:
        name, texts = row_of(f"{source.path / found[0]}, {place}", row)
        if split is None or row.get(SPLIT) == split:
            captions.setdefault((folder / name).as_posix(), []).extend(texts)
    if not captions:
        splits = listed(sorted({str(row.get(SPLIT)) for _, row in rows if row.get(SPLIT) is not None})) or "no splits"
        raise ValueError(
            f"{source.path / found[0]} has no rows" + (f" of data.split={split}: it has {splits}." if split else ".")
        )
    missing = sorted(captions.keys() - set(source.names))
    if missing:
        raise ValueError(
            f"{source.path / found[0]} has captions of {len(missing):,} images that are not there: {listed(missing)}. "
            "File names are relative to it."
        )
    return captions


def rows_of(source: Source, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each row of a file, and where it is, for an error."""
    with source.open(name) as file:
        data = file.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source.path / name} is not in UTF-8 ({error}): save it as UTF-8.") from error
    if name.lower().endswith(".csv"):
        yield from ((f"row {number}", row) for number, row in enumerate(csv.DictReader(io.StringIO(text)), 2))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{source.path / name}, line {number} is no JSON ({error}).") from error
        if not isinstance(row, dict):
            raise ValueError(f"{source.path / name}, line {number} is no object of names and values: {line[:60]}")
        yield f"line {number}", row


def row_of(place: str, row: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The file that a row names, and its captions.

    Raises:
        ValueError: if one of them is not there, or no text.
    """
    name = next((row[key] for key in FILE_NAMES if row.get(key) is not None), None)
    texts = next((row[key] for key in TEXTS if row.get(key) is not None), None)
    if name is None or texts is None:
        raise ValueError(
            f"{place} must have {FILE_NAMES[0]} and {TEXTS[0]}; it has {listed([str(key) for key in row]) or 'none'}."
        )
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(name, str) or not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{place}: {FILE_NAMES[0]} must be a text, {TEXTS[0]} a text or a list of texts.")
    return name.replace("\\", "/"), [" ".join(text.split()) for text in texts if text.strip()]
