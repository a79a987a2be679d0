"""Text encoders that others have trained, by their name on the Hugging Face hub or by a folder.

CLIP (Radford et al., ICML 2021, arXiv 2103.00020), SigLIP (Zhai et al., ICCV 2023, arXiv 2303.15343) and Sentence-BERT
(Reimers and Gurevych, EMNLP 2019, arXiv 1908.10084). What they run on comes with ``lit-gans[text]``.
"""

import importlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from lit_gans.text.encoder import TextEncoder, check_texts, digest_of, scaled

PACKAGES = {"clip": "transformers", "siglip": "transformers", "sentence_transformers": "sentence_transformers"}
AT_ONCE = 256  # texts


class Pretrained(TextEncoder):
    """The text half of CLIP or SigLIP, or a sentence transformer; on a GPU while it works, if there is one.

    It is no torch module: a model that uses it has none of its weights in its checkpoints.

    Args:
        name: ``clip``, ``siglip`` or ``sentence_transformers``.
        path: on the hub, such as ``openai/clip-vit-base-patch32``, or a folder. The weights must be safetensors.

    Raises:
        ValueError: if the package is missing, the model cannot be had, or it is of another kind.
    """

    cached = True

    def __init__(self, name: str, path: str) -> None:
        if name not in PACKAGES:
            raise ValueError(f"There is no pretrained text encoder {name!r}: it is {', '.join(PACKAGES)}.")
        self.name, self.path = name, path
        package = _package(name)
        load = _sentence_transformer if name == "sentence_transformers" else _tower
        try:
            self.model, self.tokenizer = load(package, name, path)
        except Exception as error:
            first = next(iter(str(error).splitlines()), "")
            raise ValueError(
                f"The text encoder {name!r} cannot have the model {path!r} ({type(error).__name__}: {first}). Give the "
                "name of one on the Hugging Face hub with safetensors, or the path of a folder with its files where "
                "there is no network; bag_of_words needs no download."
            ) from error
        self.model.float().eval().requires_grad_(False)
        self.version = str(getattr(package, "__version__", ""))
        self.dim = self.encode(["a"]).shape[1]

    @override
    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        check_texts(texts)
        features = _sentence_features if self.name == "sentence_transformers" else _tower_features
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model.to(device)
        try:
            with torch.autocast(device.type, enabled=False):
                parts = [list(texts[start : start + AT_ONCE]) for start in range(0, len(texts), AT_ONCE)]
                found = [features(self.model, self.tokenizer, part, device).float().cpu() for part in parts]
        finally:
            self.model.to("cpu")
        return scaled(torch.cat(found)) if found else torch.zeros(0, self.dim)

    @override
    def fingerprint(self) -> str:
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        vocabulary = sorted(getattr(self.tokenizer, "get_vocab", dict)().items())
        return digest_of(self.model.state_dict(), self.name, self.path, self.version, repr(self.model), vocabulary)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(PACKAGES[name])
    except ImportError as error:
        raise ValueError(
            f'The text encoder {name!r} needs {PACKAGES[name]} ({error}): python -m pip install "lit-gans[text]". '
            "bag_of_words and char_cnn need nothing more."
        ) from error


def _tower(transformers: Any, name: str, path: str) -> tuple[Any, Any]:
    """The model without its eyes, and its tokenizer."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    model = transformers.AutoModel.from_pretrained(path, use_safetensors=True)
    if model.config.model_type != name:
        raise ValueError(f"it is a model of the type {model.config.model_type!r}, not {name!r}")
    model.vision_model = None  # half of the memory
    return model, tokenizer


def _tower_features(model: Any, tokenizer: Any, texts: list[str], device: torch.device) -> Tensor:
    longest = model.config.text_config.max_position_embeddings
    # SigLIP was trained on texts filled up to the end, and looks at what fills them.
    padding = "max_length" if model.config.model_type == "siglip" else True
    tokens = tokenizer(texts, padding=padding, truncation=True, max_length=longest, return_tensors="pt")
    found = model.get_text_features(**tokens.to(device))
    features: Tensor = found if isinstance(found, Tensor) else found.pooler_output  # from transformers 5 on
    return features


def _sentence_transformer(sentence_transformers: Any, name: str, path: str) -> tuple[Any, Any]:
    model = sentence_transformers.SentenceTransformer(path, device="cpu", model_kwargs={"use_safetensors": True})
    return model, getattr(model, "tokenizer", None)


def _sentence_features(model: Any, tokenizer: Any, texts: list[str], device: torch.device) -> Tensor:
    features: Tensor = model.encode(texts, convert_to_tensor=True, show_progress_bar=False, device=str(device))
    return features
