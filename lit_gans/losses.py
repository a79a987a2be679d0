"""Adversarial losses: pure functions of the discriminator's raw logits, each the mean over the batch.

``real_logits`` are D(x) on real samples and ``fake_logits`` D(G(z)) on generated ones, float tensors of any equal
shape, usually ``(N,)``. Nothing here applies a sigmoid first: every logarithm is a softplus, finite at any logit.
A pair of functions makes a game: ``<game>_discriminator_loss`` and ``<game>_generator_loss``. What the generator may
look at instead comes after: the highest logits, and the distance of the discriminator's mean features. Then the game
of a discriminator that tells classes, too, and what comes with conditions that are texts and images of several sizes.
"""

from torch import Tensor, bfloat16, float16
from torch.nn.functional import cross_entropy, relu, softplus


def _cross_entropy(logits: Tensor, target: float) -> Tensor:
    """Binary cross-entropy with a soft target: -[t log s(l) + (1 - t) log s(-l)], s the sigmoid."""
    return (target * softplus(-logits) + (1 - target) * softplus(logits)).mean()


def gan_discriminator_loss(
    real_logits: Tensor,
    fake_logits: Tensor,
    real_target: float = 1.0,
    fake_target: float = 0.0,
    *,
    fake_weight: float = 1.0,
) -> Tensor:
    """-E log s(D(x)) - E log(1 - s(D(G(z)))) (Goodfellow et al. 2014, arXiv 1406.2661, eq. 1), a sum of two means.

    Args:
        real_logits: ``(N,)``.
        fake_logits: ``(N,)``.
        real_target: the label of real samples, in [0, 1]; 0.9 is one-sided smoothing.
        fake_target: the label of generated samples, in [0, 1].
        fake_weight: of the second mean, where others stand beside it.
    """
    return _cross_entropy(real_logits, real_target) + fake_weight * _cross_entropy(fake_logits, fake_target)


def minimax_generator_loss(fake_logits: Tensor) -> Tensor:
    """E log(1 - s(D(G(z)))): the saturating form of the zero-sum game (arXiv 1406.2661, eq. 1)."""
    return -softplus(fake_logits).mean()


def non_saturating_generator_loss(fake_logits: Tensor, target: float = 1.0) -> Tensor:
    """-E log s(D(G(z))) (arXiv 1406.2661, section 3); ``target`` is the label the generator asks for."""
    return _cross_entropy(fake_logits, target)


def wasserstein_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E D(G(z)) - E D(x), the critic's negated estimate of W1 (Arjovsky et al. 2017, arXiv 1701.07875, eq. 3)."""
    return fake_logits.mean() - real_logits.mean()


def wasserstein_generator_loss(fake_logits: Tensor) -> Tensor:
    """-E D(G(z)) (arXiv 1701.07875, algorithm 1)."""
    return -fake_logits.mean()


def hinge_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))) (Miyato et al. 2018, arXiv 1802.05957, eq. 16)."""
    return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()


def hinge_generator_loss(fake_logits: Tensor) -> Tensor:
    """-E D(G(z)) (arXiv 1802.05957, eq. 17)."""
    return -fake_logits.mean()


def least_squares_discriminator_loss(
    real_logits: Tensor, fake_logits: Tensor, real_target: float = 1.0, fake_target: float = 0.0
) -> Tensor:
    """1/2 E(D(x) - b)^2 + 1/2 E(D(G(z)) - a)^2 (Mao et al. 2017, arXiv 1611.04076, eq. 2).

    Args:
        real_logits: ``(N,)``.
        fake_logits: ``(N,)``.
        real_target: b, 1 in the 0-1 coding; 1 in the Pearson chi-squared coding.
        fake_target: a, 0 in the 0-1 coding; -1 in the Pearson chi-squared coding.
    """
    return ((real_logits - real_target).square().mean() + (fake_logits - fake_target).square().mean()) / 2


def least_squares_generator_loss(fake_logits: Tensor, target: float = 1.0) -> Tensor:
    """1/2 E(D(G(z)) - c)^2, c = ``target``: 1 in the 0-1 coding, 0 in the Pearson one (arXiv 1611.04076, eq. 2)."""
    return (fake_logits - target).square().mean() / 2


def rpgan_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E log s(D(x) - D(G(z))) over pairs (RSGAN: Jolicoeur-Martineau 2018, arXiv 1807.00734, section 4)."""
    return softplus(fake_logits - real_logits).mean()


def rpgan_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E log s(D(G(z)) - D(x)) over pairs (arXiv 1807.00734, section 4)."""
    return softplus(real_logits - fake_logits).mean()


def _against_average(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Each logit minus the mean of the other side; the means carry gradient (arXiv 1807.00734, section 4)."""
    return real_logits - fake_logits.mean(), fake_logits - real_logits.mean()


def rasgan_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Relativistic average standard GAN, both halves weighted 1/2 (arXiv 1807.00734, section 4)."""
    real, fake = _against_average(real_logits, fake_logits)
    return (softplus(-real).mean() + softplus(fake).mean()) / 2


def rasgan_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The discriminator's relativistic average loss with the roles swapped."""
    return rasgan_discriminator_loss(fake_logits, real_logits)


def ralsgan_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Relativistic average least squares, both halves weighted 1/2 (arXiv 1807.00734, appendix)."""
    real, fake = _against_average(real_logits, fake_logits)
    return ((real - 1).square().mean() + (fake + 1).square().mean()) / 2


def ralsgan_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The discriminator's relativistic average least squares with the roles swapped."""
    return ralsgan_discriminator_loss(fake_logits, real_logits)


def rahinge_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Relativistic average hinge, both halves weighted 1/2 (arXiv 1807.00734, appendix)."""
    real, fake = _against_average(real_logits, fake_logits)
    return (relu(1 - real).mean() + relu(1 + fake).mean()) / 2


def rahinge_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The discriminator's relativistic average hinge with the roles swapped."""
    return rahinge_discriminator_loss(fake_logits, real_logits)


def highest(logits: Tensor, share: float) -> Tensor:
    """The k highest logits, k = ``share`` of N rounded down, but at least one (Sinha et al. 2020, arXiv 2002.06224).

    The gradient of the others is 0.

    Args:
        logits: ``(N,)``.
        share: in (0, 1].
    """
    return logits.topk(max(1, int(share * len(logits))), dim=0).values


def feature_distance(real_features: Tensor, fake_features: Tensor, *, squared: bool = False) -> Tensor:
    """How far apart the mean features are (Salimans et al. 2016, arXiv 1606.03498, section 3.1).

    The mean over the F features of |m_real - m_fake| (the paper's code on CIFAR-10 and SVHN), or of its square (on
    MNIST), m the mean over samples and space.

    Args:
        real_features: ``(N, F)`` or ``(N, F, H, W)``, raw outputs of a layer of the discriminator.
        fake_features: likewise, of as many samples or others.
        squared: take the squares.
    """
    real, fake = (
        (x.float() if x.dtype in (float16, bfloat16) else x).transpose(0, 1).flatten(1).mean(1)
        for x in (real_features, fake_features)
    )
    return ((real - fake).square() if squared else (real - fake).abs()).mean()


# K + 1 classes


def realness(class_logits: Tensor) -> Tensor:
    """D's raw logit ``(N,)`` from its logits ``(N, K)`` of the real classes: log of Z = sum_k exp l_k.

    With the fake class's logit fixed at 0, p(real | x) = Z / (Z + 1) = s(log Z) (Salimans et al. 2016, arXiv
    1606.03498, section 5): every game of this module can be played with it.
    """
    return class_logits.logsumexp(1)


def classification(class_logits: Tensor, labels: Tensor) -> Tensor:
    """-E log p(y | x, real) over the labelled samples, 0 if there are none (arXiv 1606.03498, section 5).

    Args:
        class_logits: ``(N, K)``, of the real classes.
        labels: ``(N,)`` int64 in [0, K); -1 is unlabelled.
    """
    total = cross_entropy(class_logits, labels, ignore_index=-1, reduction="sum")
    return total / (labels >= 0).sum().clamp_min(1)


def wrong_pairs(logits: Tensor, target: float = 0.0) -> Tensor:
    """-E log(1 - s(D(x, t))), over images and conditions that do not belong together; 0 if there are none.

    Reed et al. (ICML 2016, arXiv 1605.05396, section 4.2): a discriminator that sees them knows of a condition.

    Args:
        logits: ``(N,)``.
        target: their label, as that of generated samples.
    """
    return _cross_entropy(logits, target) if len(logits) else logits.sum()


def matching(logits: Tensor) -> Tensor:
    """-E log softmax(D(x, t_0), D(x, t_1), ...)_0: which of some conditions is the sample's own, the first.

    XMC-GAN (Zhang et al., CVPR 2021, arXiv 2101.04702, eq. 3), where the others are those of the batch. Its gradient is
    that of the worst mistakes, where :func:`wrong_pairs` weighs all conditions alike. 0 if there are no others.

    Args:
        logits: ``(N, 1 + K)``.
    """
    return -logits.log_softmax(1)[:, 0].mean()


def gaussian_kl(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, 1)) = -s + (e^(2s) + mu^2 - 1) / 2, the mean over samples and dimensions.

    As in the code of StackGAN (arXiv 1612.03242, eq. 2): of the sum over D dimensions, which the paper writes, 1 / D.

    Args:
        mean: mu, ``(N, D)``.
        log_std: s, log sigma, ``(N, D)``.
    """
    return ((2 * log_std).exp() + mean.square() - 1).mean() / 2 - log_std.mean()


def colour_distance(fine: Tensor, coarse: Tensor) -> Tensor:
    """How far the colours of images are from those of smaller ones (StackGAN++, arXiv 1710.10916, eq. 9).

    E (m - m')^2 + 5 E (S - S')^2, each a mean over samples and entries, m the mean colour of an image's pixels and S
    their covariance; 5 is the authors' ratio of the two. The smaller image is a constant.

    Args:
        fine: ``(N, C, H, W)``.
        coarse: ``(N, C, h, w)``.
    """
    (mean, covariance), (coarse_mean, coarse_covariance) = _colours(fine), _colours(coarse.detach())
    return (mean - coarse_mean).square().mean() + 5 * (covariance - coarse_covariance).square().mean()


def _colours(image: Tensor) -> tuple[Tensor, Tensor]:
    """The mean colour ``(N, C)`` and the covariance ``(N, C, C)`` of each image's pixels."""
    pixels = (image.float() if image.dtype in (float16, bfloat16) else image).flatten(2)
    mean = pixels.mean(2, keepdim=True)
    return mean[:, :, 0], (pixels - mean) @ (pixels - mean).mT / pixels.shape[2]
