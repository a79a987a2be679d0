import math
import re

import pytest

from lit_gans.callbacks.curves import chart, thin, ticks


def test_neighbours_are_averaged_and_what_is_not_finite_is_left_out():
    points = [(float(x), float(x % 2)) for x in range(1, 1001)] + [(1001.0, math.nan), (1002.0, math.inf)]
    found = thin(points)
    assert len(found) == 200
    assert found[0] == (5.0, pytest.approx(0.6), 0.0, 1.0)
    assert found[-1][0] == 1000.0
    assert thin([(1.0, math.nan)]) == []


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 20_000, [0, 5000, 10000, 15000, 20000]),
        (-1.2, 1.1, [-1, -0.5, 0, 0.5, 1]),
        (0.0021, 0.0049, [0.003, 0.004]),
        (3, 3.1, None),
    ],
)
def test_ticks_are_round(low, high, expected):
    found = ticks(low, high)
    assert 2 <= len(found) <= 6
    assert all(low <= value * (1 + 1e-9) and value <= high * (1 + 1e-9) for value in found)
    if expected is not None:
        assert found == pytest.approx(expected)


def test_a_line_goes_through_its_points():
    text = chart({"a": [(0.0, 0.0), (50.0, 1.0), (100.0, 0.5)]}, 100.0)
    (line,) = re.findall(r'<polyline class="c0" points="([^"]*)"', text)
    places = [tuple(map(float, pair.split(","))) for pair in line.split()]
    assert [x for x, _ in places] == [58.0, 344.0, 630.0]
    lowest, highest, middle = (y for _, y in places)
    assert 10 <= highest < middle < lowest <= 234
    assert middle == pytest.approx((lowest + highest) / 2, abs=0.11)


@pytest.mark.parametrize("value", [0.0, 1e-12, -5.0, 1e30])
def test_a_constant_and_a_single_point_can_be_drawn(value):
    assert "polyline" in chart({"a": [(1.0, value), (2.0, value)]}, 2.0)
    assert "circle" in chart({"a": [(1.0, value)]}, 1.0)
    assert chart({"a": [(1.0, math.nan)]}, 1.0) == ""


def test_a_spike_does_not_flatten_the_curve():
    points = [(float(step), 1e6 if step == 500 else math.sin(step / 100)) for step in range(1, 2401)]
    text = chart({"loss/generator": points}, 2400.0)
    heights = [float(pair.split(",")[1]) for pair in re.search(r'<polyline[^>]*points="([^"]*)"', text)[1].split()]
    assert sorted(heights)[-10] - sorted(heights)[10] > 150
    assert min(heights) >= 10
