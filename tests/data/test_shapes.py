"""A world of shapes: what is drawn is what is said, and what training never sees stays unseen."""

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from lit_gans.data import Shapes
from lit_gans.data.drawing import SHAPES, coverage
from lit_gans.data.shapes import (
    COLOURS,
    HELD_OUT,
    JITTER,
    PLACES,
    RADII,
    SHADE,
    TOGETHER,
    Drawn,
    attributes_of,
    kinds_of,
    names_of,
)
from lit_gans.data.wording import ATTRIBUTES, SYNONYMS, TEMPLATES, WORDINGS, caption, plural, some

AREAS = {
    **{"circle": math.pi, "square": 1.7**2, "triangle": 3 * math.sqrt(3) / 4},
    **{"star": 10 * 0.5 * 0.4 * math.sin(math.pi / 5), "ring": math.pi * (1 - 0.25), "cross": 4 * 0.64 - 0.64**2},
}
"""Of a shape of radius 1."""


def drawn(shape: str, size: int = 128, radius: float = 0.3, angle: float = 0.0) -> Tensor:
    number = torch.tensor([list(SHAPES).index(shape)])
    centre = torch.tensor([[0.5, 0.5]])
    return coverage(number, centre, torch.tensor([radius]), torch.tensor([angle]), size)[0]


def shapes(**options: object) -> Shapes:
    data = Shapes(**{"num_images": 40, "num_test": 30, "image_size": 32, "batch_size": 4, **options})  # type: ignore[arg-type]
    data.setup("fit")
    return data


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("angle", [0.0, 0.2])
def test_areas(shape: str, angle: float) -> None:
    area = drawn(shape, 256, angle=angle).mean().item()
    assert area == pytest.approx(AREAS[shape] * 0.3**2, rel=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_edges_are_smooth_and_shapes_the_same_at_every_size(shape: str) -> None:
    fine, coarse = drawn(shape, 128), drawn(shape, 32)
    difference = (avg_pool2d(fine[None, None], 4)[0, 0] - coarse).abs()
    assert difference.max() < (0.4 if shape == "star" else 0.25)  # whose tips are thinner than a pixel
    assert 0 < difference.mean() < 0.01
    assert 0.01 < ((fine > 0.05) & (fine < 0.95)).float().mean() < 0.1
    assert set(ATTRIBUTES["shape"]) == set(SHAPES)


def test_shapes_point_upwards() -> None:
    for shape in ("triangle", "star"):
        covered = drawn(shape, 64)
        top = covered.amax(1).nonzero()[0].item()
        assert covered[int(top)].nonzero().float().mean().item() == pytest.approx(31.5, abs=1)
        assert top < 64 - covered.amax(1).nonzero()[-1].item()


def test_a_turn_is_a_turn() -> None:
    torch.testing.assert_close(
        drawn("triangle", 64, angle=math.pi / 2).rot90(1), drawn("triangle", 64), atol=1e-4, rtol=0
    )


def image_of(**values: str) -> Tensor:
    """One image without variation, in the middle of every range."""
    whole = {"shape": "circle", "colour": "red", "size": "large", "position": "centre"}
    whole |= {"background": "white", "count": "one", **values}
    numbers = torch.tensor([[ATTRIBUTES[name].index(whole[name]) for name in ATTRIBUTES]])
    return Drawn(numbers, torch.zeros(1, 10), 64).images(torch.tensor([0]))[0]


def test_an_image_is_what_its_attributes_say() -> None:
    image = image_of()
    assert tuple(image[:, 32, 32].tolist()) == COLOURS["red"]
    assert tuple(image[:, 0, 0].tolist()) == COLOURS["white"]
    assert tuple(image_of(position="top left")[:, 16, 16].tolist()) == COLOURS["red"]
    assert tuple(image_of(position="bottom")[:, 48, 32].tolist()) == COLOURS["red"]
    assert tuple(image_of(position="right")[:, 32, 48].tolist()) == COLOURS["red"]
    areas = [(image_of(size=size)[0].float() < 230).float().mean().item() for size in RADII]
    expected = [math.pi * (sum(radii) / 2) ** 2 for radii in RADII.values()]
    assert areas == pytest.approx(expected, rel=0.12)
    for count, number in (("two", 2), ("three", 3)):
        area = (image_of(count=count)[0].float() < 230).float().mean().item()
        assert area == pytest.approx(number * expected[2] / TOGETHER[number - 1] ** 2, rel=0.12)


def test_nothing_is_in_doubt_and_nothing_leaves_the_image() -> None:
    """Margins between classes, whatever varies."""
    ranges = sorted(RADII.values())
    assert all(above[0] > 1.25 * below[1] for below, above in itertools.pairwise(ranges))
    assert min(right - left for left, right in itertools.pairwise(PLACES)) > 6 * JITTER
    for one, other in itertools.combinations(ATTRIBUTES["colour"] + ATTRIBUTES["background"], 2):
        distance = torch.tensor(COLOURS[one]).sub(torch.tensor(COLOURS[other])).abs().max().item()
        assert distance > 2 * SHADE + 20, (one, other)
    data = Shapes(num_images=600, image_size=32, max_count=3, seed=3)
    data.setup("fit")
    samples = data.train_dataset
    assert samples.captions is not None
    border = torch.ones(32, 32, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    edge = samples.images(torch.arange(600))[:, :, border].float()
    background = torch.stack(
        [torch.tensor(COLOURS[names_of(one)["background"]]) for one in attributes_of(samples.captions.kinds)]
    )
    assert (edge - background[:, :, None]).abs().max() <= SHADE + 1 + 0.15 * 255


@pytest.mark.parametrize("size", [1, 3, 8])
def test_an_image_is_a_function_of_the_seed_and_its_number(size: int) -> None:
    samples = shapes().train_dataset
    whole, part = samples.images(torch.arange(size)), samples.images(torch.arange(size).flip(0))
    assert whole.equal(part.flip(0))
    assert whole.equal(shapes().train_dataset.images(torch.arange(size)))
    assert not whole.equal(shapes(seed=1).train_dataset.images(torch.arange(size)))


def test_training_never_shows_what_is_held_out() -> None:
    data = shapes(num_images=2000, num_test=500)
    assert data.test_dataset is not None
    columns = [list(ATTRIBUTES).index(name) for name in HELD_OUT]
    parts = []
    for samples in (data.train_dataset, data.test_dataset):
        assert samples.captions is not None
        parts.append({tuple(row) for row in attributes_of(samples.captions.kinds)[:, columns].tolist()})
    assert not parts[0] & parts[1]
    total = math.prod(len(ATTRIBUTES[name]) for name in HELD_OUT)
    assert len(data.combinations(held_out=True)) == round(total / 10)
    assert len(data.combinations(held_out=True)) + len(data.combinations(held_out=False)) == total
    seen = data.combinations(held_out=False)
    for first, second in itertools.combinations(range(4), 2):  # every pair of values is in training
        pairs = {tuple(row) for row in seen[:, [first, second]].tolist()}
        assert len(pairs) == len(ATTRIBUTES[HELD_OUT[first]]) * len(ATTRIBUTES[HELD_OUT[second]])
    assert shapes(seed=5).combinations(held_out=True).equal(data.combinations(held_out=True))


def test_kinds_are_combinations() -> None:
    grid = torch.cartesian_prod(*(torch.arange(len(words)) for words in ATTRIBUTES.values()))
    assert attributes_of(kinds_of(grid)).equal(grid)
    assert len(kinds_of(grid).unique()) == len(grid)


def said(text: str, name: str, values: dict[str, str]) -> bool:
    """Whether the value of an attribute stands in a caption, by one of its words."""
    words = SYNONYMS.get(values[name], (values[name],))
    if name == "shape" and values["count"] != "one":
        words = tuple(" ".join([*word.split()[:-1], plural(word.split()[-1])]) for word in words)
    if name == "count" and values["count"] == "one":
        return not any(number in text.split() for number in ("two", "three"))
    return any(f" {word} " in f" {text.replace(',', '').replace(';', '').replace(':', '')} " for word in words)


@pytest.mark.parametrize("wording", range(WORDINGS))
def test_every_caption_says_everything(wording: int) -> None:
    for place, values in enumerate(itertools.product(*ATTRIBUTES.values())):
        if place % 97:
            continue
        named = dict(zip(ATTRIBUTES, values, strict=True))
        text = caption(named, wording)
        assert [name for name in ATTRIBUTES if not said(text, name, named)] == []


def test_captions_of_different_combinations_differ_and_so_do_wordings() -> None:
    data = shapes(num_images=500, max_count=3)
    captions = data.train_dataset.captions
    assert captions is not None
    owner: dict[str, int] = {}
    for index in range(500):
        assert len(captions[index]) == 5
        for text in captions[index]:
            assert owner.setdefault(text, int(captions.kinds[index])) == int(captions.kinds[index])
    assert WORDINGS == 2 * len(TEMPLATES) == 12


def test_grammar() -> None:
    values = {"shape": "cross", "colour": "orange", "size": "small", "position": "top left", "background": "grey"}
    assert caption(values, 0) == "a small orange cross at the top left of a grey background"
    assert caption(values, 1) == "on grey: an orange cross, small, at the top left"
    assert caption({**values, "count": "two"}, 3) == (
        "there are two small crosses at the top left; they are orange and the background is grey"
    )
    assert caption({**values, "count": "three"}, 6) == (
        "three little orange plus signs in the upper left corner of a gray background"
    )
    assert (some(["orange", "box"]), some(["box"], "two"), plural("star")) == ("an orange box", "two boxes", "stars")
    with pytest.raises(ValueError, match="0 to 11, not 12"):
        caption(values, 12)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"image_size": 8}, "16 pixels or more, not in 3"),
        ({"image_channels": 1}, "not in 1 channel"),
        ({"num_images": 0}, "data.num_images must be at least 1, got 0"),
        ({"num_test": 0}, "data.num_test must be at least 1, got 0"),
        ({"max_count": 4}, "data.max_count must be 1, 2 or 3, got 4"),
        ({"held_out": 1.0}, r"data.held_out must be above 0 and below 1, got 1\.0"),
        ({"flip": True}, r"data\.flip=false"),
    ],
)
def test_options_that_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        shapes(**options)
