"""The character network: what it reads, what it learns, and that nothing else is touched."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lit_gans.data.captions import Captions
from lit_gans.text import CharCNN, TextEncoder, build_encoder

COLOURS = {"red": (230, 20, 20), "green": (20, 230, 20), "blue": (20, 20, 230)}
PAIRS = [(front, ground) for front in COLOURS for ground in COLOURS if front != ground]
CAPTIONS = Captions([[f"a {front} stripe on {ground}", f"{ground} with {front} across"] for front, ground in PAIRS])


def pictures() -> Tensor:
    images = torch.empty(len(PAIRS), 3, 12, 12, dtype=torch.uint8)
    for image, (front, ground) in zip(images, PAIRS, strict=True):
        image[:] = torch.tensor(COLOURS[ground], dtype=torch.uint8)[:, None, None]
        image[:, 4:8] = torch.tensor(COLOURS[front], dtype=torch.uint8)[:, None, None]
    return images


IMAGES = pictures()


def fitted(steps: int = 2, batch_size: int = 8, **options: Any) -> CharCNN:
    encoder = CharCNN(**{"dim": 16, "steps": steps, **options})
    encoder.fit(IMAGES.__getitem__, CAPTIONS, batch_size=batch_size)
    return encoder


def apart(encoder: CharCNN) -> tuple[float, float]:
    """Mean cosines of the two captions of an image, and of captions of different images."""
    embeddings = encoder.encode(CAPTIONS.texts).double()
    cosines = embeddings @ embeddings.T / encoder.dim
    of = torch.arange(len(PAIRS)).repeat_interleave(2)
    own = (of[:, None] == of) & ~torch.eye(len(of), dtype=torch.bool)
    return float(cosines[own].mean()), float(cosines[of[:, None] != of].mean())


def test_it_learns_which_captions_mean_the_same() -> None:
    """The words of the two captions of an image are those of another image's, in another order."""
    before, after = CharCNN(dim=16), fitted(60, 32)
    before.fitted.fill_(True)
    own, strangers = apart(before)
    assert own - strangers < 0.1
    own, strangers = apart(after)
    assert own > 0.7
    assert strangers < 0.3


def test_without_having_learnt_it_says_so() -> None:
    encoder = CharCNN(dim=8)
    assert not encoder.fitted
    assert not CharCNN.frozen
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert isinstance(encoder, TextEncoder)
    with pytest.raises(ValueError, match=r"has not learnt yet: call its fit\(images, captions\)"):
        encoder.encode(["a"])


@pytest.mark.parametrize("n", [1, 3, 8])
def test_embeddings(n: int) -> None:
    texts = ["a red stripe", "鳥", "🦜", "x" * 10_000, "?", "नीला", "\ud800", "A  RED stripe"][:n]
    found = fitted().encode(texts)
    assert (found.shape, found.dtype, found.requires_grad) == ((n, 16), torch.float32, False)
    torch.testing.assert_close(found.norm(dim=1), torch.full((n,), 4.0))
    assert len(found.unique(dim=0)) == min(n, 7)  # the last is the first


def test_an_embedding_does_not_depend_on_the_others() -> None:
    encoder = fitted()
    texts = [f"bird {'very ' * (number % 40)}{number}" for number in range(300)]
    many = encoder.encode(texts)
    for index in (0, 39, 255, 256, 299):
        torch.testing.assert_close(many[index], encoder.encode([texts[index]])[0], rtol=1e-4, atol=1e-5)
    assert encoder.encode([]).shape == (0, 16)


def test_only_the_first_characters_are_read() -> None:
    encoder = fitted(length=10)
    one, same, other = encoder.encode(["0123456789", "0123456789abc", "012345678a"])
    torch.testing.assert_close(one, same)
    assert not torch.allclose(one, other, atol=1e-3)


def test_characters_in_one_column_of_the_charts_are_told_apart() -> None:
    one, other = fitted().encode(["a", chr(0x4E00 + ord("a"))])
    assert not torch.allclose(one, other, atol=1e-2)


def test_codes_are_code_points() -> None:
    codes = CharCNN(dim=4, length=5).codes(["Ab", "鳥\U0001f99c", "abcdefg"])
    assert codes.shape[1] % 9 == 0
    assert codes.dtype == torch.int64
    assert codes[:, :6].tolist() == [[97, 98, 0, 0, 0, 0], [0x9CE5, 0x1F99C, 0, 0, 0, 0], [97, 98, 99, 100, 101, 0]]
    assert int(codes[:, 5:].sum()) == 0


def test_the_seed_decides_and_nothing_else_is_touched() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = fitted(seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    same, other, longer = fitted(seed=3), fitted(seed=4), fitted(3, seed=3)
    assert one.fingerprint() == same.fingerprint()
    assert len({encoder.fingerprint() for encoder in (one, other, longer, CharCNN(dim=16, seed=3))}) == 4
    assert torch.equal(one.encode(["a"]), same.encode(["a"]))
    assert not torch.allclose(one.encode(["a"]), other.encode(["a"]), atol=1e-2)


def test_it_starts_anew_and_asks_for_no_gradient() -> None:
    encoder = fitted()
    first = encoder.fingerprint()
    encoder.fit(IMAGES.__getitem__, CAPTIONS, batch_size=8)
    assert encoder.fingerprint() == first
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in encoder.parameters())


def test_a_fit_that_fails_leaves_no_gradient_behind() -> None:
    def images(indices: Tensor) -> Tensor:
        if len(indices) > 1:
            raise OSError("no such image")
        return IMAGES[indices]

    encoder = CharCNN(dim=8, steps=1)
    with pytest.raises(OSError, match="no such image"):
        encoder.fit(images, CAPTIONS, batch_size=4)
    assert not encoder.fitted
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_each_image_comes_with_a_caption_of_its_own() -> None:
    encoder = CharCNN(dim=8, steps=30)
    texts = set()
    for images, codes, kinds in encoder._batches(IMAGES.__getitem__, CAPTIONS, 8):
        assert (images.dtype, len(codes), len(kinds)) == (torch.uint8, 8, 8)
        for image, code, kind in zip(images, codes, kinds.tolist(), strict=True):
            text = "".join(map(chr, code[code > 0].tolist()))
            assert text in CAPTIONS[kind]
            assert torch.equal(image, IMAGES[kind])
            texts.add(text)
    assert texts == set(CAPTIONS.texts)


def test_inside_a_model_it_is_saved_and_loaded() -> None:
    model, other = nn.Module(), nn.Module()
    model.encoder, other.encoder = fitted(), CharCNN(dim=16, seed=9)
    other.load_state_dict(model.state_dict())
    assert bool(other.encoder.fitted)
    assert torch.equal(other.encoder.encode(["a bird"]), model.encoder.encode(["a bird"]))


def test_precision_of_the_model_around_it_is_not_its_own() -> None:
    encoder = fitted()
    expected = encoder.encode(["a bird"])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(encoder.encode(["a bird"]), expected)


@pytest.mark.parametrize("channels", [1, 2])
def test_images_of_other_channels(channels: int) -> None:
    encoder = CharCNN(dim=8, steps=1)
    encoder.fit(lambda indices: IMAGES[indices, :channels], CAPTIONS, batch_size=2)
    assert encoder.fitted


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"lr": 0.0}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="batch_size of at least 2 and lr above 0"):
        CharCNN(dim=8).fit(IMAGES.__getitem__, CAPTIONS, **options)


def test_captions_that_tell_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="here each fits all"):
        CharCNN(dim=8).fit(IMAGES.__getitem__, Captions([["a bird"]] * 6))
    with pytest.raises(ValueError, match="Text 1 is blank"):
        CharCNN(dim=8).fit(IMAGES.__getitem__, Captions([["a bird"], [" "]]))


@pytest.mark.parametrize("steps", [0, 1.5])
def test_it_learns_from_whole_batches(steps: float) -> None:
    with pytest.raises(ValueError, match="steps of the text encoder 'char_cnn' must be at least 1 batch"):
        build_encoder({"name": "char_cnn", "steps": steps})
    assert build_encoder({"name": "char_cnn", "steps": 3}).steps == 3  # type: ignore[attr-defined]
