"""Trains the digits classifier of lit_gans.metrics and writes its weights, in about a minute on one CPU core.

It learns from the first 1,437 of scikit-learn's digits and is examined on the other 360. Every batch comes enlarged in
another way (8 to 64 pixels, three interpolations), moved, turned, scaled and with noise, so that no one way of making
digits larger matters. Digits are blended in pairs (mixup, Zhang et al. 2017, arXiv 1710.09412): what lies between two
digits should not be read as one with certainty.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import affine_grid, cross_entropy, grid_sample, interpolate, one_hot

from lit_gans.metrics.digits import TRAIN_IMAGES, WEIGHTS, DigitsClassifier, class_shares, confident_share

SEED = 0
BATCH = 64
SIZES = (8, 12, 16, 24, 32, 64)
WAYS = ("bicubic", "bilinear", "nearest-exact")
MIXUP = 0.2


def digits() -> tuple[Tensor, Tensor]:
    """All 1,797 digits as scikit-learn has them, ``(1797, 1, 8, 8)`` in [-1, 1], and their classes."""
    data = load_digits()
    return torch.from_numpy(data.images).float()[:, None] / 8 - 1, torch.from_numpy(data.target).long()


def enlarged(images: Tensor, size: int, way: str) -> Tensor:
    """The images at ``size`` pixels, within [-1, 1]."""
    return interpolate(images, size=(size, size), mode=way, antialias=way.startswith("bi")).clamp(-1, 1)


def varied(images: Tensor) -> Tensor:
    """The images turned by up to 10 degrees, scaled by up to a tenth, moved by up to a tenth, and with some noise."""
    n = len(images)
    angle, scale = (torch.rand(n) - 0.5) * 0.35, 1 + (torch.rand(n) - 0.5) * 0.2
    shift = (torch.rand(n, 2) - 0.5) * 0.3
    cos, sin = scale * angle.cos(), scale * angle.sin()
    rows = torch.stack([cos, -sin, shift[:, 0], sin, cos, shift[:, 1]], 1).view(n, 2, 3)
    grid = affine_grid(rows, list(images.shape), align_corners=False)
    images = grid_sample(images, grid, padding_mode="border", align_corners=False)
    return (images + 0.1 * torch.rand(n, 1, 1, 1) * torch.randn_like(images)).clamp(-1, 1)


def blended(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Each image mixed with another one, and the probabilities ``(N, 10)`` that it should get."""
    weight, other = torch.distributions.Beta(MIXUP, MIXUP).sample((len(images), 1)), torch.randperm(len(images))
    target = one_hot(labels, 10).float()
    x = weight[..., None, None] * images + (1 - weight[..., None, None]) * images[other]
    return x, weight * target + (1 - weight) * target[other]


def batch_of(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A random batch and the probabilities ``(N, 10)`` that it should get."""
    chosen = torch.randint(len(images), (BATCH,))
    size, way = SIZES[int(torch.randint(len(SIZES), ()))], WAYS[int(torch.randint(len(WAYS), ()))]
    return blended(varied(enlarged(images[chosen], size, way)), labels[chosen])


def train(images: Tensor, labels: Tensor, epochs: int) -> DigitsClassifier:
    """A classifier trained on the digits, on one thread, from a fixed seed."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    classifier = DigitsClassifier()
    steps = epochs * len(images) // BATCH
    optimizer = torch.optim.AdamW(classifier.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(steps):
        x, target = batch_of(images, labels)
        optimizer.zero_grad()
        cross_entropy(classifier(x), target).backward()
        optimizer.step()
        schedule.step()
    return classifier.eval()


def examine(classifier: DigitsClassifier, images: Tensor, labels: Tensor) -> None:
    """Prints how held-out digits are read at several sizes, and images that are no digits."""
    for size, way in ((8, "bicubic"), (16, "bicubic"), (32, "bicubic"), (32, "bilinear"), (64, "bicubic")):
        probabilities = classifier.probabilities(enlarged(images, size, way))
        right = float((probabilities.argmax(1) == labels).float().mean())
        print(f"held-out digits, {size:2d} px {way:8s}: accuracy {right:.3f}, p > 0.9: ", end="")
        print(f"{confident_share(probabilities):.3f}, rarest class {float(class_shares(probabilities).min()):.3f}")
    x = enlarged(images, 32, "bicubic")
    torch.manual_seed(SEED)
    blends = (x + x[torch.randperm(len(x))]) / 2
    for name, none in (("blends of two digits", blends), ("white noise", torch.rand_like(x) * 2 - 1)):
        print(f"{name}: p > 0.9: {confident_share(classifier.probabilities(none)):.3f}")


def main() -> None:
    """Trains, examines, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--output", type=Path, default=WEIGHTS, help="where the weights go (default: into the package)")
    options = parser.parse_args()
    images, labels = digits()
    classifier = train(images[:TRAIN_IMAGES], labels[:TRAIN_IMAGES], options.epochs)
    examine(classifier, images[TRAIN_IMAGES:], labels[TRAIN_IMAGES:])
    save_file(classifier.state_dict(), options.output)
    options.output.chmod(0o644)  # safetensors makes it readable for the owner only
    print(f"wrote {options.output} ({options.output.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    main()
