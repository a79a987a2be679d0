"""Which text belongs to which image: the joint embedding that texts are learnt by.

Learning Deep Representations of Fine-grained Visual Descriptions, Reed et al., CVPR 2016, arXiv 1605.05395.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

IMAGE_SIZE = 32


def matching_loss(images: Tensor, texts: Tensor, kinds: Tensor) -> Tensor:
    """The symmetric structured joint embedding loss of a batch (arXiv 1605.05395, eq. 3 and 4), margin 1.

    With scores s_ij = <v_i, t_j> of image i and text j, the mean over all i and j of different kinds of

        max(0, 1 + s_ij - s_ii) + max(0, 1 + s_ij - s_jj):

    the image must score its own text higher than a stranger's, and the text its own image. 0 if all are of one kind.

    Args:
        images: v, ``(N, E)``.
        texts: t, ``(N, E)``, each of the image beside it.
        kinds: ``(N,)``, equal where either's text fits the other's image.
    """
    scores = images @ texts.T
    own = scores.diagonal()
    violated = relu(1 + scores - own[:, None]) + relu(1 + scores - own)
    strangers = kinds[:, None] != kinds
    return violated.masked_fill(~strangers, 0.0).sum() / strangers.sum().clamp_min(1)


class ImageEncoder(nn.Module):
    """Images ``(N, C, H, W)`` uint8 of any size, seen at 32x32, to features ``(N, E)``.

    Args:
        channels: C.
        dim: E.
    """

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.layers = nn.Sequential(
            *(nn.Conv2d(channels, 32, 4, 2, 1), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(32, 64, 4, 2, 1), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(64, 128, 4, 2, 1), nn.LeakyReLU(0.2)),
            *(nn.Flatten(), nn.Linear(128 * (IMAGE_SIZE // 8) ** 2, dim)),
        )

    def forward(self, images: Tensor) -> Tensor:
        seen = interpolate(images.float() / 127.5 - 1, (IMAGE_SIZE, IMAGE_SIZE), mode="area")
        # Texts have length sqrt(E): scores are of the order of the margin from the start.
        features: Tensor = self.layers(seen) / math.sqrt(self.dim)
        return features


@torch.enable_grad()
def learn(
    image_encoder: nn.Module, text_encoder: nn.Module, batches: Iterable[tuple[Tensor, Tensor, Tensor]], lr: float
) -> list[float]:
    """Both encoders learn to match, by Adam; the loss of each batch.

    Args:
        image_encoder: images ``(N, C, H, W)`` to ``(N, E)``.
        text_encoder: texts as numbers ``(N, L)`` to ``(N, E)``.
        batches: of images, texts and kinds ``(N,)``.
        lr: learning rate.
    """
    optimizer = torch.optim.Adam([*image_encoder.parameters(), *text_encoder.parameters()], lr)
    losses = []
    for images, texts, kinds in batches:
        loss = matching_loss(image_encoder(images), text_encoder(texts), kinds)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses).tolist() if losses else []
