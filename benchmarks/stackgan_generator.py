"""How fast could StackGAN's Stage-I learn to draw what it is told? Its generator alone, without a game.

    python benchmarks/stackgan.py --out FOLDER --reader 800 --size 32
    python benchmarks/stackgan_generator.py --out FOLDER --norm batch none layer group --seeds 0 1 2

The generator of `experiment=stackgan_shapes` sees the texts of drawn images and, in the place of z, all that varies in
them, and is trained by the squared error of each pixel: what it cannot learn so, no discriminator can teach it. The
classifier of `benchmarks/stackgan.py` reads images of others' captions. Images are drawn anew for every update.
"""

import argparse
import statistics
import time
from pathlib import Path

import shapes_reader
import torch
from machine import machine
from runs import spread
from shapes_reader import READ, captions_of, some
from torch import Tensor

from lit_gans.callbacks import images
from lit_gans.data import Shapes
from lit_gans.data.captions import TOLD
from lit_gans.data.shapes import Drawn
from lit_gans.layers.conditioning_augmentation import ConditioningAugmentation
from lit_gans.networks.stackgan import Stage1Generator
from lit_gans.text import BagOfWords

SIZE, VARIATION, C, EXAMINED = 32, 10, 128, 500
ENCODER = BagOfWords(1024)


def drawn(combinations: Tensor, n: int, captions: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Attributes ``(n, 6)``, images in [-1, 1], what varies in them, and the mean embedding of so many captions."""
    attributes, variation = some(combinations, n), torch.rand(n, VARIATION) * 2 - 1
    image = Drawn(attributes, variation, SIZE).images(torch.arange(n)).float() / 127.5 - 1
    text = torch.stack([ENCODER.encode(captions_of(attributes)) for _ in range(captions)]).mean(0)
    return attributes, image, variation, text


def run(norm: str, seed: int, arguments: argparse.Namespace) -> tuple[list[float], float]:
    """The share of each attribute that is read right at the end, of one caption each, and the CPU minutes."""
    torch.manual_seed(seed)
    combinations = Shapes(image_size=SIZE).combinations(held_out=False)
    augmentation = ConditioningAugmentation(ENCODER.dim, C, "none")
    generator = Stage1Generator((3, SIZE, SIZE), 32, "simple", norm, VARIATION, augmentation)
    optimizer = torch.optim.Adam(generator.parameters(), arguments.lr, (0.5, 0.999))
    start = time.process_time()
    for _ in range(arguments.updates):
        _, image, variation, text = drawn(combinations, arguments.batch, TOLD)
        loss = (generator(torch.cat([variation, torch.zeros(len(text), C)], 1), text) - image).square().mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    minutes = (time.process_time() - start) / 60
    generator.eval()
    with torch.no_grad():
        attributes, _, variation, text = drawn(combinations, EXAMINED, 1)
        made = generator(torch.cat([variation, torch.zeros(len(text), C)], 1), text)
    right = shapes_reader.load(arguments.out, SIZE).read(images.to_uint8(made)) == attributes[:, : len(READ)]
    return right.double().mean(0).tolist(), minutes


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the classifier")
    parser.add_argument("--norm", nargs="+", default=["batch", "none", "layer", "group"], help="of the generator")
    parser.add_argument("--lr", type=float, default=4e-4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--updates", type=int, default=3000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(machine(), "", f"| norm | {' | '.join(READ)} | CPU minutes |", f"|{'---|' * (len(READ) + 2)}", sep="\n")
    for norm in arguments.norm:
        shares, minutes = zip(*(run(norm, seed, arguments) for seed in arguments.seeds), strict=True)
        cells = [spread([100 * share for share in own]) for own in zip(*shares, strict=True)]
        print(f"| {norm} | {' | '.join(cells)} | {statistics.mean(minutes):.1f} |", flush=True)


if __name__ == "__main__":
    main()
