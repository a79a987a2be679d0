"""LAPGAN against a fully connected GAN at full size and a DCGAN of as many parameters, in equal training time.

    python benchmarks/lapgan.py --data fashion_mnist --root FOLDER --out FOLDER --reader
    python benchmarks/lapgan.py --data fashion_mnist --root FOLDER --out FOLDER --method lapgan dcgan --seeds 0 1 2
    python benchmarks/lapgan.py --out FOLDER --collect
    python benchmarks/lapgan.py --data fashion_mnist --root FOLDER --out FOLDER --pyramid

All with Adam at 2e-4 and averaged weights, images of 28 pixels: Fashion-MNIST at 7, 14, 28, or the four corners of
each image of CIFAR-10 at 8, 14, 28. DCGAN makes 32 pixels, of which as many are cut off as its data was given too many.
The distances (FID, KID) are in the features of a classifier that `--reader` trains on the same data first: they compare
runs here with each other, and nothing else. `--root` is a folder for `data.root`, or for CIFAR-10 a pair of files,
`FOLDER/*train.npz` and `FOLDER/*test.npz`, with the images as JPEGs one after another: `jpeg`, `offsets`, `labels`.

Also measured: how far samples are from the nearest training image, beside the same for test images; the share of images
that each level's D tells rightly; and the log-likelihood of test images under Parzen windows of samples, summed over
the levels given the real coarse image, in standardised pixels, the window chosen on other test images. The paper's are
-1799 for LAPGAN, -3617 for the fully connected GAN, on CIFAR-10 (arXiv 1506.05751, Table 1).
"""

import argparse
import io
import json
import logging
import math
import statistics
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from machine import machine
from PIL import Image
from runs import QUIET, spread
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lit_gans import Sampler, pyramid
from lit_gans.callbacks import images
from lit_gans.callbacks.ema import EMA
from lit_gans.data import CIFAR10, FashionMNIST
from lit_gans.data.base import ImageDataModule
from lit_gans.metrics.extractors import FeatureExtractor
from lit_gans.metrics.reals import measure
from lit_gans.metrics.scores import Scores
from lit_gans.models import DCGAN, LAPGAN

SIZE, BATCH = 28, 128
SIZES = {"fashion_mnist": [28, 14, 7], "cifar10": [28, 14, 8]}
ADAM = {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999], "momentum": None}
METHODS = ("lapgan", "lapgan_fc", "fully_connected", "dcgan")
"""``lapgan_fc`` has the paper's coarsest level, ``lapgan`` a convolutional one."""
TIMES = (0.5, 1.0)
"""Shares of the training time after which to look."""


# Data


class JPEGs(CIFAR10):
    """CIFAR-10 from one file, ``jpeg`` with ``offsets`` and ``labels``."""

    def originals(self) -> tuple[Tensor, Tensor]:
        """Images ``(N, 3, 32, 32)`` uint8 and labels ``(N,)``."""
        return jpegs(Path(self.root), "train")


def jpegs(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """The images of the one file in the folder whose name ends so."""
    (path,) = folder.glob(f"*{part}.npz")
    file = np.load(path)
    data, offsets = file["jpeg"].tobytes(), file["offsets"]
    pairs = pairwise(offsets)
    decoded = np.stack([np.asarray(Image.open(io.BytesIO(data[start:end]))) for start, end in pairs])
    return torch.from_numpy(decoded).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(file["labels"]).long()


def data_of(name: str, root: str, size: int, seed: int) -> ImageDataModule:
    """At 28 pixels, or at 32 for DCGAN."""
    if name == "fashion_mnist":
        return FashionMNIST(root=root, image_size=size, batch_size=BATCH, seed=seed)
    return JPEGs(root=root, image_size=size, corners=size == SIZE, batch_size=BATCH, seed=seed)


def test_images(name: str, root: str) -> Tensor:
    """``(N, C, 28, 28)`` uint8, that nothing was trained on."""
    if name == "fashion_mnist":
        from torchvision.datasets import FashionMNIST as Files

        return Files(root, train=False, download=True).data[:, None]
    return jpegs(Path(root), "test")[0][:, :, :SIZE, :SIZE]


def cut(samples: Tensor, name: str) -> Tensor:
    """Images of 32 pixels as those of 28 are made of them: without the border, or one corner each."""
    room = samples.shape[-1] - SIZE
    if not room:
        return samples
    if name == "fashion_mnist":
        return samples[:, :, room // 2 : -room // 2, room // 2 : -room // 2]
    corners = [samples[i::4, :, i // 2 * room :, i % 2 * room :][:, :, :SIZE, :SIZE] for i in range(4)]
    return torch.cat(corners)


# Models


def model_of(method: str, data: str, seed: int) -> Sampler:
    """Each with as many parameters as LAPGAN, but for the fully connected ones, which have the paper's layers."""
    channels = 1 if data == "fashion_mnist" else 3
    shared: dict[str, Any] = {"image_channels": channels, "generator_optimizer": ADAM, "discriminator_optimizer": ADAM}
    if method == "fully_connected":
        return LAPGAN(image_size=SIZE, sizes=[SIZE], seed=seed, **shared)
    if method.startswith("lapgan"):
        coarsest = "fully_connected" if method == "lapgan_fc" else "convolutional"
        return LAPGAN(image_size=SIZE, sizes=SIZES[data], coarsest=coarsest, seed=seed, **shared)
    wanted = parameters(model_of("lapgan", data, seed))
    sizes = {width: parameters(DCGAN(image_size=32, width=width, **shared)) for width in range(16, 65, 2)}
    width = min(sizes, key=lambda width: abs(sizes[width] - wanted))
    return DCGAN(image_size=32, width=width, seed=seed, **shared)


def parameters(model: Sampler) -> int:
    """How many, of all networks."""
    model.configure_model()
    return sum(parameter.numel() for parameter in model.parameters())


# The classifier whose features are compared


class Reader(nn.Module):
    """uint8 images ``(N, C, 28, 28)`` to features ``(N, 128)``; ``classify`` to logits ``(N, 10)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, stride in ((channels, 32, 1), (32, 64, 2), (64, 128, 2), (128, 128, 1)):
            layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(512, 128), nn.ReLU())
        self.output = nn.Linear(128, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Features."""
        features: Tensor = self.features(image.float() / 127.5 - 1)
        return features

    def classify(self, image: Tensor) -> Tensor:
        """Raw logits."""
        logits: Tensor = self.output(self(image))
        return logits


def train_reader(arguments: argparse.Namespace, device: torch.device, epochs: int) -> None:
    """Writes the classifier's weights."""
    torch.manual_seed(0)
    module = data_of(arguments.data, arguments.root, SIZE, 0)
    module.setup("fit")
    whole = module.train_dataset
    batch = whole.__getitems__(range(len(whole) // 4 if arguments.data == "cifar10" else len(whole)))
    image, label = batch["image"].to(device), batch["label"].to(device)
    reader = Reader(image.shape[1]).to(device)
    steps = epochs * (len(image) // BATCH)
    optimizer = torch.optim.AdamW(reader.parameters(), 3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for step in range(steps):
        if step % (len(image) // BATCH) == 0:
            order = torch.randperm(len(image), device=device)
        now = order[step % (len(image) // BATCH) * BATCH :][:BATCH]
        optimizer.zero_grad()
        torch.autograd.backward(cross_entropy(reader.classify(image[now]), label[now]))
        optimizer.step()
        schedule.step()
    reader.eval()
    with torch.no_grad():
        right = (reader.classify(image[:10_000]).argmax(1) == label[:10_000]).double().mean()
    test_images(arguments.data, arguments.root)  # unpacks them, once for all runs
    print(f"{arguments.data}: {right:.1%} of the training images after {epochs} epochs", flush=True)
    save_file(reader.state_dict(), str(arguments.out / f"{arguments.data}.safetensors"))


def extractor_of(arguments: argparse.Namespace, channels: int, device: torch.device) -> FeatureExtractor:
    """The trained classifier's features."""
    reader = Reader(channels)
    reader.load_state_dict(load_file(arguments.out / f"{arguments.data}.safetensors"))
    return FeatureExtractor(arguments.data, reader.to(device), (channels, SIZE, SIZE))


# What is measured


class Look(Callback):
    """Stops the run when its time is over, and measures on the way; the time that this takes does not count."""

    def __init__(self, arguments: argparse.Namespace, facts: dict[str, Any], ema: EMA) -> None:
        self.arguments, self.facts, self.ema = arguments, facts, ema
        self.clock = time.process_time if arguments.cpu_time else time.perf_counter
        self.path = arguments.out / "{data}-{method}-seed{seed}.json".format(**facts)
        self.due = [share * arguments.minutes * 60 for share in TIMES]
        self.looks: list[dict[str, Any]] = []
        self.since = 0.0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """What does not change is worked out before the clock starts."""
        arguments, device = self.arguments, pl_module.device
        module = data_of(arguments.data, arguments.root, SIZE, 0)
        module.setup("fit")
        self.extractor = extractor_of(arguments, module.image_channels, device)
        options = {"num_real": 10_000, "num_kept": 2_000, "batch_size": 250, "device": device}
        self.scores = Scores(measure(module.train_dataset, self.extractor, **options))
        self.test = test_images(arguments.data, arguments.root)
        step = len(module.train_dataset) // 10_000
        self.train = module.train_dataset.__getitems__(range(0, len(module.train_dataset), step))["image"]
        self.since = self.clock()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Looks if it is time."""
        spent = self.clock() - self.since
        if spent < self.due[0]:
            return
        self.due.pop(0)
        with self.ema.swapped(pl_module), torch.random.fork_rng():
            pl_module.eval()
            torch.manual_seed(0)
            self.look(pl_module, spent, trainer.global_step)
            pl_module.train()
        trainer.should_stop = not self.due
        self.since = self.clock() - spent

    @torch.no_grad()
    def look(self, model: Any, spent: float, updates: int) -> None:
        """One row, written down at once."""
        count = self.arguments.samples
        samples = torch.cat([images.to_uint8(model.sample(500)) for _ in range(-(-count // 500))])
        samples = cut(samples, self.facts["data"])
        features = torch.cat([self.extractor(part) for part in samples.split(500)])
        row: dict[str, Any] = {"updates": updates, "minutes": spent / 60, **self.scores.score(features)}
        near = nearest(samples[:200], self.train)
        row["nearest"] = float(near[0].median()) / float(nearest(self.test[:200].to(samples), self.train)[0].median())
        if isinstance(model, LAPGAN):
            row["accuracy"] = accuracies(model, self.test[:1000])
            row["parzen"] = parzen(model, self.test[1000:1200])
        self.looks.append(row)
        self.path.write_text(json.dumps({**self.facts, "looks": self.looks}))
        print(self.path.stem, row, flush=True)
        self.draw(model, samples, near[1])

    def draw(self, model: Any, samples: Tensor, near: Tensor) -> None:
        """Samples over their nearest training images; of LAPGAN each level's, in the order of the cascade."""
        rows = [samples[:16].cpu(), self.train[near[:16].cpu()]]
        if isinstance(model, LAPGAN):
            latent, label = model.sample_latent(16), model.condition({"label": torch.arange(16, device=model.device)})
            levels = [model(latent, label, level=k) for k in reversed(range(len(model.sizes)))]
            larger = [nn.functional.interpolate(images.to_uint8(level).float(), SIZE).byte() for level in levels]
            rows = [*(level.cpu() for level in larger), *rows]
        images.save(images.grid(torch.cat(rows), 16), self.path.with_suffix(f".{len(self.looks)}.png"))


def nearest(these: Tensor, those: Tensor) -> tuple[Tensor, Tensor]:
    """Of each of these the distance to the nearest of those, in pixel values, and which it is."""
    these, those = these.flatten(1).float(), those.to(these.device).flatten(1).float()
    distance, index = torch.cdist(these, those).min(1)
    return distance, index


def accuracies(model: LAPGAN, test: Tensor) -> dict[str, float]:
    """The share of real and fake images that D tells rightly, by level."""
    batch = model.prepare({"image": test.to(model.device)})
    found = {}
    for name in model.names:
        game, own = model.named(name), model.game_batch(name, batch)
        real, fake = game.discriminator_logits(own["image"], game.generate(own), game.condition(own))
        found[name] = float(((real > 0).double().mean() + (fake < 0).double().mean()) / 2)
    return found


def parzen(model: LAPGAN, test: Tensor, draws: int = 200) -> float:
    """Mean log-likelihood of a half of the images, each level's window chosen on the other half; nats."""
    batch = model.prepare({"image": test.to(model.device)})
    total = 0.0
    for name in model.names:
        game, own = model.named(name), model.game_batch(name, batch)
        distances = []
        for i in range(len(test)):
            condition = own["condition"][i : i + 1].expand(draws, -1, -1, -1) if "condition" in own else None
            fakes = game.generator(game.sample_latent(draws), condition)
            distances.append((fakes - own["image"][i]).flatten(1).square().sum(1))
        squares, dimension = torch.stack(distances).double(), own["image"][0].numel()

        def likelihood(part: Tensor, window: float, dimension: int = dimension) -> float:
            norm = dimension / 2 * math.log(2 * math.pi * window**2) + math.log(draws)
            return float((-part / (2 * window**2)).logsumexp(1).mean()) - norm

        windows = torch.logspace(-2, 0.5, 40).tolist()
        best = max(windows, key=lambda window: likelihood(squares[::2], window))
        total += likelihood(squares[1::2], best)
    return total


def draw_pyramid(arguments: argparse.Namespace) -> None:
    """Test images taken apart: I_2, then l_1, h_1, I_1, then l_0, h_0, I_0; no difference is middle grey."""
    image = test_images(arguments.data, arguments.root)[:16].double() / 127.5 - 1
    sizes, rows = SIZES[arguments.data], []
    differences = pyramid.build(image, sizes)
    for k in reversed(range(len(sizes))):
        fine = pyramid.shrink(image, sizes[k])
        below = [] if k == len(sizes) - 1 else [pyramid.enlarge(pyramid.shrink(image, sizes[k + 1]), sizes[k])]
        rows += [nn.functional.interpolate(row, SIZE) for row in [*below, *([differences[k]] if below else []), fine]]
    images.save(images.grid(torch.cat([images.to_uint8(row) for row in rows]), 16), arguments.out / "pyramid.png")


# Runs


def run(method: str, seed: int, arguments: argparse.Namespace) -> None:
    """Trains for the time given."""
    model, size = model_of(method, arguments.data, seed), 32 if method == "dcgan" else SIZE
    facts = {"data": arguments.data, "method": method, "seed": seed, "parameters": parameters(model)}
    ema = EMA()
    look = Look(arguments, {**facts, "machine": machine()}, ema)
    trainer = lightning.Trainer(
        **QUIET,
        accelerator=arguments.accelerator,
        precision=arguments.precision,
        max_epochs=-1,
        callbacks=[ema, look],
    )
    trainer.fit(model, datamodule=data_of(arguments.data, arguments.root, size, seed))


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown: the last look, mean and standard deviation over the seeds, and the best FID of any look."""
    heads = ["data", "method", "parameters", "seeds", "minutes", "updates"]
    heads += ["FID", "best FID", "KID", "nearest / test", "D right, coarsest first", "Parzen"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for data, method in sorted({(run["data"], run["method"]) for run in runs}):
        same = [run for run in runs if (run["data"], run["method"]) == (data, method)]
        last = [run["looks"][-1] for run in same]
        cells = [data, method, f"{same[0]['parameters'] / 1e6:.2f} M", str(len(same))]
        cells += [f"{statistics.mean(row['minutes'] for row in last):.1f}"]
        cells += [f"{statistics.mean(row['updates'] for row in last):,.0f}"]
        cells += [spread([row["fid"] for row in last])]
        cells += [spread([min(row["fid"] for row in run["looks"]) for run in same])]
        cells += [spread([row["kid"] for row in last]), spread([row["nearest"] for row in last])]
        levels = sorted(last[0].get("accuracy", {}), reverse=True)
        cells += [" ".join(f"{statistics.mean(row['accuracy'][level] for row in last):.2f}" for level in levels) or "-"]
        cells += [spread([row["parzen"] for row in last]) if "parzen" in last[0] else "-"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Runs what is asked for, or prints what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=list(SIZES))
    parser.add_argument("--root", help="folder of the data")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--method", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=5.0, help="of training, without the looks")
    parser.add_argument("--cpu-time", action="store_true", help="count the minutes of this process alone")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--accelerator", default="cpu", choices=["cpu", "gpu"])
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--reader", type=int, nargs="?", const=6, help="train the classifier, for so many epochs")
    parser.add_argument("--pyramid", action="store_true", help="draw pyramid.png of real images")
    parser.add_argument("--collect", action="store_true", help="print the table of what there is")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.collect:
        runs = [json.loads(path.read_text()) for path in sorted(arguments.out.glob("*-seed*.json"))]
        print(*sorted({run["machine"].split(", load")[0] for run in runs}), table(runs), sep="\n\n")
    elif arguments.pyramid:
        draw_pyramid(arguments)
    elif arguments.reader:
        train_reader(arguments, torch.device("cuda" if arguments.accelerator == "gpu" else "cpu"), arguments.reader)
    else:
        for seed in arguments.seeds:
            for method in arguments.method:
                run(method, seed, arguments)


if __name__ == "__main__":
    main()
