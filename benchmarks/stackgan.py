"""Does a StackGAN draw what it is told? Shapes with captions, whose images a classifier of their attributes reads.

    python benchmarks/stackgan.py --out FOLDER --reader
    python benchmarks/stackgan.py --out FOLDER --method stackgan no_augmentation no_wrong_pairs one_stage --seeds 0 1 2
    python benchmarks/stackgan.py --out FOLDER --collect
    python benchmarks/stackgan.py --out FOLDER --read runs/…/checkpoints/last.ckpt

Settings are those of `experiment=stackgan_shapes`, as they are by then; averaged weights; one caption an image.
`no_augmentation`: c is a function of the text. `random_pairs`: a wrong text is that of another image in the batch, and
nobody tells texts apart. `paper_pairs`: and the discriminator joins text and image by concatenation.
`no_wrong_pairs`: it sees no real image with a wrong text. `batch_norm`: both networks have it, as in the paper. `kl_2`:
the divergence of c weighs what it does in the paper. `one_stage`: Stage-I alone, at full size, for as many CPU minutes
as the `stackgan` of its seed, which must have been run. `--stage-steps 24000 0` trains Stage-I alone, at its own size.
`--read` measures a run of `train.py`, of `model=stackgan_pp` as well.

`--reader` trains the classifier on drawn images, sharp ones, blurred ones and noisy ones, of all combinations, and
examines it on others. The distances (FID) are in its features: they compare runs here with each other, nothing else. A
run that was stopped goes on from its last look; nothing is selected by the looks.
"""

import argparse
import json
import logging
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import shapes_reader
import torch
from hydra import compose, initialize_config_module
from machine import machine
from runs import QUIET, Look, spread
from shapes_reader import PART, READ, captions_of, drawn, some
from torch import Tensor
from torch.nn.functional import interpolate, one_hot

from lit_gans import load
from lit_gans.callbacks import images
from lit_gans.callbacks.ema import EMA
from lit_gans.configs import build
from lit_gans.configs.check import Config, checked
from lit_gans.data import Shapes
from lit_gans.data.shapes import kinds_of
from lit_gans.data.wording import ATTRIBUTES
from lit_gans.metrics.diversity import spread as spread_of
from lit_gans.metrics.extractors import FeatureExtractor
from lit_gans.metrics.scores import Scores, Statistics
from lit_gans.models import StackGAN, StackGANPP
from lit_gans.pyramid import shrink
from lit_gans.wrong_texts import partners

RANDOM_PAIRS = ("model.wrong_texts=0", "model.matching_weight=0", "model.stage2_options.matching_weight=0")
METHODS: dict[str, tuple[str, ...]] = {
    "stackgan": (),
    "no_augmentation": ("model.augmentation=none",),
    "no_wrong_pairs": ("model.wrong_weight=0", *RANDOM_PAIRS),
    "random_pairs": RANDOM_PAIRS,
    "paper_pairs": ("model.text_head=concat", *RANDOM_PAIRS),
    "one_stage": ("model.stages=[1]", "model.stage_steps=null"),
    "batch_norm": (
        *("model.generator_norm=batch", "model.discriminator_norm=batch"),
        *("model.stage2_options.discriminator_norm=batch", "model.stage2_options.r1_gamma=0"),
    ),
    "kl_2": ("model.kl_weight=2",),
}
"""What is otherwise than in the experiment."""

Model = StackGAN | StackGANPP


# What is measured


class Measures:
    """Of a model that is in eval mode; the same images and captions are asked for at every look.

    Args:
        arguments: of the command line.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.size, self.samples = arguments.size, arguments.samples
        self.reader = shapes_reader.load(arguments.out, self.size)
        self.extractor = extractor = FeatureExtractor("shapes", self.reader, (3, self.size, self.size))
        shapes = Shapes(image_size=self.size)
        self.seen, self.unseen = (shapes.combinations(held_out=held_out) for held_out in (False, True))
        with torch.random.fork_rng():
            torch.manual_seed(1)
            real = drawn(some(self.seen, 5_000), self.size)
        batches = ((extractor(part), torch.zeros(len(part), dtype=torch.bool)) for part in real.split(PART))
        self.scores = Scores(Statistics.of(batches, extractor.num_features, real.device), kid_subsets=0)
        self.real_edges = edges(real)

    def of(self, model: Model) -> dict[str, Any]:
        """All of them, those of each stage or scale that has learnt something apart."""
        row: dict[str, Any] = {}
        for part, combinations in (("seen", self.seen), ("unseen", self.unseen)):
            attributes = some(combinations, self.samples)
            texts = captions_of(attributes)
            for name in learnt(model):
                made = self.made(model, texts, name)
                right = (self.reader.read(made) == attributes[:, : len(READ)]).double()
                own = dict(zip(READ, right.mean(0).tolist(), strict=True))
                row[f"{name}/{part}"] = {**own, "all": float(right.prod(1).mean())}
                if part == "seen":
                    features = torch.cat([self.extractor(some_of) for some_of in made.split(PART)])
                    row[f"{name}/fid"] = self.scores.score(features)["fid"]
                    row[f"{name}/edges"] = edges(made) / self.real_edges
            row[f"rank/{part}"] = self.ranks(model, attributes[: self.samples // 2], learnt(model)[-1])
        for name in learnt(model):
            row[f"{name}/diversity"] = self.diversity(model, name)
        return {**row, "told": self.told(model)} if isinstance(model, StackGANPP) else row

    def made(self, model: Model, texts: list[str], name: str) -> Tensor:
        """Images of captions at full size, ``(N, 3, S, S)`` uint8; small ones enlarged."""
        parts = [texts[start : start + PART] for start in range(0, len(texts), PART)]
        which = {"stage" if isinstance(model, StackGAN) else "size": int(re.sub("[a-z]", "", name))}
        made = torch.cat([model.sample(captions=part, **which).cpu() for part in parts]).float()
        return images.to_uint8(made if made.shape[-1] == self.size else interpolate(made, self.size, mode="bilinear"))

    def diversity(self, model: Model, name: str, captions: int = 50, each: int = 8) -> float:
        """The mean distance of two images of a caption, by that of two drawn images of the same attributes."""
        attributes = some(self.seen, captions)
        texts = [text for text in captions_of(attributes) for _ in range(each)]
        made = self.made(model, texts, name).unflatten(0, (captions, each))
        real = drawn(attributes.repeat_interleave(each, 0), self.size).unflatten(0, (captions, each))
        fakes, reals = (sum(spread_of(own).distance for own in these.float()) for these in (made, real))
        return fakes / reals

    @torch.no_grad()
    def ranks(self, model: Model, attributes: Tensor, name: str) -> dict[str, float]:
        """The share of real images whose own caption is scored above a wrong one.

        A wrong one is that of another image (``any``), or their own, of which one attribute was changed.
        """
        game = model.named(name)
        image = shrink(drawn(attributes, self.size).float() / 127.5 - 1, (game.sample_shape or ())[-1])

        def logits(image: Tensor, said: Tensor) -> Tensor:
            text = model.encode(captions_of(said)).to(model.device)
            if isinstance(model, StackGANPP):
                return game.discriminate(image.to(model.device), model.augmentation.moments(text)[0])[:, 0].cpu()
            return game.discriminate(image.to(model.device), text).cpu()

        right = logits(image, attributes)
        which, other = partners(kinds_of(attributes))
        wrong = logits(image[which], attributes[other])
        shares = {"any": float((right[which] > wrong).double().mean())}
        for column, attribute in enumerate(READ):
            count, changed = len(ATTRIBUTES[attribute]), attributes.clone()
            changed[:, column] = (changed[:, column] + torch.randint(1, count, (len(changed),))) % count
            shares[attribute] = float((right > logits(image, changed)).double().mean())
        return shares

    @torch.no_grad()
    def told(self, model: StackGANPP, captions: int = 1_500, learnt_from: int = 1_000) -> dict[str, float]:
        """The share of captions whose attributes a linear map of c's mean tells, which is all that discriminators know.

        The map is fitted by least squares to other captions.
        """
        attributes = some(self.seen, captions)
        mean = model.augmentation.moments(model.encode(captions_of(attributes)).to(model.device))[0].cpu().double()
        x, shares = torch.cat([mean, torch.ones(captions, 1)], 1), {}
        for attribute, asked in zip(READ, attributes.T, strict=False):
            known = one_hot(asked[:learnt_from]).double()
            weights = torch.linalg.lstsq(x[:learnt_from], known, driver="gelsd").solution
            shares[attribute] = float(((x @ weights).argmax(1) == asked)[learnt_from:].double().mean())
        return shares


def learnt(model: Model) -> Sequence[str]:
    """The stages, or scales, up to the last one that has learnt something."""
    last = max(place for place, name in enumerate(model.names) if model.named(name).turns_taken["generator"])
    return model.names[: last + 1]


def edges(image: Tensor) -> float:
    """The mean squared difference of neighbouring pixels of uint8 images."""
    x = image.float() / 255
    return float((x.diff(dim=-1).square().mean() + x.diff(dim=-2).square().mean()) / 2)


class Reading(Look):
    """Of the averaged weights, by all measures."""

    def __init__(self, path: Path, arguments: argparse.Namespace, facts: dict[str, Any], ema: EMA) -> None:
        super().__init__(path, arguments.every, facts)
        self.ema, self.measures = ema, Measures(arguments)
        self.budget = budget_of(path) if facts["method"] == "one_stage" else None

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Looks if it is time, and ends a run that may take no longer."""
        super().on_train_batch_end(trainer, pl_module)
        if self.budget is not None and self.minutes["cpu_minutes"] >= self.budget:
            trainer.should_stop = True

    def measure(self, trainer: Any, model: StackGAN) -> dict[str, Any]:
        """Of the stages that have learnt something."""
        with self.ema.swapped(model), torch.random.fork_rng(), model.in_eval_mode():
            torch.manual_seed(2)
            row = self.measures.of(model)
            self.draw(model)
        return row

    def draw(self, model: StackGAN) -> None:
        """Two images each of twelve captions from either stage, the first of each row enlarged Stage-I's."""
        texts = captions_of(torch.cat([some(self.measures.seen, 6), some(self.measures.unseen, 6)]))
        rows = [self.measures.made(model, texts, name) for name in learnt(model) for _ in range(2)]
        captions = [*[""] * (len(texts) * (len(rows) - 1)), *texts]
        images.save(images.grid(torch.cat(rows), len(texts), captions), self.path.with_suffix(".png"))


def budget_of(path: Path) -> float:
    """CPU minutes of the same seed's two stages.

    Raises:
        SystemExit: if these were not run.
    """
    whole = path.with_name(path.name.replace("one_stage", "stackgan"))
    if not whole.exists():
        raise SystemExit(f"one_stage may take as long as stackgan of the same seed, which is not there: {whole}.")
    return float(json.loads(whole.read_text())["looks"][-1]["cpu_minutes"])


# Runs


def config_of(method: str, seed: int, arguments: argparse.Namespace) -> Config:
    """The experiment's, but for the method's own."""
    size = arguments.size * (2 if method == "one_stage" else 1)
    both = all(arguments.stage_steps)
    steps = [f"model.stage_steps={arguments.stage_steps}"] if both else METHODS["one_stage"]
    given = [f"seed={seed}", f"data.image_size={arguments.size}", f"data.batch_size={arguments.batch}"]
    given += [f"model.image_size={size}", *steps, *METHODS[method], f"run_dir={arguments.out}"]
    with initialize_config_module("lit_gans.configs", version_base="1.3"):
        return checked(compose("train", ["experiment=stackgan_shapes", *given]))


def model_of(config: Config) -> StackGAN:
    """One that has learnt nothing yet."""
    model = build.model(config)
    assert isinstance(model, StackGAN)
    size = config["data"]["image_size"]
    model.sample_shape = (3, size, size)  # one stage is a half, whose other half is never made
    return model


def run(method: str, seed: int, arguments: argparse.Namespace) -> None:
    """Trains to the end."""
    path, ema = arguments.out / f"{arguments.size}-{method}-seed{seed}.json", EMA()
    config = config_of(method, seed, arguments)
    facts = {"size": arguments.size, "method": method, "seed": seed, "precision": arguments.precision}
    facts |= {"batch": arguments.batch, "model": config["model"], "tricks": config["tricks"]}
    look = Reading(path, arguments, {**facts, "stage_steps": arguments.stage_steps, "machine": machine()}, ema)
    trainer = lightning.Trainer(
        **QUIET,
        accelerator=arguments.accelerator,
        precision=arguments.precision,
        max_steps=-1 if method == "one_stage" else sum(arguments.stage_steps),
        max_epochs=-1,
        callbacks=[ema, look],
    )
    trainer.fit(model_of(config), datamodule=build.data(config), ckpt_path=look.last, weights_only=True)


def read(path: Path, arguments: argparse.Namespace) -> None:
    """Prints all measures of a checkpoint."""
    model = load(path)
    assert isinstance(model, StackGAN | StackGANPP)
    torch.manual_seed(2)
    with torch.no_grad():
        print(json.dumps(Measures(arguments).of(model), indent=1))


def tables(runs: list[dict[str, Any]]) -> str:
    """Markdown, at the end of the runs: what is read from images, and how the stages and the texts compare."""
    names = [*READ, "all"]
    read = [["size", "method", "seeds", "minutes (CPU)", "images of", *names, "best look, all"]]
    more = [["size", "method", "stage", "FID", "best FID", "edges / real", "diversity / real"]]
    rank = [["size", "method", "captions", "any", *READ]]
    for size, method in sorted({(run["size"], run["method"]) for run in runs}):
        same = [run["looks"] for run in runs if (run["size"], run["method"]) == (size, method)]
        last = [looks[-1] for looks in same]
        stages = [stage for stage in ("stage1", "stage2") if f"{stage}/fid" in last[0]]
        minutes = [f"{statistics.mean(row[key] for row in last):.0f}" for key in ("minutes", "cpu_minutes")]
        for stage in stages:
            for part in ("seen", "unseen"):
                key = f"{stage}/{part}"
                cells = [spread([100 * row[key][name] for row in last]) for name in names]
                best = spread([100 * max(row[key]["all"] for row in looks if key in row) for looks in same])
                head = [str(size), method, str(len(same)), f"{minutes[0]} ({minutes[1]})"]
                read.append([*head, f"{stage}, {part}", *cells, best])
            best = spread([min(row[f"{stage}/fid"] for row in looks if f"{stage}/fid" in row) for looks in same])
            cells = [spread([row[f"{stage}/{name}"] for row in last]) for name in ("fid", "edges", "diversity")]
            more.append([str(size), method, stage, cells[0], best, *cells[1:]])
        for part in ("seen", "unseen"):
            cells = [spread([100 * row[f"rank/{part}"][name] for row in last]) for name in ("any", *READ)]
            rank.append([str(size), method, part, *cells])
    return "\n\n".join("\n".join(markdown(rows)) for rows in (read, more, rank))


def markdown(rows: list[list[str]]) -> list[str]:
    """Lines of a table whose first row is the head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


def main() -> None:
    """Runs what is asked for, or prints what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--method", nargs="+", default=["stackgan"], choices=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=64, choices=[32, 64], help="pixels of Stage-II's images")
    parser.add_argument("--stage-steps", type=int, nargs=2, default=[24000, 3000], help="updates of each stage")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--every", type=int, default=2000, help="updates from look to look")
    parser.add_argument("--samples", type=int, default=2000, help="captions at a look, of seen and of unseen each")
    parser.add_argument("--accelerator", default="cpu", choices=["cpu", "gpu"])
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--reader", type=int, nargs="?", const=1500, help="train the classifier, for so many updates")
    parser.add_argument("--collect", action="store_true", help="print the tables of what there is")
    parser.add_argument("--read", type=Path, help="a checkpoint of model=stackgan or stackgan_pp on shapes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.collect:
        runs = [json.loads(path.read_text()) for path in sorted(arguments.out.glob("*-seed*.json"))]
        print(*sorted({re.sub(", load [0-9.]+", "", run["machine"]) for run in runs}), tables(runs), sep="\n\n")
    elif arguments.read:
        read(arguments.read, arguments)
    elif arguments.reader:
        shapes_reader.train(arguments.out, arguments.size, arguments.reader)
    else:
        for seed in arguments.seeds:
            for method in arguments.method:
                run(method, seed, arguments)


if __name__ == "__main__":
    main()
