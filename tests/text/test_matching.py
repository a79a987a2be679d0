"""The matching loss, by loops and by hand, and a small match that is learnt."""

import pytest
import torch
from torch import Tensor, nn

from lit_gans.text.matching import ImageEncoder, learn, matching_loss


def by_loops(images: Tensor, texts: Tensor, kinds: list[int]) -> tuple[float, Tensor, Tensor]:
    """The loss, and its gradients term by term: each violated margin moves two scores."""
    pairs = [(i, j) for i in range(len(kinds)) for j in range(len(kinds)) if kinds[i] != kinds[j]]
    value, of_images, of_texts = 0.0, torch.zeros_like(images), torch.zeros_like(texts)
    for i, j in pairs:
        for right in (i, j):  # the image's own text, then the text's own image
            margin = float(1 + images[i] @ texts[j] - images[right] @ texts[right])
            if margin > 0:
                value += margin / len(pairs)
                of_images[i] += texts[j] / len(pairs)
                of_texts[j] += images[i] / len(pairs)
                of_images[right] -= texts[right] / len(pairs)
                of_texts[right] -= images[right] / len(pairs)
    return value, of_images, of_texts


def drawn(n: int, dim: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    images, texts = torch.randn(2, n, dim, generator=generator, dtype=torch.float64) * 0.7
    return images.requires_grad_(), texts.requires_grad_()


@pytest.mark.parametrize(
    "kinds", [[4], [0, 1, 2], [0, 1, 0], [0, 0, 0], [0, 1, 2, 3, 4, 5, 6, 7], [-1, 3, 3, 0, -1, 5, 0, 3]]
)
def test_value_and_gradient(kinds: list[int]) -> None:
    images, texts = drawn(len(kinds))
    loss = matching_loss(images, texts, torch.tensor(kinds))
    found = torch.autograd.grad(loss, (images, texts))
    value, *expected = by_loops(images.detach(), texts.detach(), kinds)
    assert loss.item() == pytest.approx(value, rel=1e-12)
    assert (value > 0) == (len(set(kinds)) > 1)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("n", [1, 3, 8])
def test_gradient_is_that_of_finite_differences(n: int) -> None:
    images, texts = drawn(n)
    assert torch.autograd.gradcheck(lambda v, t: matching_loss(v, t, torch.arange(n)), (images, texts), eps=1e-7)


def test_by_hand() -> None:
    """s = [[2, 0.5], [1.5, 0]]: margins of images -0.5 and 2.5, of texts 1.5 and 0.5, over two pairs."""
    scores = torch.tensor([[2.0, 0.5], [1.5, 0.0]])
    assert float(matching_loss(scores, torch.eye(2), torch.arange(2))) == pytest.approx((2.5 + 1.5 + 0.5) / 2)


def test_nothing_is_lost_beyond_the_margin() -> None:
    assert float(matching_loss(1.01 * torch.eye(3), torch.eye(3), torch.arange(3))) == 0
    assert float(matching_loss(0.99 * torch.eye(3), torch.eye(3), torch.arange(3))) == pytest.approx(0.02)


def test_order_does_not_matter() -> None:
    images, texts = drawn(8)
    kinds, order = torch.tensor([0, 1, 2, 0, 1, 3, 4, 5]), torch.randperm(8)
    loss, other = matching_loss(images, texts, kinds), matching_loss(images[order], texts[order], kinds[order])
    torch.testing.assert_close(loss, other, rtol=1e-12, atol=0)
    torch.testing.assert_close(loss, matching_loss(texts, images, kinds), rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (2, 40, 51)])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_images_of_any_size(shape: tuple[int, int, int], n: int) -> None:
    images = torch.randint(0, 256, (n, *shape), dtype=torch.uint8)
    assert ImageEncoder(shape[0], 6)(images).shape == (n, 6)


def test_a_match_is_learnt() -> None:
    """Four plain pictures and four numbers for texts: at the end each prefers its own, by the margin."""
    torch.manual_seed(0)
    images = torch.tensor([0, 85, 170, 255], dtype=torch.uint8)[:, None, None, None].expand(4, 1, 8, 8)
    texts, image_encoder = nn.Embedding(4, 8), ImageEncoder(1, 8)
    with torch.no_grad():
        losses = learn(image_encoder, texts, [(images, torch.arange(4), torch.arange(4))] * 200, 2e-3)
        scores = image_encoder(images) @ texts.weight.T
    assert losses[0] > 0.5
    assert losses[-1] < 0.05
    strangers = scores.masked_fill(torch.eye(4, dtype=torch.bool), -torch.inf)
    assert (scores.diagonal() > strangers.amax(1)).all()
    assert (scores.diagonal() > strangers.amax(0)).all()
    assert learn(image_encoder, texts, [], 2e-3) == []
