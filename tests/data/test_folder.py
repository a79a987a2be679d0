"""A person's own images: every layout, every sort of trouble."""

import io
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lit_gans.data import Folder
from lit_gans.data.folder import Decoded
from lit_gans.data.samples import InMemory

SIZE = 16


def picture(number: int, size: tuple[int, int] = (SIZE, SIZE), mode: str = "RGB") -> Image.Image:
    values = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def put(folder: Path, *names: str, **options: Any) -> Path:
    """Pictures, each made from its own name, so that a test can tell which it sees."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number(name), **options).save(path)
    return folder


def number(name: str) -> int:
    return sum(map(ord, Path(name).name))


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return target


def made(path: Path | str | None, **options: Any) -> Folder:
    data = Folder(**{"path": path and str(path), "image_size": SIZE, "batch_size": 1, "num_workers": 0, **options})
    data.prepare_data()
    data.setup("fit")
    return data


def shows(data: Folder, names: Sequence[str]) -> bool:
    """Whether the samples are these pictures, in this order."""
    seen = data.train_dataset.__getitems__(range(len(data.train_dataset)))["image"]
    wanted = [np.asarray(picture(number(name))).transpose(2, 0, 1) for name in names]
    return seen.tolist() == np.stack(wanted).tolist()


# Layouts


FLAT = ["a.png", "b.PNG", "c.bmp"]
NESTED = ["cat/1.png", "cat/deep/2.png", "dog/3.png"]


@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize("archive", [False, True])
def test_a_flat_folder(archive: bool, memory: bool, tmp_path: Path) -> None:
    folder = put(tmp_path / "pictures", *FLAT)
    data = made(zipped(folder, tmp_path / "p.zip") if archive else folder, in_memory=memory)
    assert shows(data, FLAT)
    assert isinstance(data.train_dataset, InMemory if memory else Decoded)
    assert (data.num_classes, data.class_names, set(data.train_dataset[0])) == (0, [], {"image"})
    assert data.train_dataset[1]["image"].shape == data.shape == (3, SIZE, SIZE)


@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("around", ["", "archive/images/"])
def test_subfolders_are_classes(around: str, archive: bool, memory: bool, tmp_path: Path) -> None:
    names = [around + name for name in NESTED]
    folder = put(tmp_path / "pictures", *names)
    data = made(zipped(folder, tmp_path / "p.zip") if archive else folder, in_memory=memory)
    assert shows(data, names)
    assert (data.num_classes, data.class_names) == (2, ["cat", "dog"])
    assert data.train_dataset.__getitems__([2, 0, 1])["label"].tolist() == [1, 0, 0]
    assert data.train_dataset[2]["label"].dtype == torch.int64


def test_a_folder_around_everything_is_no_class(tmp_path: Path) -> None:
    assert made(put(tmp_path, "photos/1.png", "photos/2.png")).num_classes == 0
    assert made(put(tmp_path / "one", "photos/1.png")).num_classes == 0


def test_an_image_outside_the_subfolders_leaves_no_classes(tmp_path: Path) -> None:
    data = made(put(tmp_path, *NESTED, "cover.png"))
    assert (data.num_classes, len(data.train_dataset)) == (0, 4)
    assert "no classes, because of what lies outside the subfolders (cover.png)" in data.describe()


def test_systems_own_files_and_others_are_left_out(tmp_path: Path) -> None:
    folder = put(tmp_path / "pictures", *FLAT)
    for name in (".DS_Store", "__MACOSX/._a.png", ".cache/a.png", "readme.txt", "more.txt", "LICENSE"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"something")
    for path in (folder, zipped(folder, tmp_path / "p.zip")):
        assert shows(made(path), FLAT)
        assert made(path).describe().endswith("left out: 2 .txt, 1 without a suffix.")


def test_links_are_followed_and_end(tmp_path: Path) -> None:
    folder = put(tmp_path / "pictures", "cat/1.png")
    (folder / "dog").symlink_to(put(tmp_path / "elsewhere", "3.png"))
    (folder / "dog" / "back").symlink_to(folder)
    assert made(folder).class_names == ["cat", "dog"]
    assert len(made(folder).train_dataset) == 2


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(put(tmp_path, *FLAT)))
    assert shows(made("~"), FLAT)


def test_kinds_and_sizes_are_brought_together_and_told(tmp_path: Path) -> None:
    put(tmp_path, "grey.png", mode="L")
    put(tmp_path, "palette.png", "large.png", size=(50, 30), mode="P")
    put(tmp_path, "small.png", size=(3, 9), mode="RGBA")
    data = made(tmp_path)
    assert data.describe() == (
        f"Folder: 4 RGB images of 16x16 pixels.\n{tmp_path}: 3x9 to 50x30 pixels; 2 P, 1 L, 1 RGBA."
    )
    assert made(tmp_path, image_channels=1).shape == made(tmp_path, image_channels=1).train_dataset[0]["image"].shape


def test_classes_are_told_with_their_counts(tmp_path: Path) -> None:
    first, second = made(put(tmp_path, *NESTED)).describe().splitlines()
    assert first == "Folder: 3 RGB images of 16x16 pixels, 2 classes (cat, dog)."
    assert second == f"{tmp_path}: 16x16 pixels; 3 RGB; cat 2, dog 1."
    many = put(tmp_path / "many", *[f"{i:02}/x.png" for i in range(13)])
    assert "13 classes (00, 01, 02, 03, 04, 05, 06, 07, 08, 09, 3 more)" in made(many).describe()


# Memory


def test_what_fits_is_held_and_the_rest_is_read_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, *FLAT)
    assert isinstance(made(tmp_path).train_dataset, InMemory)
    monkeypatch.setattr("lit_gans.data.folder.MEMORY_LIMIT", 3 * 3 * SIZE**2)
    data = made(tmp_path, num_workers=None)
    assert isinstance(data.train_dataset, Decoded)
    assert data.workers() >= 1
    assert isinstance(made(tmp_path, in_memory=True).train_dataset, InMemory)


@pytest.mark.parametrize("archive", [False, True])
def test_workers_see_what_one_process_sees(archive: bool, tmp_path: Path) -> None:
    names = [f"{i:02}.png" for i in range(24)]
    path = put(tmp_path / "pictures", *names)
    path = zipped(path, tmp_path / "p.zip") if archive else path
    options = {"in_memory": False, "batch_size": 4, "seed": 3}
    alone = [batch["image"] for batch in made(path, **options).train_dataloader()]
    workers = [batch["image"] for batch in made(path, **options, num_workers=2).train_dataloader()]
    assert len(alone) == len(workers) == 6
    assert all(torch.equal(a, b) for a, b in zip(alone, workers, strict=True))
    assert torch.equal(alone[0], next(iter(made(path, **{**options, "in_memory": True}).train_dataloader()))["image"])


def test_files_can_be_sent_to_a_new_process(tmp_path: Path) -> None:
    data = made(zipped(put(tmp_path / "pictures", *FLAT), tmp_path / "p.zip"), in_memory=False)
    data.train_dataset[0]
    again = pickle.loads(pickle.dumps(data.train_dataset))
    assert torch.equal(again[1]["image"], data.train_dataset[1]["image"])


@pytest.mark.parametrize("archive", [False, True])
def test_the_hash_of_late_files_tells_changes(archive: bool, tmp_path: Path) -> None:
    folder = put(tmp_path / "pictures", *FLAT)

    def digest(**options: Any) -> str:
        path = zipped(folder, tmp_path / "p.zip") if archive else folder
        return made(path, in_memory=False, **options).content_hash()

    first = digest()
    assert digest() == first
    assert digest(image_size=8) != first
    assert digest(image_channels=1) != first
    picture(99).save(folder / "a.png")
    os.utime(folder / "a.png", ns=(10**18, 10**18))
    assert digest() != first


# Corrupt files


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """Two images cut short among four good ones, in two classes."""
    folder = put(tmp_path / "spoilt", "cat/1.png", "cat/2.png", "cat/3.png", "dog/4.png", "dog/5.png", "dog/6.png")
    for name in ("cat/2.png", "dog/6.png"):
        (folder / name).write_bytes((folder / name).read_bytes()[:300])
    return folder


GOOD = ["cat/1.png", "cat/3.png", "dog/4.png", "dog/5.png"]


@pytest.mark.parametrize("archive", [False, True])
def test_corrupt_files_are_named_and_refused(archive: bool, spoilt: Path, tmp_path: Path) -> None:
    path = zipped(spoilt, tmp_path / "p.zip") if archive else spoilt
    sentence = (
        r"2 of the 6 images in .*(spoilt|p.zip) cannot be read: cat/2.png \(.+\), dog/6.png \(.+\)\. Remove or replace "
        r"them, or leave them out with data.on_corrupt=skip\."
    )
    with pytest.raises(ValueError, match=sentence):
        made(path)


def test_corrupt_files_are_named_and_skipped(spoilt: Path) -> None:
    with pytest.warns(UserWarning, match=r"Left out of .*spoilt, as they cannot be read: cat/2.png \(.+\), dog/6.png"):
        data = made(spoilt, on_corrupt="skip")
    assert shows(data, GOOD)
    assert data.train_dataset.labels.tolist() == [0, 0, 1, 1]
    assert data.describe().endswith("cat 2, dog 2; left out: 2 unreadable.")


def test_files_whose_header_is_corrupt_are_found_without_decoding(spoilt: Path) -> None:
    (spoilt / "dog/6.png").write_bytes(b"no image at all")
    with pytest.raises(ValueError, match=r"1 of the 6 images in .* cannot be read: dog/6.png \(not an image\)"):
        made(spoilt, in_memory=False)


def test_late_files_that_turn_out_to_be_corrupt(spoilt: Path) -> None:
    data = made(spoilt, in_memory=False)
    with pytest.raises(
        ValueError, match=r"spoilt/cat/2.png cannot be read \(.+\)\. Remove or replace it, or let anoth"
    ):
        data.train_dataset[1]
    data = made(spoilt, in_memory=False, on_corrupt="skip")
    names = ["cat/1.png", "cat/3.png", "cat/3.png", "dog/4.png", "dog/5.png", "dog/4.png"]
    with pytest.warns(UserWarning, match=r"(cat/2|dog/6).png cannot be read \(.+\): another image takes its place"):
        assert shows(data, names)
    for name in ("dog/4.png", "dog/5.png"):
        (spoilt / name).write_bytes(b"")
    warnings.simplefilter("ignore")
    with pytest.raises(ValueError, match=r"could stand for dog/4.png can be read"):
        data.train_dataset[3]


@pytest.mark.parametrize("on_corrupt", ["skip", "refuse"])
def test_nothing_but_corrupt_files_is_refused(on_corrupt: str, tmp_path: Path) -> None:
    for name in ("1.png", "2.jpg"):
        (tmp_path / name).write_bytes(b"?")
    with pytest.raises(ValueError, match=r"None of the 2 images in .* can be read: 1.png \(not an image\), 2.jpg"):
        made(tmp_path, on_corrupt=on_corrupt)


def test_a_zip_whose_bytes_changed_is_found_out(tmp_path: Path) -> None:
    path = zipped(put(tmp_path / "pictures", *FLAT), tmp_path / "p.zip")
    content = bytearray(path.read_bytes())
    content[content.index(b"c.bmp") + 400] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"1 of the 3 images in .*p.zip cannot be read: c.bmp \(Bad CRC-32"):
        made(path)


# Other bad input


def test_the_path_is_needed() -> None:
    with pytest.raises(
        ValueError, match=r"A folder of images needs its place: data.path=FOLDER, or data.path=FILE.zip"
    ):
        made(None)


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    put(tmp_path / "pictures", *FLAT)
    with pytest.raises(FileNotFoundError, match=r"data.path=.*/picturs does not exist. Did you mean .*/pictures\?"):
        made(tmp_path / "picturs")
    with pytest.raises(FileNotFoundError, match=r"/x/y does not exist: .* has no 'x'\."):
        made(tmp_path / "x" / "y")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There are no images in .*: it is empty\."):
        made(tmp_path)
    zipfile.ZipFile(tmp_path / "p.zip", "w").close()
    with pytest.raises(FileNotFoundError, match=r"There are no images in .*p.zip: it is empty\."):
        made(tmp_path / "p.zip")


def test_other_files_are_counted(tmp_path: Path) -> None:
    for name in [*[f"{i}.txt" for i in range(12)], "a.heic", "b.HEIC", "LICENSE"]:
        (tmp_path / name).write_text("x")
    sentence = (
        r"There are no images in .*: found 12 .txt, 2 .heic, 1 without a suffix\. Images end in \.avif .* \.webp\.$"
    )
    with pytest.raises(FileNotFoundError, match=sentence):
        made(tmp_path)


def test_a_zip_in_the_folder_is_pointed_at(tmp_path: Path) -> None:
    zipfile.ZipFile(tmp_path / "cats.zip", "w").close()
    with pytest.raises(FileNotFoundError, match=r"found 1 .zip\. .* data.path can be a zip, such as .*cats.zip\."):
        made(tmp_path)


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    with pytest.raises(
        ValueError, match=r"a.png is neither a folder nor a zip. Name the folder that the images are in"
    ):
        made(tmp_path / "a.png")


def test_a_damaged_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(put(tmp_path / "pictures", *FLAT), tmp_path / "p.zip")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 1] = 0
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"p.zip is a damaged zip \(.+\): make it again\."):
        made(path)


@pytest.mark.parametrize("name", ["../a.png", "ok/../../a.png", "/etc/a.png", "..\\a.png", "C:\\a.png"])
def test_a_zip_that_leads_out_of_itself_is_refused(name: str, tmp_path: Path) -> None:
    stream = io.BytesIO()
    picture(0).save(stream, "PNG")
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("good.png", stream.getvalue())
        archive.writestr(name, stream.getvalue())
    with pytest.raises(ValueError, match=r"p.zip holds a file named '.*a.png', which leads out of the archive"):
        made(tmp_path / "p.zip")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(put(tmp_path / "pictures", "a.png"), tmp_path / "p.zip")
    content = bytearray(path.read_bytes())
    flags = content.index(b"PK\x01\x02") + 8
    content[flags : flags + 2] = struct.pack("<H", 1)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"p.zip is encrypted: make a zip without a password, or unpack it"):
        made(path)


def test_an_unknown_way_with_corrupt_files_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data.on_corrupt must be 'refuse' or 'skip', got 'ignore'\."):
        Folder(path="x", on_corrupt="ignore")
