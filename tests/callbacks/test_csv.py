import math
import multiprocessing
import time
from pathlib import Path

import pytest
import torch

from lit_gans.callbacks.csv import CSVRun, read_metrics
from tests.conftest import fit, images


def write(folder, *logged):
    logger = CSVRun(str(folder))
    for step, values in logged:
        logger.log_metrics(values, step=step)
    logger.finalize("success")
    return (folder / "metrics.csv").read_text()


def test_one_row_for_each_step_with_step_first(tmp_path):
    text = write(tmp_path, (10, {"loss/generator": 0.5}), (10, {"fid/digits": 3.0}), (20, {"loss/generator": 0.25}))
    assert text == "step,loss/generator,fid/digits\n10,0.5,3\n20,0.25,\n"


def test_the_folder_is_made_and_nothing_is_written_before_something_is_logged(tmp_path):
    logger = CSVRun(str(tmp_path / "a" / "b"))
    logger.save()
    assert not (tmp_path / "a").exists()
    logger.log_metrics({"a": 1.0}, step=1)
    logger.save()
    assert read_metrics(tmp_path / "a" / "b" / "metrics.csv") == [{"step": 1, "a": 1.0}]


def test_a_step_that_was_saved_still_takes_values(tmp_path):
    logger = CSVRun(str(tmp_path))
    for step in (1, 2):
        logger.log_metrics({"a": float(step)}, step=step)
        logger.save()
    logger.log_metrics({"a": 2.5}, step=2)
    logger.save()
    logger.log_metrics({"b": 7.0}, step=2)
    logger.log_metrics({"a": 3.0, "b": 8.0}, step=3)
    logger.save()
    assert (tmp_path / "metrics.csv").read_text() == "step,a,b\n1,1,\n2,2.5,7\n3,3,8\n"


def test_a_value_for_an_older_step_joins_its_row(tmp_path):
    logger = CSVRun(str(tmp_path))
    for step in (1, 2, 3):
        logger.log_metrics({"a": 0.5}, step=step)
    logger.save()
    logger.log_metrics({"a": 1.5}, step=2)
    logger.save()
    assert (tmp_path / "metrics.csv").read_text() == "step,a\n1,0.5\n2,1.5\n3,0.5\n"


def test_saving_again_appends_and_does_not_write_the_file_anew(tmp_path):
    logger = CSVRun(str(tmp_path))
    logger.log_metrics({"a": 1.0}, step=1)
    logger.save()
    inode = (tmp_path / "metrics.csv").stat().st_ino
    logger.log_metrics({"a": 2.0}, step=2)
    logger.save()
    assert (tmp_path / "metrics.csv").stat().st_ino == inode
    logger.log_metrics({"b": 2.0}, step=3)
    logger.save()
    assert (tmp_path / "metrics.csv").stat().st_ino != inode


def test_numbers_come_back_as_float32_had_them(tmp_path):
    values = torch.tensor([1 / 3, 1e-12, 123456.789, -2.0, float("nan"), float("inf")])
    write(tmp_path, *((step, {"a": value}) for step, value in enumerate(values, 1)), (7, {"images_seen": 123456789012}))
    rows = read_metrics(tmp_path / "metrics.csv")
    assert torch.equal(torch.tensor([row["a"] for row in rows[:4]]), values[:4])
    assert math.isnan(rows[4]["a"])
    assert rows[5]["a"] == math.inf
    assert rows[6] == {"step": 7, "images_seen": 123456789012}


def test_resuming_drops_the_rows_that_are_played_again_and_keeps_the_rest(tmp_path):
    write(tmp_path, *((step, {"a": float(step)}) for step in (50, 100, 150, 200)))
    text = write(tmp_path, (150, {"a": -1.0}), (250, {"b": 2.0}))
    assert text == "step,a,b\n50,50,\n100,100,\n150,-1,\n250,,2\n"


def test_drop_after_names_the_step_itself(tmp_path):
    write(tmp_path, *((step, {"a": float(step)}) for step in (50, 100, 150)))
    logger = CSVRun(str(tmp_path))
    logger.drop_after(100)
    logger.log_metrics({"a": 0.5}, step=180)
    logger.save()
    assert (tmp_path / "metrics.csv").read_text() == "step,a\n50,50\n100,100\n180,0.5\n"


def test_a_second_fit_of_one_logger_can_go_back(tmp_path):
    logger = CSVRun(str(tmp_path))
    for steps in ((1, 2, 3), (2, 3, 4)):
        for step in steps:
            logger.log_metrics({"a": float(10 * step)}, step=step)
        logger.finalize("success")
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.csv")] == [1, 2, 3, 4]


def test_a_line_cut_off_is_not_read_and_not_gone_on_with(tmp_path):
    write(tmp_path, (1, {"a": 1.5}), (2, {"a": 2.5}))
    path = tmp_path / "metrics.csv"
    path.write_text(path.read_text() + "3,4.2")
    assert [row["step"] for row in read_metrics(path)] == [1, 2]
    assert write(tmp_path, (4, {"a": 4.0})) == "step,a\n1,1.5\n2,2.5\n4,4\n"


@pytest.mark.parametrize("text", ["", "epoch,a\n1,2\n", "step,a\nx,1\n\0\0\n", "step,a\n1,2,3,4\n"])
def test_what_is_no_metrics_file_has_no_rows(tmp_path, text):
    (tmp_path / "metrics.csv").write_text(text)
    assert read_metrics(tmp_path / "metrics.csv") == []
    assert read_metrics(tmp_path / "missing.csv") == []


def test_rows_are_written_when_the_time_has_come(tmp_path):
    logger = CSVRun(str(tmp_path), flush_every=0.2)
    logger.log_metrics({"a": 1.0}, step=1)
    assert not logger.path.exists()
    time.sleep(0.25)
    logger.log_metrics({"a": 2.0}, step=2)
    assert [row["step"] for row in read_metrics(logger.path)] == [1, 2]


def test_flush_every_is_checked(tmp_path):
    with pytest.raises(ValueError, match=r"flush_every must be 0 or more seconds, got -1\."):
        CSVRun(str(tmp_path), flush_every=-1)


def test_logging_is_cheap(tmp_path):
    logger = CSVRun(str(tmp_path))
    values = {"loss/generator": 1.0, "loss/discriminator": torch.tensor(2.0), "images_seen": 64}
    logger.log_metrics(values, step=0)
    times = []
    for step in range(1, 2001):
        start = time.perf_counter()
        logger.log_metrics(values, step=step)
        times.append(time.perf_counter() - start)
    assert sorted(times)[1000] < 30e-6


def log_for_ever(folder):
    logger = CSVRun(str(folder), flush_every=0)
    for step in range(1, 1_000_000):
        logger.log_metrics({"a": step / 7, **({f"b{step}": 1.0} if step % 300 == 0 else {})}, step=step)


def test_a_killed_run_leaves_a_readable_file(tmp_path):
    moments = torch.rand(10, generator=torch.Generator().manual_seed(0)) * 0.2
    for moment in moments.tolist():
        folder = tmp_path / str(moment)
        process = multiprocessing.get_context("fork").Process(target=log_for_ever, args=(folder,))
        process.start()
        while len(read_metrics(folder / "metrics.csv")) < 10:
            time.sleep(0.002)
        time.sleep(moment)
        process.kill()
        process.join()
        rows = read_metrics(folder / "metrics.csv")
        assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
        assert all(row["a"] == pytest.approx(row["step"] / 7, rel=1e-8) for row in rows)


def test_a_training_run_writes_the_losses(tmp_path, tiny):
    logger = CSVRun(str(tmp_path))
    fit(tiny(n_critic=2), images(64), max_steps=4, log_every_n_steps=2, logger=logger, default_root_dir=tmp_path)
    rows = read_metrics(Path(logger.save_dir) / "metrics.csv")
    assert [row["step"] for row in rows] == [2, 4]
    assert [row["images_seen"] for row in rows] == [32, 64]
    assert {"loss/generator", "loss/discriminator"} <= rows[0].keys()
