import base64
import io
import json
import math
import os
import re

import numpy as np
from PIL import Image

from lit_gans.callbacks.page import Summary, render
from tests.callbacks.html_page import Page


def summary(folder, **changes):
    given = {
        "title": "DCGAN on Digits",
        "tricks": ["R1Penalty"],
        "data": "1,797 images",
        "ending": "Finished after 20 updates",
        "seconds": 754.0,
        "images": 1280,
        "rows": [],
        "modes": {},
        "command": "python train.py",
        "configuration": "seed: 0",
        "facts": ["torch 2"],
    }
    return Summary(folder=folder, **{**given, **changes})


def read(folder, **changes):
    page = Page(render(summary(folder, **changes)))
    assert page.open == []
    return page


def rows(n=20, **keys):
    return [{"step": 10 * i, **{key: value(i) for key, value in keys.items()}} for i in range(1, n + 1)]


def put_grids(folder, steps, size=(40, 30), name="samples"):
    (folder / name).mkdir(parents=True, exist_ok=True)
    for step in steps:
        pixels = np.random.default_rng(step).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name / f"step_{step:06d}.png")


def pixels(uri):
    head, _, body = uri.partition(",")
    assert re.fullmatch(r"data:image/(png|jpeg);base64", head)
    return Image.open(io.BytesIO(base64.b64decode(body)))


def test_nothing_is_asked_for_from_outside(tmp_path):
    put_grids(tmp_path, [10, 20])
    text = render(summary(tmp_path, rows=rows(**{"loss/generator": float})))
    page = Page(text)
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert not page.all("link")
    assert not any("src" in script for script in page.all("script"))
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    assert not re.search(r"https?://|url\(|@import", text)


def test_a_run_without_grids_numbers_tricks_data_or_configuration(tmp_path):
    page = read(tmp_path, tricks=[], data="", configuration="", seconds=0.0)
    assert page.text("h1") == "DCGAN on Digits"
    assert not page.all("svg")
    assert not page.all("img")
    assert not page.all("details")


def test_what_the_watch_saw_is_no_score_and_gradients_have_a_chart_of_their_own(tmp_path):
    keys = ["watch/diversity", "watch/rt", "watch/gradient_norm_generator", "watch/gradient_norm_discriminator"]
    page = read(tmp_path, rows=rows(**{key: float for key in ("fid/digits", *keys)}))
    assert {"fid", "watch", "watch/gradient_norm"} <= set(page.text("h3").split())
    tiles = page.text("small")
    assert "fid/digits, best" in tiles
    assert "watch/" not in tiles


def test_what_came_from_outside_is_text_and_not_markup(tmp_path):
    evil = "</script><script>alert('x')</script><b onclick=\"y\">&"
    (tmp_path / "samples").mkdir()
    scripts = len(read(tmp_path).all("script"))
    given = dict.fromkeys(("title", "data", "ending", "command", "configuration"), evil)
    numbers = rows(**{f"fid/{evil}": float, evil: float})
    page = read(tmp_path, tricks=[evil], facts=[evil], rows=numbers, **given)
    assert len(page.all("script")) == scripts
    assert not any("onclick" in attributes for _, attributes in page.elements)
    assert page.text("h1") == page.text("title") == evil
    assert f"fid/{evil}" in json.loads(page.text("script").split('"use strict"')[0])["lines"]


def test_best_and_last_score_by_the_mode_of_each(tmp_path):
    numbers = rows(
        **{
            "fid/digits": lambda i: 5.0 + abs(i - 7),
            "test/accuracy_like": lambda i: 0.5 + 0.01 * i if i < 15 else 0.1,
            "precision/digits": lambda i: 0.9 if i == 4 else 0.2,
            "kid/digits": lambda i: math.nan if i == 20 else 0.25,
            "loss/generator": float,
        }
    )
    page = read(tmp_path, rows=numbers, modes={"test/accuracy_like": "max"})
    tiles = page.text("small", "b")
    assert "fid/digits, best 5 at update 70; last 18" in tiles
    assert "test/accuracy_like, best 0.64 at update 140; last 0.1" in tiles
    assert "precision/digits, best 0.9 at update 40; last 0.2" in tiles
    assert "kid/digits, best 0.25 at update 10; last 0.25" in tiles
    assert "loss/generator, best" not in tiles
    assert "1,280" in tiles
    assert "12:34" in tiles


def test_losses_of_several_games_are_no_scores(tmp_path):
    numbers = {"stage1/loss/generator": float, "stage2/penalty/discriminator": lambda i: 0.0, "fid/digits": float}
    page = read(tmp_path, rows=rows(**numbers))
    tiles = page.text("small")
    assert "fid/digits, best" in tiles
    assert "stage" not in tiles
    assert {"stage1", "fid"} <= set(page.text("h3").split())
    assert "stage2" not in page.text("h3")  # a penalty that is 0 has no curve


def test_a_chart_for_each_kind_of_number(tmp_path):
    numbers = rows(
        **{
            "images_seen": float,
            "penalty/discriminator": float,
            "penalty/generator": lambda i: 0.0,
            "fid/digits": float,
            "loss/generator": float,
            "loss/discriminator": float,
        }
    )
    page = read(tmp_path, rows=numbers)
    assert [svg["aria-label"] for svg in page.all("svg")] == [
        "loss/discriminator, loss/generator",
        "fid/digits",
        "penalty/discriminator",
    ]
    known = json.loads(page.text("script").split('"use strict"')[0])
    assert known["last"] == 200
    assert known["lines"]["fid/digits"][:2] == [[10, 1.0], [20, 2.0]]
    assert {attributes["data-series"] for attributes in page.all("b") if "data-series" in attributes} == {
        *known["lines"]
    }


def test_grids_are_there_pixel_for_pixel_and_the_last_one_is_shown(tmp_path):
    put_grids(tmp_path, [1, 100, 2_000_000])
    put_grids(tmp_path, [1, 100, 2_000_000], name="samples/raw")
    Image.new("L", (9, 9), 77).save(tmp_path / "reals.png")
    (tmp_path / "samples" / "step_old.png").write_bytes(b"not a grid")
    page = read(tmp_path)
    frames = [image for image in page.all("img") if "data-step" in image]
    assert [frame["data-step"] for frame in frames] == ["1", "100", "2000000"] * 2
    assert ["hidden" in frame for frame in frames] == [True, True, False] * 2
    for frame, name in zip(frames, ["samples"] * 3 + ["samples/raw"] * 3, strict=True):
        with Image.open(tmp_path / name / f"step_{int(frame['data-step']):06d}.png") as grid:
            assert np.array_equal(np.asarray(pixels(frame["src"])), np.asarray(grid))
    assert ["hidden" in attributes for attributes in page.all("div") if attributes.get("class") == "frames"] == [
        False,
        True,
    ]
    (slider,) = page.all("input")
    assert (slider["min"], slider["max"], slider["value"]) == ("0", "2", "2")
    reals = next(image for image in page.all("img") if image["alt"] == "Real samples")
    assert pixels(reals["src"]).getextrema() == (77, 77)


def test_many_large_grids_stay_below_8_megabytes(tmp_path):
    put_grids(tmp_path, [10], size=(700, 700))
    for step in range(20, 1000, 10):
        os.link(tmp_path / "samples" / "step_000010.png", tmp_path / "samples" / f"step_{step:06d}.png")
    text = render(summary(tmp_path))
    frames = [image for image in Page(text).all("img") if "data-step" in image]
    assert 1_000_000 < len(text) < 8_000_000
    assert len(frames) == 40
    assert (frames[0]["data-step"], frames[-1]["data-step"]) == ("10", "990")
    assert 256 <= pixels(frames[0]["src"]).width < 700
