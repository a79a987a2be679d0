"""Images with captions beside them, as people have them, and as they should not be."""

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from PIL import Image

from lit_gans.data import Captioned
from lit_gans.data.captions import Captions

NAMES = ["one.png", "two.png", "three.png"]
CAPTIONS = {"one.png": ["a red bird"], "two.png": ["A red  bird", "a bird"], "three.png": ["a blue fish"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images without captions."""
    place = tmp_path / "images"
    place.mkdir()
    for number, name in enumerate(NAMES):
        Image.new("RGB", (8, 8), (80 * number, 0, 0)).save(place / name)
    return place


def write(folder: Path, rows: list[Any], name: str = "metadata.jsonl") -> Path:
    (folder / name).write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), "utf-8")
    return folder


def rows(**more: Any) -> list[dict[str, Any]]:
    return [{"file_name": name, "text": CAPTIONS[name], **more} for name in NAMES]


def loaded(path: Path, **options: Any) -> Captioned:
    data = Captioned(path=str(path), **{"image_size": 8, "batch_size": 1, **options})
    data.setup("fit")
    return data


def found(data: Captioned) -> dict[int, list[str]]:
    """Captions by the images' red."""
    samples, captions = data.train_dataset, captions_of(data)
    reds = samples.__getitems__(range(len(samples)))["image"][:, 0, 0, 0].tolist()
    return {red: captions[index] for index, red in enumerate(reds)}


def captions_of(data: Captioned) -> Captions:
    captions = data.train_dataset.captions
    assert captions is not None
    return captions


WHOLE = {0: ["a red bird"], 80: ["A red bird", "a bird"], 160: ["a blue fish"]}


def test_jsonl(folder: Path) -> None:
    data = loaded(write(folder, rows()))
    assert found(data) == WHOLE
    first, second, third = (captions_of(data).kinds[data.names.index(name)] for name in NAMES)
    assert first == second != third
    assert data.describe().endswith("4 captions; 2 kinds of images that share none.")


@pytest.mark.parametrize("named", [("file", "captions"), ("file_name", "caption"), ("file", "texts")])
def test_other_names_of_columns(folder: Path, named: tuple[str, str]) -> None:
    told = [{named[0]: row["file_name"], named[1]: row["text"]} for row in rows()]
    assert found(loaded(write(folder, ["", *told], "captions.jsonl"))) == WHOLE


def test_csv_has_a_row_for_each_caption(folder: Path) -> None:
    lines = ["\ufefffile_name,text", *(f'{name},"{text}"' for name in NAMES for text in CAPTIONS[name])]
    assert found(loaded(write(folder, lines, "metadata.csv"))) == WHOLE


def test_a_zip_with_folders(folder: Path, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in NAMES:
            archive.write(folder / name, f"set/pictures/{name}")
        told = [{**row, "file_name": f"pictures/{row['file_name']}"} for row in rows()]
        archive.writestr("set/metadata.jsonl", "\n".join(map(json.dumps, told)))
    assert found(loaded(tmp_path / "all.zip")) == WHOLE


def test_splits(folder: Path) -> None:
    told = [{**row, "split": "test" if row["file_name"] == "two.png" else "train"} for row in rows()]
    data = loaded(write(folder, told), split="train", test_split="test")
    assert found(data) == {0: WHOLE[0], 160: WHOLE[160]}
    assert data.test_dataset is not None
    assert data.test_dataset.captions is not None
    assert data.test_dataset.captions[0] == WHOLE[80]
    assert "unreadable" not in data.describe()
    with pytest.raises(ValueError, match=r"no rows of data.split=valid: it has test, train"):
        loaded(folder, split="valid")


def test_captions_stay_with_their_images_where_some_cannot_be_read(folder: Path) -> None:
    (folder / "one.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match=r"one\.png"):
        data = loaded(write(folder, rows()), on_corrupt="skip")
    assert found(data) == {80: WHOLE[80], 160: WHOLE[160]}


@pytest.mark.parametrize("text", [["", " "], [], "\t"])
def test_images_without_captions_are_refused_or_left_out(folder: Path, text: Any) -> None:
    told = [{**row, "text": text} if row["file_name"] == "two.png" else row for row in rows()]
    write(folder, told)
    with pytest.raises(ValueError, match=r"1 of the 3 images in .* have no caption: two\.png\. Write"):
        loaded(folder)
    assert found(loaded(folder, on_uncaptioned="skip")) == {0: WHOLE[0], 160: WHOLE[160]}
    write(folder, rows()[:2])
    with pytest.raises(ValueError, match=r"have no caption: three\.png"):
        loaded(folder)


def test_blank_captions_beside_others_are_dropped(folder: Path) -> None:
    told = [{**row, "text": ["", *row["text"], " "]} for row in rows()]
    assert found(loaded(write(folder, told))) == WHOLE


@pytest.mark.parametrize("text", ["w" * 10_000, "ein Vogel, größer", "赤い鳥", "طائر أحمر", "🐦", "xqzzv unknown"])
def test_any_caption(folder: Path, text: str) -> None:
    assert found(loaded(write(folder, [*rows(), {"file_name": "one.png", "text": text}])))[0] == ["a red bird", text]


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\u0085", "\x0c"])
def test_a_line_of_json_may_have_what_breaks_a_line_elsewhere(folder: Path, character: str) -> None:
    line = json.dumps({"file_name": "one.png", "text": f"two{character}words"}, ensure_ascii=False)
    assert found(loaded(write(folder, [*rows(), line + "\r"])))[0] == ["a red bird", "two words"]


def test_images_of_a_class_fit_each_others_captions_if_asked(tmp_path: Path) -> None:
    """Its captions alone say that the second image is of the third's kind, its folder that it is of the first's."""
    for name in ("a/1.png", "a/2.png", "b/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (16, 16)).save(tmp_path / name)
    told = {"a/1.png": "red", "a/2.png": "blue", "b/3.png": "blue"}
    write(tmp_path, [{"file_name": name, "text": text} for name, text in told.items()])
    for kinds, expected in (("captions", [0, 1, 1]), ("classes", [0, 0, 1])):
        assert captions_of(loaded(tmp_path, kinds=kinds)).kinds.tolist() == expected
    assert loaded(tmp_path, kinds="classes").describe().endswith("2 captions; 2 classes of images.")
    with pytest.raises(ValueError, match="kinds must be captions or classes, got 'none'"):
        loaded(tmp_path, kinds="none")


def test_classes_that_are_not_there_tell_nothing(folder: Path) -> None:
    with pytest.raises(ValueError, match="kinds=classes needs a class for every image"):
        loaded(write(folder, rows()), kinds="classes")


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ([*rows(), {"file_name": "four.png", "text": "a"}], r"captions of 1 images that are not there: four\.png"),
        ([*rows(), '{"file_name": "one.png", '], r"metadata\.jsonl, line 4 is no JSON"),
        ([*rows(), "[1, 2]"], "line 4 is no object of names and values"),
        ([{"file_name": "one.png", "label": "bird"}], "line 1 must have file_name and text; it has file_name, label"),
        ([{"file_name": "one.png", "text": 7}], "line 1: file_name must be a text, text a text or a list of texts"),
        ([{"file_name": "one.png", "text": ["a", None]}], "text a text or a list of texts"),
        ([], "has no rows"),
    ],
)
def test_files_that_cannot_be_understood(folder: Path, told: list[Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        loaded(write(folder, told))


def test_no_captions_at_all_or_twice_or_in_another_code(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no captions in .*: put a metadata\.jsonl beside the images"):
        loaded(folder)
    (folder / "metadata.jsonl").write_bytes('{"file_name": "one.png", "text": "größer"}'.encode("latin-1"))
    with pytest.raises(ValueError, match="is not in UTF-8"):
        loaded(folder)
    write(folder, rows(), "metadata.csv")
    with pytest.raises(ValueError, match=r"several files of captions, metadata\.csv, metadata\.jsonl: leave one"):
        loaded(folder)


def test_a_misspelt_option(folder: Path) -> None:
    with pytest.raises(ValueError, match="on_uncaptioned must be refuse or skip, got 'drop'"):
        Captioned(path=str(folder), on_uncaptioned="drop")
