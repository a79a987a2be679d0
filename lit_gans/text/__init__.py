"""Captions as vectors: text encoders behind one interface, by name."""

from lit_gans.text.bag_of_words import BagOfWords
from lit_gans.text.build import build_encoder
from lit_gans.text.cache import embed
from lit_gans.text.char_cnn import CharCNN
from lit_gans.text.encoder import TextEncoder
from lit_gans.text.pretrained import Pretrained

__all__ = ["BagOfWords", "CharCNN", "Pretrained", "TextEncoder", "build_encoder", "embed"]
