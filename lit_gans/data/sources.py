"""Where the files of a folder data set are: under a folder, or in a zip that is never unpacked."""

import difflib
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any
from zipfile import BadZipFile, ZipFile, ZipInfo, is_zipfile

from typing_extensions import override


class Source(ABC):
    """Files by their names relative to ``path``, with ``/`` between the parts.

    Args:
        path: the folder, or the zip.

    Attributes:
        names: of all files but hidden ones, sorted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = sorted(name for name in self.all_names() if not hidden(name))

    @abstractmethod
    def all_names(self) -> Iterator[str]:
        """The names of all files."""

    @abstractmethod
    def open(self, name: str) -> IO[bytes]:
        """A file, from its beginning."""

    @abstractmethod
    def stamp(self, name: str) -> str:
        """What changes when the file does."""


class FolderSource(Source):
    """A folder and the folders in it, links included."""

    @override
    def all_names(self) -> Iterator[str]:
        seen = set()
        for folder, inner, files in os.walk(self.path, followlinks=True):
            place = os.path.realpath(folder)
            if place in seen:  # a link to a folder around it
                inner.clear()
                continue
            seen.add(place)
            yield from (Path(folder, file).relative_to(self.path).as_posix() for file in files)

    @override
    def open(self, name: str) -> IO[bytes]:
        return (self.path / name).open("rb")

    @override
    def stamp(self, name: str) -> str:
        state = (self.path / name).stat()
        return f"{state.st_size} {state.st_mtime_ns}"


class ZipSource(Source):
    """A zip, read where it is.

    Raises:
        ValueError: if a member's name leads out of the archive, or the archive is encrypted.
    """

    def __init__(self, path: Path) -> None:
        self._opened: tuple[int, ZipFile] | None = None
        with ZipFile(path) as archive:
            self.members = {member.filename: member for member in archive.infolist() if not member.is_dir()}
        for member in self.members.values():
            check_member(path, member)
        super().__init__(path)

    @override
    def all_names(self) -> Iterator[str]:
        return iter(self.members)

    @override
    def open(self, name: str) -> IO[bytes]:
        return io.BytesIO(self.archive().read(name))

    @override
    def stamp(self, name: str) -> str:
        return f"{self.members[name].file_size} {self.members[name].CRC}"

    def archive(self) -> ZipFile:
        """The open zip, of this process: a worker that shared one would share its place in the file."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), ZipFile(self.path))
        return self._opened[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}


def check_member(path: Path, member: ZipInfo) -> None:
    """Refuses what no honest archive of images holds."""
    name = PurePosixPath(member.filename.replace("\\", "/"))
    if ".." in name.parts or name.is_absolute() or ":" in member.filename[:2]:
        raise ValueError(
            f"{path} holds a file named {member.filename!r}, which leads out of the archive: such a zip is not to be "
            "trusted. Make one of the images alone."
        )
    if member.flag_bits & 1:
        raise ValueError(f"{path} is encrypted: make a zip without a password, or unpack it and name the folder.")


def hidden(name: str) -> bool:
    """Whether a file is left behind by a system rather than meant, such as ``.DS_Store``."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def open_source(path: str | None) -> Source:
    """The files at ``path``.

    Raises:
        ValueError: if ``path`` is None, or a file that is no readable zip.
        FileNotFoundError: if there is nothing at ``path``.
    """
    if not path:
        raise ValueError("A folder of images needs its place: data.path=FOLDER, or data.path=FILE.zip.")
    place = Path(path).expanduser()
    if not place.exists():
        raise FileNotFoundError(f"data.path={path} does not exist{nearest(place.absolute())}")
    if place.is_dir():
        return FolderSource(place)
    try:
        if is_zipfile(place):
            return ZipSource(place)
    except BadZipFile as error:
        raise ValueError(f"data.path={path} is a damaged zip ({error}): make it again.") from error
    raise ValueError(
        f"data.path={path} is neither a folder nor a zip. Name the folder that the images are in; unpack other "
        "archives first."
    )


def nearest(place: Path) -> str:
    """How a sentence about a missing path goes on: what was probably meant, or where the path breaks off."""
    parent = next(parent for parent in place.parents if parent.exists())
    missing = place.relative_to(parent).parts[0]
    others = sorted(other.name for other in parent.iterdir()) if parent.is_dir() else []
    close = difflib.get_close_matches(missing, others, 1)
    return f". Did you mean {parent / close[0]}?" if close else f": {parent} has no {missing!r}."
