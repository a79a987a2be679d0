"""Data for training: what is in it, in which order, on which device."""

from lit_gans.data.base import DataModule, ImageDataModule
from lit_gans.data.captioned import Captioned
from lit_gans.data.cifar10 import CIFAR10
from lit_gans.data.digits import Digits
from lit_gans.data.folder import Folder
from lit_gans.data.mnist import MNIST, FashionMNIST
from lit_gans.data.points import Dirac, Grid, Rings
from lit_gans.data.shapes import Shapes
from lit_gans.data.stacked import StackedDigits, StackedMNIST

__all__ = [
    "CIFAR10",
    "MNIST",
    "Captioned",
    "DataModule",
    "Digits",
    "Dirac",
    "FashionMNIST",
    "Folder",
    "Grid",
    "ImageDataModule",
    "Rings",
    "Shapes",
    "StackedDigits",
    "StackedMNIST",
]
