"""On a GPU: what resumes, in which precision it computes, and what compilation leaves as it was."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lit_gans import compose
from lit_gans.mixins import R1Penalty, Unrolled
from lit_gans.models import DCGAN
from tests.conftest import TINY, fit, images
from tests.every_trick import NAMES, made, stopped_and_resumed
from tests.mixins.test_tricks import MODELS, SMALL

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

SGD = {"name": "sgd", "lr": 0.01, "betas": None}


def weights(model: Any) -> Tensor:
    return torch.cat([parameter.detach().cpu().flatten() for parameter in model.parameters()])


@pytest.fixture
def reproducible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("reproducible")
def test_every_trick_resumes_bit_for_bit(name: str, tmp_path: Path) -> None:
    found = stopped_and_resumed(name, 1, tmp_path, accelerator="gpu", deterministic="warn", benchmark=False)
    torch.use_deterministic_algorithms(False)
    assert found["differences"] == []


@pytest.mark.parametrize("name", [*MODELS, *(f"dcgan with {name}" for name in NAMES if name not in MODELS)])
def test_mixed_precision_keeps_the_weights_in_full_and_moves_them(name: str) -> None:
    """Of every model and every trick, each in bfloat16 where that is safe."""

    def fresh() -> Any:
        return MODELS[name](**SMALL.get(name, TINY)) if name in MODELS else made(name.removeprefix("dcgan with "))

    model = fresh()
    start = weights(model)
    fit(model, images(32), 8, max_epochs=1, accelerator="gpu", precision="bf16-mixed")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert bool(weights(model).isfinite().all())
    assert not torch.equal(weights(model), start)


def test_a_penalty_is_computed_in_full_precision_beside_autocast() -> None:
    """R1 of one batch under bfloat16 and without: equal to float32's last digits, which bfloat16 has not."""
    model = compose(DCGAN, R1Penalty)(**TINY, discriminator_norm="none").cuda()
    real = torch.rand(8, 1, 16, 16, device="cuda") * 2 - 1
    values = []
    for enabled in (False, True):
        with torch.autocast("cuda", torch.bfloat16, enabled=enabled):
            values.append(model.discriminator_penalty(real, real.clone(), None))
    torch.testing.assert_close(values[1], values[0], rtol=1e-5, atol=0.0)


def test_compiled_networks_train_as_eager_ones() -> None:
    def trained(flag: bool) -> Tensor:
        model = DCGAN(**TINY, compile=flag, discriminator_optimizer=SGD, generator_optimizer=SGD)
        fit(model.double(), images(32), 8, max_epochs=1, accelerator="gpu", precision="64-true")
        return weights(model)

    # In float64: a GPU multiplies float32 with ten bits where it may, and in another order once compiled.
    torch.testing.assert_close(trained(True), trained(False), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("width", [1, 4])
def test_compiled_steps_ahead_are_the_eager_ones(width: int) -> None:
    """Of convolutions, whose few weights make an odd number of bytes at the smaller width."""

    def trained(flag: bool) -> Tensor:
        options = {**TINY, "width": width, "discriminator_norm": "batch"}
        model = compose(DCGAN, Unrolled)(**options, unrolled_steps=3, unrolled_compile=flag)
        fit(model.double(), images(32), 8, max_epochs=1, accelerator="gpu", precision="64-true")
        return weights(model)

    torch.testing.assert_close(trained(True), trained(False), rtol=1e-6, atol=1e-9)
