"""Embeddings that are kept."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from lit_gans.metrics.reals import default_cache_dir
from lit_gans.text import BagOfWords, TextEncoder, embed
from lit_gans.text.cache import FEWEST_KEPT, cache_path


class Slow(TextEncoder):
    """Counts how often it is asked."""

    cached = True
    dim = 3

    def __init__(self, name: str = "slow") -> None:
        self.name, self.calls = name, 0

    def encode(self, texts: Sequence[str]) -> Tensor:
        self.calls += 1
        return torch.tensor([[len(text), ord(text[0]), 1 / 3] for text in texts])

    def fingerprint(self) -> str:
        return self.name.encode().hex()


TEXTS = [f"text {number}" for number in range(FEWEST_KEPT)]


def test_once_is_enough(tmp_path: Path) -> None:
    encoder = Slow()
    first = embed(encoder, TEXTS, tmp_path / "new" / "folder")
    assert torch.equal(first, embed(encoder, TEXTS, str(tmp_path / "new" / "folder")))
    assert torch.equal(first, encoder.encode(TEXTS))
    assert encoder.calls == 2
    assert [file.suffix for file in (tmp_path / "new" / "folder").iterdir()] == [".safetensors"]


def test_the_usual_folder() -> None:
    embed(Slow("usual"), TEXTS)
    assert cache_path(default_cache_dir() / "text", Slow("usual"), TEXTS).is_file()


def test_few_texts_and_fast_encoders_leave_no_file(tmp_path: Path) -> None:
    encoder = Slow()
    embed(encoder, TEXTS[1:], tmp_path)
    embed(encoder, TEXTS[1:], tmp_path)
    assert encoder.calls == 2
    assert torch.equal(embed(BagOfWords(4), TEXTS, tmp_path), BagOfWords(4).encode(TEXTS))
    assert embed(BagOfWords(4), []).shape == (0, 4)
    assert list(tmp_path.iterdir()) == []


def test_the_name_depends_on_encoder_texts_and_order(tmp_path: Path) -> None:
    given = [
        ("a", ["x", "y"]),
        ("b", ["x", "y"]),
        ("a", ["y", "x"]),
        ("a", ["xy"]),
        ("a", ["x", "y", "y"]),
        ("a", ["x''y"]),
        ("a", ["x", "\ud800"]),
    ]
    paths = [cache_path(tmp_path, Slow(name), texts) for name, texts in given]
    assert len(set(paths)) == len(paths)
    assert cache_path(tmp_path, Slow("a"), ("x", "y")) == paths[0]


@pytest.mark.parametrize("content", [b"", b"not ours", None, {"other": (100, 3)}, {"embeddings": (99, 3)}])
def test_a_broken_file_is_made_anew(
    content: bytes | dict[str, tuple[int, int]] | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = Slow()
    expected = embed(encoder, TEXTS, tmp_path)
    path = cache_path(tmp_path, encoder, TEXTS)
    if isinstance(content, dict):
        save_file({name: torch.zeros(shape) for name, shape in content.items()}, path)
    else:
        path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    with caplog.at_level(logging.WARNING):
        assert torch.equal(embed(encoder, TEXTS, tmp_path), expected)
        assert torch.equal(embed(encoder, TEXTS, tmp_path), expected)
    assert encoder.calls == 2
    assert len(caplog.messages) == 1
    assert "cannot be read" in caplog.messages[0]


def test_other_numbers_are_made_anew(tmp_path: Path) -> None:
    encoder = Slow()
    save_file({"embeddings": torch.zeros(100, 3).half()}, cache_path(tmp_path, encoder, TEXTS))
    assert embed(encoder, TEXTS, tmp_path).dtype == torch.float32
    assert encoder.calls == 1


def test_an_impossible_folder_is_only_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no folder")
    with caplog.at_level(logging.WARNING):
        assert embed(Slow(), TEXTS, tmp_path / "file").shape == (100, 3)
    assert any("cannot be kept" in message for message in caplog.messages)


def test_half_a_file_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tensors: dict[str, Tensor], path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("lit_gans.text.cache.save_file", full)
    assert embed(Slow(), TEXTS, tmp_path).shape == (100, 3)
    assert list(tmp_path.iterdir()) == []
