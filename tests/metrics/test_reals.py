"""Statistics of real images, and the file that keeps them."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lit_gans.data.samples import InMemory
from lit_gans.metrics import FeatureExtractor, Statistics, reals


class Means(nn.Module):
    """Means of the quarters of an image."""

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(images.float(), 2).flatten(1)


EXTRACTOR = FeatureExtractor("means", Means(), (1, 8, 8))
IMAGES = torch.randint(0, 256, (23, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
CPU = torch.device("cpu")


def measured(num_real: int = 23, num_kept: int = 23, **place: int) -> Statistics:
    options = {"num_real": num_real, "num_kept": num_kept, "batch_size": 5, **place}
    return reals.measure(InMemory(IMAGES, None), EXTRACTOR, device=CPU, **options)


def assert_same(ours: Statistics, theirs: Statistics) -> None:
    for name in ("count", "total", "outer", "features"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=1e-12, atol=0)


def test_all_images_are_measured() -> None:
    features = EXTRACTOR(IMAGES)
    statistics = measured()
    assert torch.equal(statistics.features, features)
    assert statistics.count == 23
    torch.testing.assert_close(statistics.total, features.double().sum(0))
    assert statistics.total.dtype == statistics.outer.dtype == torch.float64


def test_fewer_images_are_evenly_spaced() -> None:
    statistics = measured(num_real=10, num_kept=4)
    chosen = [position * 23 // 10 for position in range(10)]
    torch.testing.assert_close(statistics.total, EXTRACTOR(IMAGES[chosen]).double().sum(0))
    assert torch.equal(statistics.features, EXTRACTOR(IMAGES[chosen[::3]]))
    assert len(measured(num_kept=0).features) == 0


@pytest.mark.parametrize("world_size", [2, 3])
def test_parts_are_the_whole_in_order(world_size: int) -> None:
    whole = measured(num_real=20, num_kept=7)
    parts = [measured(num_real=20, num_kept=7, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert torch.equal(torch.cat([part.features for part in parts]), whole.features)
    torch.testing.assert_close(sum(part.total for part in parts), whole.total)
    assert sum(int(part.count) for part in parts) == 20


def test_a_file_keeps_them_exactly(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "reals.safetensors"
    assert reals.read(path) is None
    statistics = measured()
    reals.write(path, statistics)
    assert_same(reals.read(path), statistics)
    assert [file.name for file in path.parent.iterdir()] == ["reals.safetensors"]


def test_path_depends_on_everything_the_statistics_depend_on(tmp_path: Path) -> None:
    other = FeatureExtractor("means", nn.Sequential(Means(), nn.ReLU()), (1, 8, 8))
    given: Sequence[tuple[str, FeatureExtractor, int, int]] = [
        ("a", EXTRACTOR, 10, 5),
        ("b", EXTRACTOR, 10, 5),
        ("a", other, 10, 5),
        ("a", EXTRACTOR, 11, 5),
        ("a", EXTRACTOR, 10, 6),
    ]
    paths = [reals.cache_path(tmp_path, *parts) for parts in given]
    assert len(set(paths)) == len(paths)
    assert reals.cache_path(tmp_path, *given[0]) == paths[0]


@pytest.mark.parametrize("content", [b"", b"not a file of ours", None])
def test_a_corrupt_file_is_said_in_one_line(
    content: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "reals.safetensors"
    reals.write(path, measured())
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    with caplog.at_level(logging.WARNING):
        assert reals.read(path) is None
    assert len(caplog.messages) == 1
    assert "cannot be read" in caplog.messages[0]
    assert "\n" not in caplog.messages[0]


def test_a_file_of_something_else_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "reals.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    assert reals.read(path) is None
    assert "it is made anew" in caplog.text


def test_an_impossible_folder_is_only_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no folder")
    reals.write(tmp_path / "file" / "reals.safetensors", measured())
    assert len(caplog.messages) == 1
    assert "cannot be kept" in caplog.messages[0]


def test_cache_folder_follows_the_desktop_standard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert reals.default_cache_dir() == tmp_path / "lit_gans"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert reals.default_cache_dir() == tmp_path / ".cache" / "lit_gans"
