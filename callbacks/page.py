"""The page of a report: text, pictures and curves in one HTML file."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from PIL import Image

from lit_gans.callbacks.csv import STEP, Row
from lit_gans.callbacks.curves import LEFT, RIGHT, WIDTH, chart, thin
from lit_gans.callbacks.progress import PLACES, clock, place

FRAMES = 40
PICTURES_BYTES = 5_000_000
COUNTERS = ("images_seen", "epoch", STEP)
NOT_SCORES = {"loss", "penalty", "lr", "watch"}
GRADIENTS = "watch/gradient_norm"
HIGHER_IS_BETTER = ("accuracy", "coverage", "density", "is", "precision", "recall")
MODES_TO_RAISE = ("modes/captured", "modes/confident", "modes/high_quality")

Curves = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class Summary:
    """What a report says.

    Attributes:
        folder: of the run.
        title: of the page.
        tricks: names.
        data: about the data, for a person.
        ending: how the run ended, and when.
        seconds: taken by it.
        images: seen by the model.
        rows: of `metrics.csv`.
        modes: "min" or "max" by score, where it is known.
        command: what starts it again.
        configuration: its text.
        facts: date, versions, device.
    """

    folder: Path
    title: str
    tricks: Sequence[str]
    data: str
    ending: str
    seconds: float
    images: int
    rows: Sequence[Row]
    modes: Mapping[str, str]
    command: str
    configuration: str
    facts: Sequence[str]


def render(summary: Summary) -> str:
    """The page, whole: it asks for no other file and no server."""
    curves = curves_of(summary.rows)
    last_step = max((row[STEP] for row in summary.rows), default=0) or 1
    lines = {name: [(x, mean) for x, mean, _, _ in thin(points)] for name, points in curves.items()}
    known = {"last": last_step, "left": LEFT, "right": WIDTH - RIGHT, "lines": lines}
    template = Path(__file__).with_name("report_template.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        title=escape(summary.title),
        header=_header(summary),
        tiles=_tiles(summary, curves),
        pictures=_pictures(summary.folder),
        charts=_charts(curves, last_step),
        command=escape(summary.command),
        configuration=_configuration(summary.configuration),
        footer="".join(f"<span>{escape(fact)}</span> " for fact in summary.facts),
        # "</script>" in a name must not end the element.
        series=json.dumps(known, separators=(",", ":")).replace("<", "\\u003c"),
    )


def curves_of(rows: Sequence[Row]) -> Curves:
    """The points of every key worth a curve: losses first, then scores; penalties last, and only if not all zero."""
    names = dict.fromkeys(name for row in rows for name in row if name not in COUNTERS)
    curves: Curves = {}
    for name in sorted(names, key=lambda name: (place(name), name)):
        points = [(row[STEP], row[name]) for row in rows if name in row]
        if thin(points) and (place(name) != PLACES["penalty"] or any(value for _, value in points)):
            curves[name] = points
    return curves


def _header(summary: Summary) -> str:
    texts = [text for text in (summary.ending, summary.data) if text]
    paragraphs = [f'<p class="soft">{escape(text)}</p>' for text in texts]
    return "".join([*paragraphs, *(f'<span class="chip">{escape(trick)}</span>' for trick in summary.tricks)])


def _tiles(summary: Summary, curves: Curves) -> str:
    tiles = []
    for name, points in curves.items():
        kind = name.split("/")[0]
        if not NOT_SCORES.isdisjoint(name.split("/")):  # a game's own begin with its name
            continue
        high = kind in HIGHER_IS_BETTER or name.startswith(MODES_TO_RAISE)
        mode = summary.modes.get(name, "max" if high else "min")
        known = [(value, step) for step, value in points if value == value]
        best, step = (max if mode == "max" else min)(known, key=lambda pair: pair[0])
        tiles.append((f"{name}, best", f"{best:.4g}", f"at update {step:,.0f}; last {known[-1][0]:.4g}"))
    rate = f"{summary.images / summary.seconds:,.0f} a second" if summary.seconds else ""
    tiles.append(("real samples seen", f"{summary.images:,}", rate))
    tiles.append(("time", clock(summary.seconds), ""))
    cards = [
        f'<div class="card"><small>{escape(name)}</small><b>{value}</b><small>{note}</small></div>'
        for name, value, note in tiles
    ]
    return f'<section class="tiles">{"".join(cards)}</section>'


def _charts(curves: Curves, last_step: float) -> str:
    groups: dict[str, Curves] = {}
    for name, points in curves.items():
        # Gradient norms are of no common size with shares, nor is any count or distance of modes with another.
        alone = name.removesuffix("_raw") if name.startswith(("modes/", "test/")) else name.split("/")[0]
        title = GRADIENTS if name.startswith(GRADIENTS) else alone
        groups.setdefault(title, {})[name] = points
    cards = [
        f'<div class="card" data-chart><h3>{escape(title)}</h3>{_legend(group)}{chart(group, last_step)}</div>'
        for title, group in groups.items()
    ]
    return f'<section><h2>Curves</h2><div class="charts">{"".join(cards)}</div></section>' if cards else ""


def _legend(group: Curves) -> str:
    entries = []
    for index, (name, points) in enumerate(group.items()):
        label, last = escape(name.partition("/")[2] or name), thin(points)[-1][1]
        value = f'<b data-series="{escape(name)}">{last:.4g}</b>'
        entries.append(f'<span><i class="c{index % 6}"></i>{label}{value}</span>')
    return f'<div class="legend">{"".join(entries)}</div>'


def _configuration(text: str) -> str:
    if not text:
        return ""
    pre = f"<pre>{escape(text)}</pre>"
    return (
        f'<section><h2>Configuration</h2><details class="card"><summary>Every option</summary>{pre}</details></section>'
    )


# Pictures


def _pictures(folder: Path) -> str:
    places = {"average": folder / "samples", "raw": folder / "samples" / "raw"}
    sets = {name: frames for name, place in places.items() if (frames := _frames(place))}
    single = {name: path for name, path in _single(folder).items() if path.is_file()}
    count = sum(len(frames) for frames in sets.values()) + len(single)
    if not count:
        return ""
    budget = PICTURES_BYTES // count
    cards = [_slideshow(sets, budget)] if sets else []
    for name, path in single.items():
        cards.append(f'<div class="card"><h3>{name}</h3><img src="{_uri(path, budget)}" alt="{name}"></div>')
    return f'<section><h2>Samples</h2><div class="pictures">{"".join(cards)}</div></section>'


def _single(folder: Path) -> dict[str, Path]:
    """Pictures of which the last one tells all, by what they show."""
    frames = _frames(folder / "samples" / "classes")
    classes = frames[-1][1] if frames else folder / "classes.png"
    return {
        "Real samples": folder / "reals.png",
        "Samples by the class they are taken for": classes,
        "Test images by class": folder / "confusion.png",
    }


def _frames(place: Path) -> list[tuple[int, Path]]:
    """Updates and files of at most 40 grids, evenly chosen, the first and the last among them."""
    steps = {path.stem.removeprefix("step_"): path for path in place.glob("step_*.png")}
    found = sorted((int(step), path) for step, path in steps.items() if step.isdecimal())
    count = min(len(found), FRAMES)
    return [found[round(index * (len(found) - 1) / max(1, count - 1))] for index in range(count)]


def _slideshow(sets: Mapping[str, Sequence[tuple[int, Path]]], budget: int) -> str:
    parts = []
    for number, frames in enumerate(sets.values()):
        images = [
            f'<img data-step="{step}" src="{_uri(path, budget)}" alt="Samples after {step:,} updates"'
            f"{'' if path == frames[-1][1] else ' hidden'}>"
            for step, path in frames
        ]
        parts.append(f'<div class="frames"{" hidden" if number else ""}>{"".join(images)}</div>')
    frames = next(iter(sets.values()))
    last = len(frames) - 1
    parts.append(
        f'<div class="controls"><button id="play">Play</button><input type="range" id="slider" min="0" max="{last}" '
        f'value="{last}" aria-label="Update"></div>'
    )
    if len(sets) > 1:
        buttons = [
            f'<button data-kind aria-pressed="{str(not number).lower()}">{name} weights</button>'
            for number, name in enumerate(sets)
        ]
        parts.append(f'<div class="controls">{"".join(buttons)}</div>')
    heading = f'<h3>Generated <output id="step">update {frames[last][0]:,}</output></h3>'
    return f'<div class="card">{heading}{"".join(parts)}</div>'


def _uri(path: Path, budget: int) -> str:
    """A picture as a data URI of at most about ``budget`` bytes: as it is, or smaller and as JPEG."""
    content, kind = path.read_bytes(), "png"
    if len(content) > budget:
        with Image.open(path) as picture:
            small: Any = picture.convert("RGB")
        kind = "jpeg"
        for width in (1024, 768, 512, 384, 256):
            small.thumbnail((width, 4 * width))
            target = io.BytesIO()
            small.save(target, format="JPEG", quality=85)
            content = target.getvalue()
            if len(content) <= budget:
                break
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
