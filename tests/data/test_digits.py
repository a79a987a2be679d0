"""Facts about the bundled digits."""

import pytest
import torch
from sklearn.datasets import load_digits

from lit_gans.data import Digits


def digits(**options: int) -> Digits:
    data = Digits(**options)
    data.prepare_data()
    data.setup("fit")
    return data


def test_the_levels_are_those_of_scikit_learn() -> None:
    data, bundled = digits(image_size=8), load_digits()
    batch = data.train_dataset.__getitems__(range(1797))
    assert batch["image"].dtype == torch.uint8
    assert batch["image"].shape == (1797, 1, 8, 8)
    assert (batch["image"].float() * 16 / 255 - torch.from_numpy(bundled.images)[:, None]).abs().max() < 0.04
    assert batch["label"].tolist() == bundled.target.tolist()
    assert batch["label"].dtype == torch.int64


@pytest.mark.parametrize("size", [16, 32, 64])
def test_larger_digits_are_the_same_digits(size: int) -> None:
    small, large = digits(image_size=8).train_dataset, digits(image_size=size).train_dataset
    assert digits(image_size=size).shape == large[0]["image"].shape == (1, size, size)
    before = small.__getitems__(range(200))["image"].float()
    after = torch.nn.functional.avg_pool2d(large.__getitems__(range(200))["image"].float(), size // 8)
    assert torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1] > 0.99
    assert (before.mean() - after.mean()).abs() < 2


def test_what_is_told() -> None:
    data = digits(image_size=16, image_channels=3)
    assert data.describe() == "Digits: 1,797 RGB images of 16x16 pixels, 10 classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)."
    assert (data.num_classes, data.class_names[7], data.shape) == (10, "7", (3, 16, 16))
    image = data.train_dataset[0]["image"]
    assert torch.equal(image[0], image[1])
    assert torch.equal(image[0], image[2])
    assert len(data.train_dataloader()) == 28
    assert torch.bincount(data.train_dataset.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
