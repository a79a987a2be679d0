"""A classifier of drawn shapes: what `benchmarks/stackgan.py` reads generated images with."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from lit_gans.callbacks import images
from lit_gans.data import Shapes
from lit_gans.data.shapes import Drawn, names_of
from lit_gans.data.wording import ATTRIBUTES, WORDINGS, caption
from lit_gans.pyramid import shrink

READ = tuple(ATTRIBUTES)[:5]
"""The attributes that vary where an image has one shape."""
PART = 250
"""Images that are made or read at once."""


def drawn(attributes: Tensor, size: int) -> Tensor:
    """Real images ``(N, 3, S, S)`` uint8 of attributes ``(N, 6)``, each varied in its own way."""
    own = Drawn(attributes, torch.rand(len(attributes), 10) * 2 - 1, size)
    return own.images(torch.arange(len(attributes)))


def some(combinations: Tensor, n: int) -> Tensor:
    """Attributes ``(n, 6)`` of some of the combinations ``(M, 4)``, on any background."""
    chosen = combinations[torch.randint(len(combinations), (n,))]
    background = torch.randint(len(ATTRIBUTES["background"]), (n, 1))
    return torch.cat([chosen, background, torch.zeros(n, 1, dtype=torch.int64)], 1)


def captions_of(attributes: Tensor) -> list[str]:
    """One caption each, in some wording."""
    wordings = torch.randint(WORDINGS, (len(attributes),)).tolist()
    return [caption(names_of(row), wording) for row, wording in zip(attributes, wordings, strict=True)]


class Reader(nn.Module):
    """uint8 images ``(N, 3, S, S)`` to features ``(N, 128)``; ``read`` to attributes ``(N, 5)``."""

    def __init__(self, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, stride in ((3, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, size // 32)):
            layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 8**2, 128), nn.ReLU())
        self.outputs = nn.ModuleList(nn.Linear(128, len(ATTRIBUTES[name])) for name in READ)

    def forward(self, image: Tensor) -> Tensor:
        """Features."""
        features: Tensor = self.features(image.float() / 127.5 - 1)
        return features

    def logits(self, image: Tensor) -> list[Tensor]:
        """Of each attribute."""
        features = self(image)
        return [output(features) for output in self.outputs]

    @torch.no_grad()
    def read(self, image: Tensor) -> Tensor:
        """Attributes ``(N, 5)``."""
        parts = [torch.stack([own.argmax(1) for own in self.logits(part)], 1) for part in image.split(PART)]
        return torch.cat(parts)


def blurred(image: Tensor) -> Tensor:
    """At half the size, and enlarged again, as Stage-I's images are."""
    small = shrink(image.float() / 127.5 - 1, image.shape[-1] // 2)
    return images.to_uint8(interpolate(small, image.shape[-1], mode="bilinear"))


def train(out: Path, size: int, updates: int) -> None:
    """Writes the classifier's weights, and prints how it reads images of combinations that no GAN is shown."""
    torch.manual_seed(0)
    shapes, reader = Shapes(image_size=size), Reader(size)
    everything = torch.cat([shapes.combinations(held_out=held_out) for held_out in (False, True)])
    optimizer = torch.optim.AdamW(reader.parameters(), 2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=updates)
    for _ in range(updates):
        attributes = some(everything, 128)
        image = drawn(attributes, size)
        image[::4] = blurred(image[::4])
        noise = 12 * torch.rand(len(image), 1, 1, 1) * torch.randn(image.shape)
        loss = sum(cross_entropy(own, attributes[:, k]) for k, own in enumerate(reader.logits(image + noise)))
        optimizer.zero_grad()
        torch.autograd.backward(torch.as_tensor(loss))
        optimizer.step()
        schedule.step()
    reader.eval()
    attributes = some(shapes.combinations(held_out=True), 5_000)
    image = drawn(attributes, size)
    for name, these in (("drawn", image), ("blurred", blurred(image))):
        right = reader.read(these) == attributes[:, : len(READ)]
        shares = ", ".join(f"{name} {share:.2%}" for name, share in zip(READ, right.double().mean(0), strict=True))
        print(f"5,000 images of held-out combinations, {name}: {shares}; all {right.all(1).double().mean():.2%}")
    save_file(reader.state_dict(), str(out / f"reader-{size}.safetensors"))


def load(out: Path, size: int) -> Reader:
    """As it was trained."""
    reader = Reader(size)
    reader.load_state_dict(load_file(out / f"reader-{size}.safetensors"))
    return reader.eval()
