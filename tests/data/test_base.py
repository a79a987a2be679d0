"""What every data module of images shares: flips, hashes, options."""

from typing import Any

import pytest
import torch
from torch import Tensor

from lit_gans.data import Digits, ImageDataModule
from lit_gans.data.pixels import fit, grey, resize
from lit_gans.data.samples import Fitted, InMemory, Samples, fitted


class Pictures(ImageDataModule):
    """Forty images without labels."""

    class_names = ()

    def load(self) -> Samples:
        return InMemory(pixels(40, 3, 8), None)


class Training:
    """As much of a trainer as a data module looks at."""

    training, num_devices, accelerator = True, 1, None

    def __init__(self, rank: int = 0, world_size: int = 1) -> None:
        self.global_rank, self.world_size = rank, world_size
        self.lightning_module = None


def pixels(n: int, channels: int, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (n, channels, size, size), dtype=torch.uint8, generator=generator)


def pictures(trainer: Any = None, batches_seen: int = 0, **options: Any) -> Pictures:
    data = Pictures(**{"image_size": 8, "batch_size": 40, "flip": True, **options})
    data.trainer = trainer
    data.setup("fit")
    data.batches_seen = batches_seen
    return data


def flipped(data: ImageDataModule, images: Tensor) -> list[bool]:
    """Which images come out flipped; each must be either that or untouched."""
    seen = data.on_after_batch_transfer({"image": images}, 0)["image"]
    mirrored = [torch.equal(after, before.flip(-1)) for after, before in zip(seen, images, strict=True)]
    kept = [torch.equal(after, before) for after, before in zip(seen, images, strict=True)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True))
    return mirrored


# Flips


def test_half_of_the_images_are_flipped_by_a_key_of_seed_and_batch() -> None:
    images = pixels(40, 3, 8)
    rows = [flipped(pictures(Training(), batch, seed=seed), images) for seed in range(5) for batch in range(20)]
    assert 0.46 < sum(map(sum, rows)) / 4000 < 0.54
    assert len({tuple(row) for row in rows}) == 100
    assert flipped(pictures(Training(), 3, seed=2), images) == rows[2 * 20 + 3]


def test_devices_flip_what_one_would() -> None:
    images = pixels(40, 3, 8)
    alone = flipped(pictures(Training(), 7), images)
    parts = [flipped(pictures(Training(rank, 2), 7), images[rank * 20 : rank * 20 + 20]) for rank in range(2)]
    assert parts[0] + parts[1] == alone


def test_flips_leave_the_global_random_state_and_the_data_alone() -> None:
    data, images = pictures(Training()), pixels(40, 3, 8)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    data.on_after_batch_transfer({"image": images}, 0)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(images, pixels(40, 3, 8))


def test_only_training_flips_and_counts() -> None:
    images = {"image": pixels(40, 3, 8)}
    still = Training()
    still.training = False
    for data, counted in [(pictures(still), 0), (pictures(None), 0), (pictures(Training(), flip=False), 1)]:
        assert torch.equal(data.on_after_batch_transfer(images, 0)["image"], images["image"])
        assert data.batches_seen == counted


# Facts


def test_facts_are_told() -> None:
    data = pictures()
    assert (data.shape, data.num_classes) == ((3, 8, 8), 0)
    assert data.describe() == "Pictures: 40 RGB images of 8x8 pixels."
    assert set(data.train_dataset[3]) == {"image"}
    assert torch.equal(data.train_dataset[3]["image"], pixels(40, 3, 8)[3])


def test_the_hash_tells_contents_apart() -> None:
    def digest(values: Tensor) -> str:
        return InMemory(values, None).content_hash()

    images = pixels(4, 1, 8)
    other = images.clone()
    other[3, 0, 7, 7] ^= 1
    hashes = [digest(x) for x in (images, other, images.view(4, 1, 4, 16), images[:3], images.float())]
    hashes += [Fitted(images, None, 8, 1).content_hash(), Fitted(images, None, 16, 1).content_hash()]
    assert len({*hashes}) == 7
    assert digest(images.clone()) == hashes[0]
    assert digest(images.transpose(2, 3)) == digest(images.transpose(2, 3).contiguous())
    assert all(int(text, 16) >= 0 for text in hashes)
    assert pictures().content_hash() == digest(pixels(40, 3, 8))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"image_size": 0}, r"data.image_size must be at least 1 pixel, got 0\."),
        ({"image_channels": 4}, r"data.image_channels must be 1 \(grey\) or 3 \(RGB\), got 4\."),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Digits(**options)


# Workers


def test_automatic_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    late = Fitted(pixels(40, 3, 8), None, 8, 3)
    for cores, devices, expected in [(2, 1, 1), (1, 1, 1), (4, 1, 3), (64, 1, 4), (8, 4, 1), (16, 4, 3)]:
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: range(cores), raising=False)
        data = pictures(Training())
        assert data.workers() == 0
        data.train_dataset, data.trainer.num_devices = late, devices
        assert data.workers() == expected
    assert pictures(num_workers=3).workers() == 3


# Pixels


def test_a_resize_keeps_flat_colours_and_means() -> None:
    flat = torch.full((1, 3, 9, 9), 77, dtype=torch.uint8)
    assert all((resize(flat, size) == 77).all() for size in (3, 9, 20))
    # Stripes one pixel wide are above what half the size can show: grey, where a resize that skips pixels gives black.
    stripes = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    stripes[..., ::2] = 255
    middle = resize(stripes, 8)[..., 2:-2].float()
    assert middle.mean().item() == pytest.approx(127.5, abs=2)
    assert middle.std().item() < 3


def test_a_resize_does_not_wrap_around() -> None:
    edge = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    edge[..., 4:] = 255
    large = resize(edge, 32)
    assert (large[..., :12] <= 20).all()
    assert (large[..., 20:] >= 235).all()


def test_grey_is_pillows() -> None:
    from PIL import Image

    images = pixels(4, 3, 16)
    for ours, image in zip(grey(images), images, strict=True):
        theirs = Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L")
        assert ours[0].tolist() == torch.tensor(list(theirs.tobytes())).view(16, 16).tolist()


def test_fit_changes_only_what_does_not_fit() -> None:
    images = pixels(2, 1, 8)
    assert torch.equal(fit(images, 8, 1), images)
    assert torch.equal(fit(images, 8, 3), images.repeat(1, 3, 1, 1))
    assert fit(pixels(2, 3, 8), 12, 1).shape == (2, 1, 12, 12)


def test_what_does_not_fit_in_memory_is_made_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = pixels(30, 1, 8), torch.arange(30)
    held = fitted(images, labels, 16, 3)
    assert isinstance(held, InMemory)
    monkeypatch.setattr("lit_gans.data.samples.MEMORY_LIMIT", 30 * 3 * 16 * 16)
    late = fitted(images, labels, 16, 3)
    assert isinstance(late, Fitted)
    assert len(late) == 30
    for name in ("image", "label"):
        assert torch.equal(late.__getitems__([5, 1, 29])[name], held.__getitems__([5, 1, 29])[name])
        assert torch.equal(late[7][name], held[7][name])
