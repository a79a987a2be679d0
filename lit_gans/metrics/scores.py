"""FID and KID of given features, for all processes together, in float64."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance
from torchmetrics.utilities.distributed import gather_all_tensors


@dataclass(frozen=True)
class Statistics:
    """What the scores need of real images.

    Attributes:
        count: how many they are, ``()`` int64.
        total: the sum of their features, ``(D,)`` float64.
        outer: the sum of their features' outer products, ``(D, D)`` float64.
        features: of some of them, ``(M, D)``, for KID.
    """

    count: Tensor
    total: Tensor
    outer: Tensor
    features: Tensor

    @classmethod
    def of(cls, batches: Iterable[tuple[Tensor, Tensor]], num_features: int, device: torch.device) -> "Statistics":
        """Of features ``(N, D)`` in batches, each with a mask ``(N,)`` of those to keep."""
        count = torch.zeros((), dtype=torch.int64, device=device)
        total = torch.zeros(num_features, dtype=torch.float64, device=device)
        outer = torch.zeros(num_features, num_features, dtype=torch.float64, device=device)
        kept = [torch.zeros(0, num_features, device=device)]
        for features, keep in batches:
            kept.append(features[keep].float())
            features = features.double()
            count += len(features)
            total += features.sum(0)
            outer += features.T @ features
        return cls(count, total, outer, torch.cat(kept))

    def gathered(self) -> "Statistics":
        """Of all processes' images, on every process."""
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return self
        parts = {field.name: gather_all_tensors(getattr(self, field.name)) for field in fields(self)}
        features = torch.cat(parts.pop("features"))
        return Statistics(**{name: torch.stack(tensors).sum(0) for name, tensors in parts.items()}, features=features)

    def share(self, rank: int, world_size: int) -> "Statistics":
        """One part of ``world_size``, which are the whole together: the sums for rank 0, the features cut in order."""
        features = self.features.tensor_split(world_size)[rank]
        take = torch.clone if rank == 0 else torch.zeros_like
        return Statistics(take(self.count), take(self.total), take(self.outer), features)

    def to(self, device: torch.device) -> "Statistics":
        """The same on another device."""
        return Statistics(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


class Scores:
    """Frechet distance and kernel distance (MMD^2 with (x.y / D + 1)^3) of fake features from real ones.

    Heusel et al. 2017 (arXiv 1706.08500) and Binkowski et al. 2018 (arXiv 1801.01401), by torchmetrics. Every process
    gives a part of the reals and of the fakes, and gets the value for all.

    Args:
        real: this process's part, on the device where the processes exchange tensors.
        kid_subsets: KID is the mean over so many random subsets, drawn from the global random state; 0 for no KID.
        kid_subset_size: samples in each; at most as many as all processes' fakes, or kept reals.
    """

    def __init__(self, real: Statistics, *, kid_subsets: int = 10, kid_subset_size: int = 1000) -> None:
        self.device = real.total.device
        given = _Given(len(real.total))
        self.fid = FrechetInceptionDistance(feature=given, reset_real_features=False).to(self.device)
        self.fid.real_features_num_samples = real.count
        self.fid.real_features_sum, self.fid.real_features_cov_sum = real.total, real.outer
        self.kid: KernelInceptionDistance | None = None
        if kid_subsets:
            options: dict[str, Any] = {"subsets": kid_subsets, "subset_size": kid_subset_size}
            with warnings.catch_warnings(action="ignore"):  # says that it keeps all features
                self.kid = KernelInceptionDistance(feature=given, reset_real_features=False, **options).to(self.device)
            self.kid.real_features = [real.features.double()]

    def score(self, fake: Tensor) -> dict[str, float]:
        """``fid``, and ``kid`` if asked for, of this process's fake features ``(N, D)`` with the other processes'."""
        fake = fake.to(self.device).double()
        self.fid.reset()
        self.fid.update(fake, real=False)
        scores = {"fid": float(self.fid.compute())}
        if self.kid is not None:
            self.kid.reset()
            # At once: torchmetrics exchanges one tensor for each update, and hangs if processes made unequally many.
            self.kid.update(fake, real=False)
            scores["kid"] = float(self.kid.compute()[0])
        return scores


class _Given(nn.Module):
    """In an extractor's place: FID and KID get features, so that every image goes through the network once."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features
