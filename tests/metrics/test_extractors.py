"""Extractors by name, and one's own."""

import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from lit_gans.metrics import FeatureExtractor, build_extractor
from lit_gans.metrics.extractors import INCEPTION_WEIGHTS


class Pixels(nn.Module):
    """Means of colours and rows; with a dropout that must stay off."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.dropout = nn.Dropout(0.5)

    def forward(self, images: Tensor) -> Tensor:
        assert images.dtype == torch.uint8
        return self.dropout(images.float().mean((2, 3)) * self.weight)


class Bytes(nn.Module):
    """Bytes to floats."""

    def forward(self, images: Tensor) -> Tensor:
        return images.float()


@pytest.fixture
def pixels() -> Tensor:
    return torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_digits_need_no_file_and_take_grey_and_rgb(pixels: Tensor) -> None:
    extractor = build_extractor("digits")
    assert (extractor.name, extractor.num_features) == ("digits", 64)
    assert extractor(pixels).shape == (5, 64)
    assert extractor(pixels[:, :1]).shape == (5, 64)
    assert not extractor(pixels).requires_grad


def test_a_module_of_ones_own_is_frozen_and_named_by_its_class(pixels: Tensor) -> None:
    extractor = build_extractor(Pixels())
    assert (extractor.name, extractor.num_features) == ("pixels", 3)
    extractor.train()
    torch.testing.assert_close(extractor(pixels), pixels.float().mean((2, 3)))
    assert build_extractor(extractor) is extractor


def test_a_module_may_say_its_name() -> None:
    module = Pixels()
    module.name = "colours"
    assert build_extractor(module).name == "colours"


def test_a_module_is_tried_on_images_of_the_data_s_shape() -> None:
    rows = nn.Sequential(nn.Flatten())
    assert build_extractor(rows, image_shape=(1, 16, 16)).num_features == 256
    with pytest.raises(
        ValueError, match=r"sequential cannot look at uint8 images of the shape \(3, 32, 32\): .*shapes"
    ):
        build_extractor(nn.Sequential(nn.Flatten(), Bytes(), nn.Linear(7, 7)))
    with pytest.raises(ValueError, match=r"identity must give one row .*for \(2, 1, 8, 9\) it gave \(2, 1, 8, 9\)"):
        build_extractor(nn.Identity(), image_shape=(1, 8, 9))
    with pytest.raises(ValueError, match=r"digits cannot look at uint8 images of the shape \(1, 4, 4\): A digit is"):
        build_extractor("digits", image_shape=(1, 4, 4))


def test_fingerprint_is_of_layers_and_weights() -> None:
    module = Pixels()
    before = build_extractor(module).fingerprint()
    assert before == build_extractor(Pixels()).fingerprint()
    with torch.no_grad():
        module.weight.add_(1e-6)
    assert build_extractor(module).fingerprint() != before
    relu, gelu = (build_extractor(nn.Sequential(Pixels(), layer)) for layer in (nn.ReLU(), nn.GELU()))
    assert relu.fingerprint() != gelu.fingerprint()
    layer = nn.Linear(4, 4)
    tied = nn.Sequential(nn.Flatten(), Bytes(), layer, layer)
    assert len(FeatureExtractor("tied", tied, (1, 2, 2)).fingerprint()) == 32


def test_unknown_names_and_needless_weights_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no extractor 'digit': it is digits, inception, or a torch module"):
        build_extractor("digit")
    with pytest.raises(ValueError, match=r"no extractor None"):
        build_extractor(None)
    with pytest.raises(ValueError, match=r"weights_path gives the weights of extractor=inception only"):
        build_extractor("digits", "weights.pth")
    with pytest.raises(ValueError, match=r"extractor=inception only"):
        build_extractor(Pixels(), "weights.pth")


def test_inception_without_network_names_the_ways_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ValueError, match=rf"not known.*{INCEPTION_WEIGHTS}.* as weights_path, or use extractor=digits"):
        build_extractor("inception")


def test_wrong_inception_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"no Inception weights .*nowhere.*{INCEPTION_WEIGHTS}"):
        build_extractor("inception", str(tmp_path / "nowhere.pth"))
    text, pickled, other = (tmp_path / name for name in ("text.pth", "pickled.pth", "other.pth"))
    text.write_text("no weights")
    torch.save(Pixels(), pickled)
    torch.save({"weight": torch.zeros(1)}, other)
    for path in (text, pickled):
        with pytest.raises(ValueError, match=r"cannot be read \(UnpicklingError\).*whole"):
            build_extractor("inception", str(path))
    with pytest.raises(ValueError, match=r"other.pth holds the weights of another network"):
        build_extractor("inception", str(other))
    torch.save([torch.zeros(1)], other)
    with pytest.raises(ValueError, match=r"other.pth holds no weights"):
        build_extractor("inception", str(other))


def test_inception_from_a_file_sees_what_torch_fidelity_sees(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pixels: Tensor
) -> None:
    monkeypatch.setattr(nn.Module, "load_state_dict", lambda self, state: None)
    path = tmp_path / INCEPTION_WEIGHTS
    torch.save({}, path)
    reference = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(path))
    monkeypatch.undo()
    torch.save(reference.state_dict(), path)
    extractor = build_extractor("inception", str(path))
    assert (extractor.name, extractor.num_features) == ("inception", 2048)
    torch.testing.assert_close(extractor(pixels[:2]), reference(pixels[:2])[0])
    grey = pixels[:1, :1]
    torch.testing.assert_close(extractor(grey), reference(grey.expand(-1, 3, -1, -1))[0])
    with pytest.raises(ValueError, match=r"inception cannot .*takes grey or RGB images, not 2 channels"):
        build_extractor("inception", str(path), (2, 32, 32))
