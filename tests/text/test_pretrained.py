"""Encoders of others, with packages that only look like theirs."""

import copy
import pickle
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lit_gans.text import Pretrained, build_encoder


class Tokens(dict[str, Tensor]):
    def to(self, device: torch.device) -> "Tokens":
        return Tokens({name: value.to(device) for name, value in self.items()})


class Tokenizer:
    """A token for each letter; 0 fills up."""

    asked: list[Any]

    def __init__(self) -> None:
        self.asked = []

    def __call__(
        self, texts: list[str], *, padding: Any, truncation: bool, max_length: int, return_tensors: str
    ) -> Tokens:
        assert truncation
        assert return_tensors == "pt"
        self.asked.append(padding)
        cut = [text[:max_length] for text in texts]
        width = max_length if padding == "max_length" else max(map(len, cut))
        return Tokens(
            input_ids=torch.tensor([[ord(c) % 50 + 1 for c in text] + [0] * (width - len(text)) for text in cut])
        )

    def get_vocab(self) -> dict[str, int]:
        return {"a": 1}


class Model(nn.Module):
    """Sums of vectors of tokens, in half precision and with a dropout that must stay off."""

    def __init__(self, kind: str, *, bare: bool = True) -> None:
        super().__init__()
        self.config = SimpleNamespace(model_type=kind, text_config=SimpleNamespace(max_position_embeddings=12))
        generator = torch.Generator().manual_seed(0)
        self.vectors = nn.Embedding.from_pretrained(torch.randn(51, 6, generator=generator).half(), freeze=False)
        self.vision_model = nn.Linear(1000, 1000)
        self.dropout, self.bare = nn.Dropout(0.5), bare

    def get_text_features(self, input_ids: Tensor) -> Any:
        features = self.dropout(self.vectors(input_ids)).sum(1)
        return features if self.bare else SimpleNamespace(pooler_output=features)


class SentenceTransformer(nn.Module):
    def __init__(self, path: str, *, device: str, model_kwargs: dict[str, Any]) -> None:
        super().__init__()
        assert device == "cpu"
        assert model_kwargs == {"use_safetensors": True}
        if path == "absent":
            raise OSError("absent is not a local folder\nand more lines")
        self.weight = nn.Parameter(torch.ones(4))

    def encode(self, texts: list[str], *, convert_to_tensor: bool, show_progress_bar: bool, device: str) -> Tensor:
        assert convert_to_tensor
        assert not show_progress_bar
        with torch.inference_mode():
            return torch.tensor([[len(text), 1, 0, 0] for text in texts]) * self.weight / 100


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """The packages, and what was asked of them."""
    found: list[tuple[str, dict[str, Any]]] = []
    tokenizer = Tokenizer()

    class AutoModel:
        @staticmethod
        def from_pretrained(path: str, **options: Any) -> Model:
            found.append((path, options))
            if path == "absent":
                raise OSError("absent is not a local folder\nand more lines")
            return Model(path.split("-")[0], bare=not path.endswith("5"))

    transformers, sentences = ModuleType("transformers"), ModuleType("sentence_transformers")
    transformers.AutoModel, transformers.__version__ = AutoModel, "4.0"
    transformers.AutoTokenizer = SimpleNamespace(from_pretrained=lambda path: tokenizer)
    sentences.SentenceTransformer = SentenceTransformer
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    monkeypatch.setitem(sys.modules, "sentence_transformers", sentences)
    return found


@pytest.mark.parametrize("path", ["clip-4", "clip-5"])
@pytest.mark.parametrize("n", [1, 3, 8, 300])
def test_features_of_a_tower(path: str, n: int, asked: list[Any]) -> None:
    encoder = build_encoder({"name": "clip", "path": path})
    assert isinstance(encoder, Pretrained)
    assert asked == [(path, {"use_safetensors": True})]
    assert (encoder.dim, encoder.frozen, encoder.cached) == (6, True, True)
    texts = [f"{number} birds and more than fits" for number in range(n)]
    found = encoder.encode(texts)
    assert (found.shape, found.dtype, found.requires_grad) == ((n, 6), torch.float32, False)
    vectors = Model("clip").vectors.weight.detach().float()
    for row, text in zip(found, texts, strict=True):
        # The longest of a batch decides how many zeros are behind; here all fill the 12 places.
        expected = sum(vectors[ord(character) % 50 + 1] for character in text[:12])
        torch.testing.assert_close(row, expected * 6**0.5 / expected.norm(), rtol=1e-4, atol=1e-4)
    assert encoder.encode([]).shape == (0, 6)


def test_siglip_sees_texts_filled_up(asked: list[Any]) -> None:
    encoder = Pretrained("siglip", "siglip-4")
    one, other = encoder.encode(["a"])[0], encoder.encode(["a", "a longer text"])[0]
    torch.testing.assert_close(one, other)
    assert set(encoder.tokenizer.asked) == {"max_length"}
    clip = Pretrained("clip", "clip-4")
    clip.tokenizer.asked.clear()
    clip.encode(["a"])
    assert clip.tokenizer.asked == [True]


def test_only_the_half_for_texts_is_kept(asked: list[Any]) -> None:
    encoder = Pretrained("clip", "clip-4")
    assert list(encoder.model.state_dict()) == ["vectors.weight"]
    assert not encoder.model.training
    assert not any(parameter.requires_grad for parameter in encoder.model.parameters())
    model = nn.Module()
    model.encoder = encoder
    assert model.state_dict() == {}


def test_sentences(asked: list[Any]) -> None:
    encoder = build_encoder({"name": "sentence_transformers", "path": "some/model"})
    assert encoder.dim == 4
    found = encoder.encode(["abc"])
    torch.testing.assert_close(found, torch.tensor([[3.0, 1, 0, 0]]) * 2 / 10**0.5)
    assert not found.is_inference()


def test_copies_work_alone(asked: list[Any]) -> None:
    encoder = Pretrained("clip", "clip-4")
    other = copy.deepcopy(encoder)
    nn.init.ones_(encoder.model.vectors.weight)
    assert not torch.equal(other.encode(["a bird"]), encoder.encode(["a bird"]))
    assert torch.equal(pickle.loads(pickle.dumps(other)).encode(["a bird"]), other.encode(["a bird"]))


def test_fingerprint_depends_on_model_and_weights(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    one, same, path = Pretrained("clip", "clip-4"), Pretrained("clip", "clip-4"), Pretrained("clip", "clip-3")
    weights = Pretrained("clip", "clip-4")
    nn.init.ones_(weights.model.vectors.weight)
    assert one.fingerprint() == same.fingerprint() == one.fingerprint()
    monkeypatch.setattr(Tokenizer, "get_vocab", lambda self: {"a": 2})
    words = Pretrained("clip", "clip-4")
    assert len({encoder.fingerprint() for encoder in (one, path, weights, words)}) == 4


@pytest.mark.parametrize("name", ["clip", "siglip", "sentence_transformers"])
def test_a_model_that_cannot_be_had(name: str, asked: list[Any]) -> None:
    message = rf"'{name}' cannot have the model 'absent' \(OSError: absent is not a local folder\). Give the name of"
    with pytest.raises(ValueError, match=message):
        Pretrained(name, "absent")


def test_a_model_of_another_kind_is_refused(asked: list[Any]) -> None:
    with pytest.raises(ValueError, match="it is a model of the type 'siglip', not 'clip'"):
        Pretrained("clip", "siglip-4")
    with pytest.raises(ValueError, match="no pretrained text encoder 'bert': it is clip, siglip"):
        Pretrained("bert", "x")


@pytest.mark.parametrize(
    ("name", "package"),
    [("clip", "transformers"), ("siglip", "transformers"), ("sentence_transformers", "sentence_transformers")],
)
def test_without_the_package_a_sentence_says_what_to_install(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=rf'needs {package} .*python -m pip install "lit-gans\[text\]"'):
        build_encoder({"name": name, "path": "x"})


def test_blank_texts_are_refused(asked: list[Any]) -> None:
    with pytest.raises(ValueError, match="Text 0 is blank"):
        Pretrained("clip", "clip-4").encode([" "])
