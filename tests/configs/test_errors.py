from collections.abc import Callable
from pathlib import Path

import pytest

from lit_gans.configs.errors import Refusal, exit_code, first_process, guess, listed, shown


def fails_with(error: BaseException) -> Callable[[], None]:
    def job() -> None:
        raise error

    return job


def test_how_a_job_ends(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEBUG", raising=False)
    assert exit_code(lambda: None) == 0
    assert exit_code(fails_with(Refusal("No, because."))) == 2
    assert capsys.readouterr().err == "No, because.\n"
    assert exit_code(fails_with(KeyboardInterrupt("Here it is."))) == 130
    assert capsys.readouterr().err == "Here it is.\n"
    assert exit_code(fails_with(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "Stopped.\n"
    assert exit_code(fails_with(ValueError("a fault"))) == 1
    assert capsys.readouterr().err.endswith("ValueError: a fault\n")


@pytest.mark.parametrize("variable", ["LOCAL_RANK", "SLURM_PROCID"])
def test_one_process_speaks_for_all(
    variable: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "0")
    assert first_process()
    monkeypatch.setenv(variable, "1")
    assert not first_process()
    assert exit_code(fails_with(Refusal("No."))) == 2
    assert capsys.readouterr().err == ""


def test_guesses() -> None:
    assert guess("dcgna", ["wgan_gp", "dcgan"]) == " Did you mean dcgan?"
    assert guess("stylegan", ["r1", "ema"]) == ""
    assert listed([]) == "none"
    assert listed(["a", "b"]) == "a, b"


def test_paths_are_short_where_they_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "a" / "b") == Path("a/b")
    assert shown("/elsewhere/b") == Path("/elsewhere/b")
    assert shown("a") == Path("a")
