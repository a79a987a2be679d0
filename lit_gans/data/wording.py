"""Captions of drawn shapes, in many words: each says all there is to say."""

from collections.abc import Mapping, Sequence

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "shape": ("circle", "square", "triangle", "star", "ring", "cross"),
    "colour": ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink"),
    "size": ("small", "medium", "large"),
    "position": (
        *("top left", "top", "top right"),
        *("left", "centre", "right"),
        *("bottom left", "bottom", "bottom right"),
    ),
    "background": ("white", "grey", "black"),
    "count": ("one", "two", "three"),
}
"""What an image of shapes can be like: the values of each attribute, in the order of their numbers."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    **{"circle": ("circle", "disc"), "ring": ("ring", "hoop"), "cross": ("cross", "plus sign")},
    **{"small": ("small", "little"), "medium": ("medium-sized", "middle-sized"), "large": ("large", "big")},
    **{"purple": ("purple", "violet"), "grey": ("grey", "gray")},
    "top left": ("at the top left", "in the upper left corner"),
    "top": ("at the top", "in the upper middle"),
    "top right": ("at the top right", "in the upper right corner"),
    "left": ("on the left", "at the left edge"),
    "centre": ("in the centre", "in the very middle"),
    "right": ("on the right", "at the right edge"),
    "bottom left": ("at the bottom left", "in the lower left corner"),
    "bottom": ("at the bottom", "in the lower middle"),
    "bottom right": ("at the bottom right", "in the lower right corner"),
}

TEMPLATES = (
    "{a_size_colour_shape} {place} of {a_background} background",
    "on {background}: {a_colour_shape}, {size}, {place}",
    "{a_size_shape} in {colour}, {place}, {background} background",
    "there {is_are} {a_size_shape} {place}; {it_is} {colour} and the background is {background}",
    "{a_background} picture shows {a_colour_shape} {place}, and {it_is} {size}",
    "{place} of {a_background} image {is_are} {a_size_shape} coloured {colour}",
)
WORDINGS = 2 * len(TEMPLATES)
"""Captions that there are of one combination of attributes."""


def plural(noun: str) -> str:
    """Of the last word."""
    return f"{noun}es" if noun.endswith(("s", "x")) else f"{noun}s"


def some(words: Sequence[str], count: str = "one") -> str:
    """The words with an article, or with a number and a plural."""
    if count != "one":
        return " ".join([count, *words[:-1], plural(words[-1])])
    return " ".join(["an" if words[0][0] in "aeiou" else "a", *words])


def caption(values: Mapping[str, str], wording: int) -> str:
    """A sentence about an image.

    Args:
        values: of each attribute of :data:`ATTRIBUTES`, such as ``{"shape": "star", ...}``; one shape where there is no
            count.
        wording: which sentence, from 0 to ``WORDINGS - 1``.

    Raises:
        ValueError: if there is no such wording.
    """
    if not 0 <= wording < WORDINGS:
        raise ValueError(f"The wordings of a caption are 0 to {WORDINGS - 1}, not {wording}.")
    which, template = divmod(wording, len(TEMPLATES))
    names = ("shape", "colour", "size", "position", "background")
    words = [SYNONYMS.get(values[name], (values[name],)) for name in names]
    shape, colour, size, place, background = (own[which % len(own)] for own in words)
    count = values.get("count", "one")
    return TEMPLATES[template].format(
        a_size_colour_shape=some([size, colour, shape], count),
        a_colour_shape=some([colour, shape], count),
        a_size_shape=some([size, shape], count),
        a_background=some([background]),
        is_are="is" if count == "one" else "are",
        it_is="it is" if count == "one" else "they are",
        **{"size": size, "colour": colour, "place": place, "background": background},
    )
