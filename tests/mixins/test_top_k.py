"""Top-k in the game: how k decays, who has a gradient, what it does not go with."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from lit_gans import GAN, compose
from lit_gans.mixins import FeatureMatching, Relativistic, TopK
from lit_gans.models import DCGAN
from tests.conftest import TINY, fit, images
from tests.mixins.twin import check_twin

Best = compose(DCGAN, TopK)


def test_equals_a_plain_loop() -> None:
    """k = 8, 8, 5, 5, 4, 4 ... of 8, by 0.7 every second update, down to a half."""
    sizes = iter([8, 8, 5, 5, 4, 4, 4, 4, 4, 4])

    def g_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        k = next(sizes)
        return sum(softplus(-logit) for logit in sorted(discriminator(fake), reverse=True)[:k]) / k

    check_twin(Best(**TINY, top_k_decay=0.7, top_k_every=2).double(), 1, g_loss=g_loss)
    assert not list(sizes)


@pytest.mark.parametrize(("updates", "n", "k"), [(0, 8, 8), (1, 8, 6), (3, 8, 3), (9, 8, 2), (9, 3, 1), (9, 1, 1)])
def test_the_others_have_no_gradient_at_all(updates: int, n: int, k: int) -> None:
    model = Best(**TINY, top_k_decay=0.75, top_k_every=1, top_k_minimum=0.25, discriminator_norm="none")
    model.turns_taken["generator"] = updates
    fake = torch.randn(n, 1, 16, 16, requires_grad=True)
    logits = model.discriminate(fake).detach()
    (gradient,) = torch.autograd.grad(model.generator_loss(fake, fake, None), fake)
    felt = gradient.flatten(1).abs().amax(1) > 0
    assert felt.nonzero().flatten().tolist() == sorted(logits.topk(k).indices.tolist())
    (whole,) = torch.autograd.grad(DCGAN.generator_loss(_plain(model), fake, fake, None), fake)
    torch.testing.assert_close(gradient[felt], whole[felt] * n / k)


def _plain(model: GAN) -> DCGAN:
    plain = DCGAN(**TINY, discriminator_norm="none")
    plain.discriminator = model.discriminator
    return plain


def test_the_discriminator_sees_all() -> None:
    model = Best(**TINY, top_k_decay=0.1, top_k_every=1)
    model.turns_taken["generator"] = 5
    assert [len(logits) for logits in model.discriminator_logits(*torch.randn(2, 8, 1, 16, 16), None)] == [8, 8]


def test_a_part_of_a_batch_has_its_own_best() -> None:
    sizes: list[int] = []

    class Spy(Best):  # type: ignore[misc,valid-type]
        def generator_logits(self, fake: Tensor, condition: Tensor | None) -> Tensor:
            sizes.append(len(super().generator_logits(fake, condition)))
            return super().generator_logits(fake, condition)

    fit(Spy(**TINY, top_k_decay=0.5, top_k_every=1, accumulate=2), images(16), max_epochs=1)
    assert sizes == [4, 4, 2, 2]


def test_a_resumed_run_goes_on_with_the_same_k(tmp_path: Path) -> None:
    options: dict[str, Any] = {**TINY, "top_k_decay": 0.9, "top_k_every": 1}
    fit(Best(**options), images(16), max_epochs=1).save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
    model = Best(**options)
    model.on_load_checkpoint(torch.load(tmp_path / "a.ckpt", weights_only=True))
    assert len(model.generator_logits(torch.randn(10, 1, 16, 16), None)) == 8  # 0.81 of 10


def test_what_has_no_meaning_is_refused() -> None:
    for order in ((TopK, Relativistic), (Relativistic, TopK)):
        with pytest.raises(ValueError, match=r"relativistic loss compares .* set tricks\.top_k=null"):
            compose(DCGAN, *order)(**TINY)
    for order in ((TopK, FeatureMatching), (FeatureMatching, TopK)):
        with pytest.raises(ValueError, match=r"fm_replace=false, or tricks\.top_k=null"):
            compose(DCGAN, *order)(**TINY)
        fit(compose(DCGAN, *order)(**TINY, fm_replace=False), images(8), max_epochs=1)
    for name, value in (("top_k_decay", 0.0), ("top_k_decay", 1.1), ("top_k_minimum", 0.0), ("top_k_minimum", 2.0)):
        with pytest.raises(ValueError, match=f"{name} must be above 0 and at most 1, got {value}"):
            Best(**TINY, **{name: value})
    with pytest.raises(ValueError, match="top_k_every must be at least 1, got 0"):
        Best(**TINY, top_k_every=0)
