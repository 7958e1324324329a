"""What a machine type offers to pods: GKE's reservations for the system taken off, accelerators counted.

Shapes follow Compute Engine's machine type pages; what GKE keeps for itself follows "Plan node sizes" of
GKE's documentation (CPU and memory in slices, 100 MiB for eviction).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Machine", "machine"]

_GIB_A_CPU = {"standard": 4.0, "highmem": 8.0, "highcpu": 1.0, "ultramem": 28.0}
_SHARED = {"e2-micro": (2, 1.0), "e2-small": (2, 2.0), "e2-medium": (2, 4.0)}
# vCPU, GiB of one GPU's share of the machine; `8g` is eight of them.
_PER_GPU: Mapping[str, tuple[float, float, str]] = {
    "a2-highgpu": (12, 85, "nvidia-tesla-a100"),
    "a2-megagpu": (6, 85, "nvidia-tesla-a100"),
    "a2-ultragpu": (12, 170, "nvidia-a100-80gb"),
    "a3-highgpu": (26, 234, "nvidia-h100-80gb"),
    "a3-megagpu": (26, 234, "nvidia-h100-mega-80gb"),
    "a3-ultragpu": (28, 369, "nvidia-h200-141gb"),
    "a4-highgpu": (28, 496, "nvidia-b200"),
    "a4x-highgpu": (35, 221, "nvidia-gb200"),
}
_G2_GPUS = {4: 1, 8: 1, 12: 1, 16: 1, 32: 1, 24: 2, 48: 4, 96: 8}
# Chips → vCPU, GiB of a TPU host.
_TPU: Mapping[str, tuple[str, Mapping[int, tuple[int, int]]]] = {
    "ct4p-hightpu": ("tpu-v4-podslice", {4: (240, 407)}),
    "ct5lp-hightpu": ("tpu-v5-lite-podslice", {1: (24, 48), 4: (112, 192), 8: (224, 384)}),
    "ct5p-hightpu": ("tpu-v5p-slice", {1: (52, 112), 2: (104, 224), 4: (208, 448)}),
    "ct6e-standard": ("tpu-v6e-slice", {1: (44, 176), 4: (180, 720), 8: (180, 1440)}),
    "tpu7x-standard": ("tpu7x", {1: (56, 240), 4: (224, 960)}),
}
_MEMORY_KEPT = ((4.0, 0.25), (4.0, 0.20), (8.0, 0.10), (112.0, 0.06))  # GiB of a slice, share that GKE keeps
_MEMORY_KEPT_BEYOND = 0.02
_EVICTION_MIB = 100


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine type. CPU in thousandths, memory in MiB, both what pods may have."""

    name: str
    cpus: float
    cpu_milli: int
    memory_mib: int
    gpus: int = 0
    chips: int = 0
    accelerator: str = ""

    @property
    def family(self) -> str:
        return self.name.split("-")[0]


def machine(name: str, gpus: int = 0, accelerator: str = "") -> Machine | None:
    """The machine called `name`, with `gpus` attached to an N1; None when there is no such type."""
    if name in _SHARED:
        cpus, gib = _SHARED[name]
        return _machine(name, cpus, gib, gpus, 0, accelerator)
    if found := re.fullmatch(r"([a-z]\w*)-custom-(\d+)-(\d+)", name):
        return _machine(name, int(found[2]), int(found[3]) / 1024, gpus, 0, accelerator)
    found = re.fullmatch(r"([a-z]\w*-[a-z]+)-(\d+)([gt]?)(?:-\w+)?", name)
    if found is None:
        return None
    kind, count, unit = found[1], int(found[2]), found[3]
    if kind in _PER_GPU and unit == "g":
        cpus_each, gib_each, implied = _PER_GPU[kind]
        return _machine(name, cpus_each * count, gib_each * count, count, 0, implied)
    if kind in _TPU and unit == "t":
        implied, shapes = _TPU[kind]
        if count not in shapes:
            return None
        return _machine(name, *shapes[count], 0, count, implied)
    family, _, shape = kind.partition("-")
    if unit or shape not in _GIB_A_CPU or count < 1:
        return None
    if family == "g2":
        if count not in _G2_GPUS:
            return None
        return _machine(name, count, count * 4, _G2_GPUS[count], 0, "nvidia-l4")
    if family == "g4":
        return _machine(name, count, count * 3.75, max(1, count // 48), 0, "nvidia-rtx-pro-6000")
    gib = count * (3.75 if family == "n1" and shape == "standard" else _GIB_A_CPU[shape])
    return _machine(name, count, gib, gpus, 0, accelerator)


def _machine(name: str, cpus: float, gib: float, gpus: int, chips: int, accelerator: str) -> Machine:
    return Machine(name, cpus, _cpu_milli(cpus), _memory_mib(gib), gpus, chips, accelerator)


def _cpu_milli(cpus: float) -> int:
    kept = 60 * min(cpus, 1) + 10 * min(max(cpus - 1, 0), 1) + 5 * min(max(cpus - 2, 0), 2) + 2.5 * max(cpus - 4, 0)
    return int(cpus * 1000 - kept)


def _memory_mib(gib: float) -> int:
    kept, rest = 0.0, gib
    for size, share in _MEMORY_KEPT:
        kept += min(rest, size) * share
        rest = max(rest - size, 0.0)
    return int((gib - kept - rest * _MEMORY_KEPT_BEYOND) * 1024) - _EVICTION_MIB
