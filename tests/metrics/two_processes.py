"""Run as a script: scores the same generator on DEVICES processes, first without and then with the reals on disk.

usage: python -m tests.metrics.two_processes DEVICES FOLDER
"""

import os
import sys
from pathlib import Path

import torch

from lit_gans.callbacks.metrics import GenerativeMetrics
from lit_gans.data import Digits
from lit_gans.models import DCGAN
from tests.conftest import TINY, trainer

# Nothing divides by two: each process has its own number of batches, of reals and of what KID keeps.
OPTIONS = {"num_samples": 51, "batch_size": 8, "num_real": 101, "kid_subset_size": 30, "kid_subsets": 5}


def main(devices: int, folder: Path) -> None:
    rank = int(os.environ.get("LOCAL_RANK", 0))
    results = {}
    for run in ("measured", "kept"):
        callback = GenerativeMetrics(every=1, cache_dir=str(folder / f"cache-{devices}"), **OPTIONS)
        still = {"name": "sgd", "lr": 0.0}
        model = DCGAN(**TINY, generator_norm="none", generator_optimizer=still, discriminator_optimizer=still)
        strategy = "ddp" if devices > 1 else "auto"
        runner = trainer(
            devices=devices, strategy=strategy, max_steps=2, callbacks=[callback], use_distributed_sampler=False
        )
        found: dict[str, float] = {}
        model.publish = found.update  # callback_metrics are float32
        runner.fit(model, datamodule=Digits(image_size=16, batch_size=8, num_workers=0))
        results[run] = dict(found)
        results[run]["real"] = int(callback.scores.fid.real_features_num_samples)
        results[run]["kept"] = sum(len(part) for part in callback.scores.kid.real_features)
    torch.save(results, folder / f"{devices}-{rank}.pt")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
