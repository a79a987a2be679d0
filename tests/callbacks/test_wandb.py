import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import wandb
from PIL import Image

from lit_gans.callbacks.wandb import WandbId, WandbRun

ROOT = Path(__file__).parents[2]


def plain_environment(home):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "NETRC"))}
    return {**kept, "HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def inspect(run_dir):
    """Records of an offline run, as W&B's own binary reads them."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(run_dir)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def history(records):
    return [record["history"]["item"] for record in records if record["type"] == "history"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wandb")
    home = folder / "home"
    home.mkdir()
    script = Path(__file__).with_name("wandb_runs.py")
    done = subprocess.run(
        [sys.executable, str(script), str(folder)],
        capture_output=True,
        text=True,
        env=plain_environment(home),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("RESULT")).split(" ", 1)[1])
    dirs = {name: sorted((folder / name / "wandb").glob("offline-run-*")) for name in ("first", "second")}
    return SimpleNamespace(folder=folder, stdout=done.stdout, stderr=done.stderr, dirs=dirs, **result)


@pytest.fixture(scope="module")
def first(runs):
    return inspect(runs.dirs["first"][0])


def test_numbers_and_pictures_of_a_moment_share_a_row_and_its_step(first):
    rows = history(first)
    assert [row["step"] for row in rows] == [2, 3, 4, 6]
    for row in rows:
        assert row["step"] == row["trainer/global_step"] == row["_step"]
    assert [("loss/generator" in row, "samples._type" in row, "fid/digits" in row) for row in rows] == [
        (True, False, False),
        (False, True, True),
        (True, True, True),
        (True, False, False),
    ]


def test_pixels_on_wandb_are_those_on_disk(runs, first):
    pictures = 0
    for row in history(first):
        for key in ("samples", "colour"):
            for name in row.get(f"{key}.filenames", []):
                theirs = Image.open(runs.dirs["first"][0] / "files" / name)
                ours = Image.open(runs.folder / "first" / f"{key}_{row['step']}.png")
                assert np.array_equal(np.asarray(theirs), np.asarray(ours))
                pictures += 1
    assert pictures == 4


def test_the_hyperparameters_are_the_config(first):
    begun = [record["run"]["config"]["update"] for record in first if record["type"] == "run"]
    later = [record["config"]["update"] for record in first if record["type"] == "config"]
    config = {key: value for update in begun + later for key, value in update.items()}
    assert config["n_critic"] == 2
    assert config["from"] == "test"


def test_one_line_for_each_offline_run_says_how_to_send_it(runs):
    lines = [line for line in runs.stdout.splitlines() if "wandb" in line.lower() or "W&B" in line]
    lines = [line for line in lines if not line.startswith("RESULT")]
    assert lines == [
        f"W&B is offline (no API key was found). To upload this run: wandb login && wandb sync {run_dir}"
        for run_dir in (runs.dirs["first"][0], runs.dirs["second"][0], runs.dirs["first"][1])
    ]
    assert "wandb:" not in runs.stderr


def test_runs_in_one_process_are_not_one_and_a_resumed_one_goes_on(runs):
    assert runs.first["id"] != runs.second["id"]
    assert runs.resumed["id"] == runs.first["id"]
    # offline-run-TIME-ID, and a -1 behind where the resumed run began in the same second
    assert [path.name.split("-")[3] for path in runs.dirs["first"]] == [runs.first["id"]] * 2
    for run in (runs.first, runs.second, runs.resumed):
        assert run["checkpoint"] == run["id"]
    assert [row["step"] for row in history(inspect(runs.dirs["first"][1]))] == [8, 10]


def test_finished_as_a_success(first):
    assert [record["exit"]["exit_code"] for record in first if record["type"] == "exit"] == [0]


def test_nothing_is_set_or_imported_before_it_is_used(runs):
    assert runs.environment.keys() <= {"WANDB_SERVICE"}  # the socket of W&B's own helper process
    assert not runs.imported_early


# With a key: no server is asked here


class FakeRun:
    def __init__(self, starting_step=0):
        self.id, self.dir, self.starting_step, self.step = "abc", "/tmp/offline/files", starting_step, starting_step
        self.rows = []
        self.exit_code = None

    def log(self, row, step=None):
        self.rows.append((step, row))

    def define_metric(self, *args, **kwargs):
        pass

    def finish(self, exit_code=None):
        self.exit_code = exit_code


@pytest.fixture
def server(monkeypatch):
    """What wandb.init was asked for; runs begin at `starting_step`, and online ones fail with `error`."""
    asked = SimpleNamespace(calls=[], key=True, error=None, starting_step=0)

    def init(**options):
        asked.calls.append(options)
        if options["mode"] == "online" and asked.error is not None:
            raise asked.error
        return FakeRun(asked.starting_step)

    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setattr(wandb, "login", lambda prompt=True, verify=True: asked.key)
    monkeypatch.setattr(wandb, "setup", lambda: SimpleNamespace(settings=SimpleNamespace(mode="online")))
    return asked


def test_online_with_a_key(server, tmp_path, capsys):
    run = WandbRun(save_dir=str(tmp_path), project="p", entity="e", id="abc", tags=["x"])
    assert run.experiment is run.experiment
    (options,) = server.calls
    expected = {"mode": "online", "project": "p", "entity": "e", "id": "abc", "tags": ["x"], "resume": "allow"}
    assert {name: options[name] for name in expected} == expected
    assert options["dir"] == str(tmp_path)
    assert not options["settings"].silent
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "error",
    [
        wandb.errors.CommError("Timed out.\nmore"),
        wandb.errors.AuthenticationError("bad key"),
        wandb.errors.UsageError("no"),
    ],
)
@pytest.mark.parametrize("mode", [None, "online"])
def test_a_run_is_kept_offline_when_the_server_cannot_be_used(server, tmp_path, capsys, error, mode):
    server.error = error
    run = WandbRun(save_dir=str(tmp_path), mode=mode, id="abc")
    run.log_metrics({"a": 1.0}, step=3)
    assert [options["mode"] for options in server.calls] == ["online", "offline"]
    assert server.calls[1]["id"] == "abc"
    assert server.calls[1]["settings"].silent
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert f"it cannot be reached: {str(error).splitlines()[0].rstrip('.')}" in line
    assert "wandb sync /tmp/offline" in line


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_a_mode_that_is_asked_for_is_taken_though_there_is_a_key(server, tmp_path, mode):
    WandbRun(save_dir=str(tmp_path), mode=mode).experiment  # noqa: B018
    assert [options["mode"] for options in server.calls] == [mode]


@pytest.mark.parametrize(("setting", "mode"), [("offline", "offline"), ("dryrun", "offline"), ("disabled", "disabled")])
def test_the_environment_decides_where_the_mode_is_open(server, tmp_path, monkeypatch, setting, mode):
    monkeypatch.setattr(wandb, "setup", lambda: SimpleNamespace(settings=SimpleNamespace(mode=setting)))
    WandbRun(save_dir=str(tmp_path)).experiment  # noqa: B018
    assert [options["mode"] for options in server.calls] == [mode]


def test_an_unknown_mode_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"The mode of W&B is online, offline, disabled or null .*, got 'onlin'\."):
        WandbRun(save_dir=str(tmp_path), mode="onlin")


def test_going_on_from_an_older_step_loses_no_row(server, tmp_path):
    server.starting_step = 101
    run = WandbRun(save_dir=str(tmp_path), id="abc")
    for step in (50, 100, 150):
        run.log_metrics({"a": float(step)}, step=step)
    assert [(step, row["step"], row["trainer/global_step"]) for step, row in run.experiment.rows] == [
        (None, 50, 50),
        (None, 100, 100),
        (150, 150, 150),
    ]


def test_the_end_finishes_the_run_and_the_next_use_goes_on_with_it(server, tmp_path):
    run = WandbRun(save_dir=str(tmp_path))
    begun = run.experiment
    run.finalize("failed")
    assert begun.exit_code == 1
    assert run.version == "abc"
    again = run.experiment
    assert again is not begun
    assert server.calls[1]["id"] == "abc"
    run.finalize("success")
    assert again.exit_code == 0


def test_a_run_of_ones_own_is_used_and_left_open(server, tmp_path):
    own = FakeRun(starting_step=7)
    run = WandbRun(save_dir=str(tmp_path), experiment=own)
    run.log_metrics({"a": 1.0}, step=9)
    run.finalize("success")
    assert (own.rows[0][0], own.exit_code, server.calls) == (9, None, [])


@pytest.mark.parametrize(
    "picture", [torch.rand(1, 4, 4), np.random.rand(4, 4), torch.zeros(1, 4, 4, dtype=torch.int64)]
)
def test_pictures_that_wandb_would_show_black_are_refused(server, tmp_path, picture):
    run = WandbRun(save_dir=str(tmp_path))
    with pytest.raises(ValueError, match=r"W&B shows pictures of .* black: 'samples' must be PIL images or uint8"):
        run.log_image("samples", [picture], step=1)


def test_captions_and_images_are_a_table_on_the_steps_own_row(server, tmp_path):
    run = WandbRun(save_dir=str(tmp_path))
    pictures = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    run.log_captions("captions", ["a red one", "a blue one"], pictures, step=3)
    step, row = run.experiment.rows[0]
    table = row["captions"]
    assert (step, row["step"], table.columns) == (3, 3, ["caption", "image"])
    assert [text for text, _ in table.data] == ["a red one", "a blue one"]
    assert np.asarray(table.data[1][1].image).tolist() == np.asarray(pictures[1]).tolist()


def test_the_id_outlives_a_session_without_wandb():
    keeper = WandbId()
    keeper.on_load_checkpoint(None, None, {"wandb_id": "abc"})
    saved = {}
    keeper.on_save_checkpoint(SimpleNamespace(loggers=[]), None, saved)
    assert saved == {"wandb_id": "abc"}
    empty = {}
    WandbId().on_save_checkpoint(SimpleNamespace(loggers=[]), None, empty)
    assert empty == {}
