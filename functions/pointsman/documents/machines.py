"""Machine types of Google Cloud: which accelerators a node has, what it costs, which TPU shapes fit one host.

A data table with its date, and the few questions that documents ask of it. What the table does not know is
unknown, never wrong: machine types appear faster than releases of pointsman.
Sources: Google's pages "GPU machine types", "Plan TPUs in GKE", "Compute Engine pricing" and "Cloud TPU pricing".
"""

import re
from dataclasses import dataclass
from math import prod
from typing import Final

from pointsman.documents.pool import Candidate

__all__ = [
    "GPU",
    "PRICED_AT",
    "TPU",
    "Offer",
    "Tpu",
    "attachable",
    "cpus",
    "family",
    "larger",
    "offer",
    "price_per_hour",
    "takes_no_accelerator",
    "tpu",
]

PRICED_AT: Final = "2026-08-03, us-central1"
"""Day and region of the list prices below, in USD an hour."""

GPU: Final = "nvidia.com/gpu"
TPU: Final = "google.com/tpu"

# machine type → accelerator, how many, price on demand, price as Spot; a price that is not published is None.
_GPU_MACHINES: Final[dict[str, tuple[str, int, float | None, float | None]]] = {
    "g2-standard-4": ("nvidia-l4", 1, 0.707, 0.397),
    "g2-standard-8": ("nvidia-l4", 1, 0.854, 0.480),
    "g2-standard-12": ("nvidia-l4", 1, 1.000, 0.562),
    "g2-standard-16": ("nvidia-l4", 1, 1.147, 0.645),
    "g2-standard-32": ("nvidia-l4", 1, 1.734, 0.975),
    "g2-standard-24": ("nvidia-l4", 2, 2.001, 1.125),
    "g2-standard-48": ("nvidia-l4", 4, 4.002, 2.250),
    "g2-standard-96": ("nvidia-l4", 8, 8.003, 4.499),
    "g4-standard-48": ("nvidia-rtx-pro-6000", 1, 4.500, 1.800),
    "g4-standard-96": ("nvidia-rtx-pro-6000", 2, 9.000, 3.600),
    "g4-standard-192": ("nvidia-rtx-pro-6000", 4, 18.000, 7.199),
    "g4-standard-384": ("nvidia-rtx-pro-6000", 8, 35.999, 14.399),
    "a2-highgpu-1g": ("nvidia-tesla-a100", 1, 3.673, 1.928),
    "a2-highgpu-2g": ("nvidia-tesla-a100", 2, 7.347, 3.856),
    "a2-highgpu-4g": ("nvidia-tesla-a100", 4, 14.694, 7.712),
    "a2-highgpu-8g": ("nvidia-tesla-a100", 8, 29.387, 15.424),
    "a2-megagpu-16g": ("nvidia-tesla-a100", 16, 55.740, 29.256),
    "a2-ultragpu-1g": ("nvidia-a100-80gb", 1, 5.069, 2.760),
    "a2-ultragpu-2g": ("nvidia-a100-80gb", 2, 10.138, 5.519),
    "a2-ultragpu-4g": ("nvidia-a100-80gb", 4, 20.275, 11.038),
    "a2-ultragpu-8g": ("nvidia-a100-80gb", 8, 40.550, 22.076),
    "a3-highgpu-1g": ("nvidia-h100-80gb", 1, 11.061, 6.326),
    "a3-highgpu-2g": ("nvidia-h100-80gb", 2, 22.122, 12.652),
    "a3-highgpu-4g": ("nvidia-h100-80gb", 4, 44.245, 25.305),
    "a3-highgpu-8g": ("nvidia-h100-80gb", 8, 88.490, 50.610),
    "a3-megagpu-8g": ("nvidia-h100-mega-80gb", 8, 118.237, 46.244),
    "a3-ultragpu-8g": ("nvidia-h200-141gb", 8, None, None),
    "a4-highgpu-8g": ("nvidia-b200", 8, None, None),
    "a4x-highgpu-4g": ("nvidia-gb200", 4, None, None),
    "a4x-highgpu-4g-nolssd": ("nvidia-gb200", 4, None, None),
}

# accelerators that are attached to N1 machines → price each on demand, as Spot
_N1_GPUS: Final[dict[str, tuple[float, float]]] = {
    "nvidia-tesla-t4": (0.35, 0.11),
    "nvidia-tesla-p4": (0.60, 0.216),
    "nvidia-tesla-v100": (2.48, 0.74),
    "nvidia-tesla-p100": (1.46, 0.43),
}


@dataclass(frozen=True, slots=True)
class Tpu:
    """A TPU machine: GKE's label, chips of a node, shapes that fit one host, price of a chip-hour."""

    accelerator: str
    chips: int
    shapes: tuple[str, ...]
    on_demand: float | None = None
    spot: float | None = None

    def hosts(self, topology: str) -> float:
        """How many hosts a topology spans; below 1 or broken where it is no shape of this machine."""
        return prod(int(side) for side in topology.split("x")) / self.chips


_TPU_MACHINES: Final[dict[str, Tpu]] = {
    "ct4p-hightpu-4t": Tpu("tpu-v4-podslice", 4, ("2x2x1",)),
    "ct5lp-hightpu-1t": Tpu("tpu-v5-lite-podslice", 1, ("1x1",), 1.20),
    "ct5lp-hightpu-4t": Tpu("tpu-v5-lite-podslice", 4, ("2x2",), 1.20),
    "ct5lp-hightpu-8t": Tpu("tpu-v5-lite-podslice", 8, ("2x4",), 1.20),
    "ct5p-hightpu-1t": Tpu("tpu-v5p-slice", 1, ("1x1x1",), 4.20, 0.93),
    "ct5p-hightpu-2t": Tpu("tpu-v5p-slice", 2, ("1x2x1", "2x1x1"), 4.20, 0.93),
    "ct5p-hightpu-4t": Tpu("tpu-v5p-slice", 4, ("2x2x1",), 4.20, 0.93),
    "ct6e-standard-1t": Tpu("tpu-v6e-slice", 1, ("1x1",), 2.70, 0.57),
    "ct6e-standard-4t": Tpu("tpu-v6e-slice", 4, ("2x2",), 2.70, 0.57),
    "ct6e-standard-8t": Tpu("tpu-v6e-slice", 8, ("2x4",), 2.70, 0.57),
    "tpu7x-standard-1t": Tpu("tpu7x", 1, ("1x1x1",)),
    "tpu7x-standard-4t": Tpu("tpu7x", 4, ("2x2x1",)),
}

# series without accelerators → price of a vCPU with its memory on demand, as Spot
_CPU_PRICES: Final[dict[str, tuple[float, float]]] = {
    "e2-standard": (0.033503, 0.01340),
    "e2-highmem": (0.045196, 0.01808),
    "e2-highcpu": (0.024735, 0.00989),
    "n1-standard": (0.047500, 0.01675),
    "n1-highmem": (0.059200, 0.02086),
    "n1-highcpu": (0.035450, 0.01250),
    "n2-standard": (0.048557, 0.01942),
    "n2-highmem": (0.065500, 0.02620),
    "n2-highcpu": (0.035850, 0.01434),
}
_CPU_FAMILIES: Final = {
    *("e2", "n1", "n2", "n2d", "n4", "c2", "c2d", "c3", "c3d", "c4", "c4a", "c4d", "t2a", "t2d"),
    *("m1", "m2", "m3", "m4", "x4", "h3", "h4d", "z3"),
}
_SIZE = re.compile(r"^([a-z0-9]+-(?:standard|highmem|highcpu))-([0-9]+)$")


@dataclass(frozen=True, slots=True)
class Offer:
    """What one node of a candidate has: so many of a resource; no resource is a CPU node. `label` is GKE's."""

    resource: str | None
    count: int | None
    label: str | None = None


def tpu(machine_type: str) -> Tpu | None:
    """The TPU machine of this type, if the table has it."""
    return _TPU_MACHINES.get(machine_type)


def family(machine_type: str) -> str:
    """`g2` of `g2-standard-8`."""
    return machine_type.partition("-")[0]


def attachable(accelerator: str) -> bool:
    """Whether the accelerator may be attached to an N1 machine, as far as the table knows."""
    return accelerator in _N1_GPUS or accelerator not in {row[0] for row in _GPU_MACHINES.values()}


def takes_no_accelerator(machine_type: str) -> bool:
    """Whether machines of this family are known to have none, and to take none."""
    return family(machine_type) in _CPU_FAMILIES - {"n1"}


def offer(candidate: Candidate) -> Offer | None:
    """What a node of the candidate has; None where the table does not know (a node pool of somebody else)."""
    machine = candidate.machine_type
    if machine is None:
        return None
    if machine in _GPU_MACHINES:
        label, count, _, _ = _GPU_MACHINES[machine]
        return Offer(GPU, count, label)
    if machine in _TPU_MACHINES:
        return Offer(TPU, _TPU_MACHINES[machine].chips, _TPU_MACHINES[machine].accelerator)
    if candidate.accelerator is None:
        return Offer(None, 0) if family(machine) in _CPU_FAMILIES else None
    resource = TPU if candidate.accelerator.startswith("tpu") else GPU
    return Offer(resource, candidate.accelerator_count, candidate.accelerator)


def larger(accelerator: str | None, count: int) -> str | None:
    """The smallest machine type that has at least so many of the accelerator."""
    fitting = [
        (has, name) for name, (label, has, _, _) in _GPU_MACHINES.items() if label == accelerator and has >= count
    ]
    return min(fitting)[1] if fitting else None


def cpus(machine_type: str) -> int | None:
    """vCPUs of a machine type whose name tells them."""
    match = _SIZE.match(machine_type)
    return int(match.group(2)) if match else None


def price_per_hour(candidate: Candidate) -> float | None:
    """List price of one node in USD an hour, disks and fees aside; None where it is not known.

    A reservation and flex-start count at the price on demand: the highest that they can cost.
    """
    machine = candidate.machine_type
    if machine is None:
        return None
    index = 1 if candidate.provisioning == "Spot" else 0
    if machine in _GPU_MACHINES:
        return _GPU_MACHINES[machine][2:][index]
    if machine in _TPU_MACHINES:
        tpu_machine = _TPU_MACHINES[machine]
        chip = (tpu_machine.on_demand, tpu_machine.spot)[index]
        return None if chip is None else chip * tpu_machine.chips
    match = _SIZE.match(machine)
    if not match or match.group(1) not in _CPU_PRICES:
        return None
    price = _CPU_PRICES[match.group(1)][index] * int(match.group(2))
    if candidate.accelerator is None:
        return price
    if candidate.accelerator not in _N1_GPUS:
        return None
    return price + _N1_GPUS[candidate.accelerator][index] * (candidate.accelerator_count or 1)
