"""What the figures of a benchmark depend on."""

import datetime
import os
import platform
from pathlib import Path

import lightning
import torch


def machine() -> str:
    """Processor, cores, flags, threads, load, versions and the date, in a line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    facts = {key.strip(): value.strip() for key, value in (line.split(":", 1) for line in lines if ":" in line)}
    flags = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in facts.get("flags", "").split()]
    gpu = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    load = [f"load {os.getloadavg()[0]:.1f}"] if hasattr(os, "getloadavg") else []
    versions = [f"torch {torch.__version__}", f"lightning {lightning.__version__}", str(datetime.date.today())]
    processor = facts.get("model name", platform.processor())
    cores = [f"{os.cpu_count()} CPUs", f"flags {' '.join(flags) or 'none'}", f"{torch.get_num_threads()} threads"]
    return ", ".join([processor, *gpu, *cores, *load, *versions])
