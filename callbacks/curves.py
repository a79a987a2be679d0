"""Curves as SVG text, to stand in a page by themselves."""

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]
WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 10, 10, 26
BUCKETS = 240


def thin(points: Points) -> list[tuple[float, float, float, float]]:
    """At most 240 ``(x, mean, lowest, highest)`` of neighbouring points; those that are not finite are left out."""
    finite = [(x, y) for x, y in points if math.isfinite(y)]
    size = max(1, -(-len(finite) // BUCKETS))
    buckets = [finite[start : start + size] for start in range(0, len(finite), size)]
    means = []
    for bucket in buckets:
        values = [y for _, y in bucket]
        means.append((bucket[-1][0], sum(values) / len(values), min(values), max(values)))
    return means


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About ``count`` round numbers (1, 2 or 5 times a power of ten) from ``low`` to ``high``."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    return [index * step for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def chart(series: Mapping[str, Points], last_x: float) -> str:
    """An SVG with a line for each series, over the band from lowest to highest where neighbours share a point.

    Lines are of the classes ``c0``, ``c1`` ...; a page's style sheet colours them. A hidden line of the class
    ``cursor`` spans the height.

    Args:
        series: points ``(x, y)`` by name, x growing.
        last_x: the right end of the axis, above 0; the left one is 0.

    Returns:
        The text of the element, or an empty one if no point is finite.
    """
    thinned = {name: found for name, points in series.items() if (found := thin(points))}
    values = sorted(mean for points in thinned.values() for _, mean, _, _ in points)
    if not values:
        return ""
    # A few spikes may leave the frame: all the rest would be flat.
    low, high = values[len(values) // 100], values[-1 - len(values) // 100]
    margin = 0.06 * (high - low) or 0.1 * abs(low) or 1.0
    low, high = low - margin, high + margin
    plot = _Plot(last_x, low, high)
    lines = [plot.axes()]
    for index, points in enumerate(thinned.values()):
        lines.append(plot.curve(points, f"c{index % 6}"))
    label = escape(", ".join(thinned))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(lines)}'
        f'<line class="cursor" y1="{TOP}" y2="{HEIGHT - BOTTOM}" visibility="hidden"/></svg>'
    )


class _Plot:
    """The frame in which numbers become places."""

    def __init__(self, last_x: float, low: float, high: float) -> None:
        self.last_x, self.low, self.high = last_x, low, high

    def x(self, value: float) -> float:
        return round(LEFT + value / self.last_x * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def axes(self) -> str:
        parts = []
        for value in ticks(self.low, self.high):
            y = self.y(value)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
            parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{value:.4g}</text>')
        for value in ticks(0, self.last_x):
            anchor = "end" if self.x(value) > WIDTH - RIGHT - 20 else "middle"
            parts.append(f'<text x="{self.x(value)}" y="{HEIGHT - 6}" text-anchor="{anchor}">{value:,.6g}</text>')
        return "".join(parts)

    def curve(self, points: Sequence[tuple[float, float, float, float]], kind: str) -> str:
        path = " ".join(f"{self.x(x)},{self.y(mean)}" for x, mean, _, _ in points)
        if len(points) == 1:
            return f'<circle class="{kind}" cx="{self.x(points[0][0])}" cy="{self.y(points[0][1])}" r="3"/>'
        upper = [f"{self.x(x)},{self.y(highest)}" for x, _, _, highest in points]
        lower = [f"{self.x(x)},{self.y(lowest)}" for x, _, lowest, _ in reversed(points)]
        band = f'<polygon class="band {kind}" points="{" ".join(upper + lower)}"/>'
        has_band = any(lowest < highest for _, _, lowest, highest in points)
        return f'{band if has_band else ""}<polyline class="{kind}" points="{path}"/>'
