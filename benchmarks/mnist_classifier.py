"""Trains the MNIST classifier of lit_gans.metrics and writes its weights, in some minutes on one CPU core.

    python benchmarks/mnist_classifier.py --root FOLDER

FOLDER holds MNIST/raw with MNIST's four files. It learns from the 60,000 training digits and is examined on the 10,000
test digits. As in `digits_classifier.py` they are moved, turned, scaled, with noise, and blended in pairs (mixup, Zhang
et al. 2017, arXiv 1710.09412); some have been through another size, and a sixteenth of every batch is noise of one
grain or another. What lies between two digits, or is none, should not be read as one with certainty.
"""

import argparse
from pathlib import Path

import torch
from digits_classifier import SEED, blended, enlarged, varied
from machine import machine
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from lit_gans.data.mnist import read_idx
from lit_gans.metrics.digits import class_shares, confident_share
from lit_gans.metrics.mnist import INPUT_SIZE, WEIGHTS, MNISTClassifier

BATCH = 128
SIZES = (16, 64)
GRAINS = (2, 4, 8, 16, 32)
RATE = 4e-3
EVERY = 500  # steps between two lines


def digits(root: Path, part: str) -> tuple[Tensor, Tensor]:
    """MNIST's digits ``(N, 1, 32, 32)`` uint8 with their black border, and their classes."""
    raw = root.expanduser() / "MNIST" / "raw"
    images, labels = (read_idx(raw / f"{part}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1"))
    return pad(images, (2, 2, 2, 2))[:, None], labels.long()


def floats(pixels: Tensor) -> Tensor:
    """Pixels in [-1, 1]."""
    return pixels / 127.5 - 1


def noise(n: int) -> Tensor:
    """Images ``(n, 1, 32, 32)`` of no digit: random numbers, of one grain and one contrast each."""
    coarse = [torch.rand(1, 1, grain, grain) for grain in (GRAINS[i] for i in torch.randint(len(GRAINS), (n,)))]
    images = torch.cat([enlarged(image * 2 - 1, INPUT_SIZE, "bicubic") for image in coarse])
    return (images * torch.rand(n, 1, 1, 1) + 2 * torch.rand(n, 1, 1, 1) - 1).clamp(-1, 1)


def batch_of(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A random batch and the probabilities ``(N, 10)`` that it should get: of noise, none is likelier than others."""
    chosen = torch.randint(len(images), (BATCH,))
    x, part = floats(images[chosen]), BATCH // 8
    # Within a batch: batch norm would hide what is common to a size.
    for place, size in enumerate(SIZES):
        some = slice(place * part, (place + 1) * part)
        x[some] = enlarged(enlarged(x[some], size, "bicubic"), INPUT_SIZE, "bilinear")
    x, target = blended(varied(x), labels[chosen])
    few = BATCH // 16
    x[-few:], target[-few:] = noise(few), 0.1
    return x, target


def train(images: Tensor, labels: Tensor, epochs: int) -> MNISTClassifier:
    """A classifier trained on the digits, on one thread, from a fixed seed."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    classifier = MNISTClassifier()
    steps = epochs * len(images) // BATCH
    optimizer = torch.optim.AdamW(classifier.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for step in range(steps):
        x, target = batch_of(images, labels)
        optimizer.zero_grad()
        loss = cross_entropy(classifier(x), target)
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % EVERY == 0:
            print(f"step {step} of {steps}: loss {loss.item():.3f}", flush=True)
    return classifier.eval()


def examine(classifier: MNISTClassifier, images: Tensor, labels: Tensor) -> None:
    """Prints how test digits are read at several sizes, and images that are no digits."""
    own = floats(images[..., 2:-2, 2:-2])
    sizes = {f"{size} px": enlarged(floats(images), size, "bicubic") for size in (16, 32, 64)}
    seen = {"28 px, MNIST's own": own, **sizes}
    for name, x in seen.items():
        probabilities = classifier.probabilities(x)
        right = float((probabilities.argmax(1) == labels).float().mean())
        print(f"test digits, {name}: accuracy {right:.4f}, p > 0.9: {confident_share(probabilities):.4f}, ", end="")
        print(f"rarest class {float(class_shares(probabilities).min()):.4f}")
    torch.manual_seed(SEED)
    blends = (own + own[torch.randperm(len(own))]) / 2
    white = torch.rand_like(own[:1000]) * 2 - 1
    for name, none in (("blends of two digits", blends), ("white noise", white), ("coarse noise", noise(1000))):
        print(f"{name}: p > 0.9: {confident_share(classifier.probabilities(none)):.3f}")


def main() -> None:
    """Trains, examines, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder that holds MNIST/raw")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--output", type=Path, default=WEIGHTS, help="where the weights go (default: into the package)")
    options = parser.parse_args()
    print(machine())
    classifier = train(*digits(options.root, "train"), options.epochs)
    examine(classifier, *digits(options.root, "t10k"))
    save_file(classifier.state_dict(), options.output)
    options.output.chmod(0o644)  # safetensors makes it readable for the owner only
    print(f"wrote {options.output} ({options.output.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    main()
