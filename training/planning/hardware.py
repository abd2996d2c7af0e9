"""What a plan must know of the machines that train: memory and speed of well-known GPUs, and of the CPU at hand.

The GPUs' figures are their makers': dense tensor-core rates in bfloat16 (float16 where a GPU has none), without the
sparsity that data sheets like to include. The CPU is measured, for a moment, on work like a training step's.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import InputError

MIB = 2**20


@dataclass(frozen=True)
class Gpu:
    """One kind of GPU.

    Args:
        name: as `--gpu` takes it.
        memory: bytes that the driver reports.
        tflops: dense 16-bit tensor-core rate with 32-bit accumulation, in 10¹² operations a second.
        bandwidth: of its memory, in bytes a second.
        bfloat16: whether it computes in bfloat16.
    """

    name: str
    memory: int
    tflops: float
    bandwidth: float
    bfloat16: bool = True


# NVIDIA's data sheets and architecture papers (Turing, Ampere GA102 and GA100, Ada, Hopper), AWS's for the A10G; memory
# as `nvidia-smi` shows it. Smallest first: the order in which a plan looks for one that fits.
GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("t4", 15_360 * MIB, 65, 320e9, bfloat16=False),
        Gpu("l4", 23_034 * MIB, 121, 300e9),
        Gpu("a10g", 23_028 * MIB, 70, 600e9),
        Gpu("rtx-3090", 24_576 * MIB, 71, 936e9),
        Gpu("rtx-4090", 24_564 * MIB, 165, 1008e9),
        Gpu("a100-40gb", 40_960 * MIB, 312, 1555e9),
        Gpu("l40s", 46_068 * MIB, 362, 864e9),
        Gpu("a100-80gb", 81_920 * MIB, 312, 2039e9),
        Gpu("h100", 81_559 * MIB, 989, 3350e9),
        Gpu("h200", 143_771 * MIB, 989, 4800e9),
    )
}
_ALIASES = {
    "a10": "a10g", "a100": "a100-40gb", "a100-40": "a100-40gb", "a100-80": "a100-80gb", "3090": "rtx-3090",
    "4090": "rtx-4090", "rtx3090": "rtx-3090", "rtx4090": "rtx-4090", "tesla-t4": "t4", "h100-80gb": "h100",
}  # fmt: skip


@dataclass(frozen=True)
class CpuSpeed:
    """What this machine's CPU does in a second, in float32, with the threads that torch uses now.

    Args:
        flops: operations of a matrix product.
        elements: elements of a large tensor that an operation on each reads and writes.
        dequantized: NF4 weights turned back into numbers.
    """

    flops: float
    elements: float
    dequantized: float


def find_gpu(name: str) -> Gpu:
    """The GPU of a name such as `a100-80gb`, `A100 80GB` or `NVIDIA H100`.

    Raises:
        InputError: none that is known.
    """
    key = re.sub(r"[\s_]+", "-", name.strip().lower())
    key = re.sub(r"^(nvidia|geforce|tesla)-", "", re.sub(r"^nvidia-", "", key))
    gpu = GPUS.get(_ALIASES.get(key, key))
    if gpu is None:
        raise InputError(f"there is no GPU {name!r} on the list; choose one of {', '.join(GPUS)}, or cpu")
    return gpu


def gpu_at_hand() -> Gpu | None:
    """The first CUDA device of this machine, with its real memory; None without one."""
    import torch

    if not torch.cuda.is_available():
        return None
    properties = torch.cuda.get_device_properties(0)
    words = set(re.split(r"[\s-]+", properties.name.lower()))
    known = [gpu for gpu in GPUS.values() if gpu.name.removeprefix("rtx-").split("-")[0] in words]
    near = min(known, key=lambda gpu: abs(gpu.memory - properties.total_memory), default=None)
    return Gpu(
        name=properties.name,
        memory=properties.total_memory,
        tflops=near.tflops if near else 0.0,
        bandwidth=near.bandwidth if near else 0.0,
        bfloat16=properties.major >= 8,
    )


def main_memory() -> int:
    """Bytes of this machine's memory, or of what its container may use where that is less."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # such as Windows, which has no sysconf
        return 0
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path, encoding="ascii") as file:  # noqa: PTH123 — not a file of ours
                total = min(total, int(file.read()))
        except (OSError, ValueError):
            continue
    return total


def measure_cpu(tokens: int, width: int, inner: int, quantized: bool = True) -> CpuSpeed:
    """The speed of this CPU on matrices of the size that a model's layers have.

    Args:
        tokens: of one batch.
        width: of the model's layers.
        inner: of their feed-forward part.
        quantized: whether weights are dequantized at all; not measured otherwise.
    """
    import torch

    tokens, width, inner = min(tokens, 2048), min(width, 4096), min(inner, 4096)
    left, right = torch.randn(tokens, width), torch.randn(width, inner)
    large = torch.randn(4_000_000)
    flops = 2 * tokens * width * inner / _seconds(lambda: left @ right)
    elements = large.numel() / _seconds(lambda: large * 1.5)
    dequantized = float("inf")
    if quantized:
        from bitsandbytes.functional import dequantize_4bit, quantize_4bit

        packed, state = quantize_4bit(right, quant_type="nf4", compress_statistics=True)
        dequantized = right.numel() / _seconds(lambda: dequantize_4bit(packed, state))
    return CpuSpeed(flops, elements, dequantized)


def _seconds(work: Callable[[], object], enough: float = 0.1) -> float:
    """Seconds of one turn, by this thread's processor time: others that use the machine meanwhile do not count."""
    work()
    start, turns, used = time.thread_time(), 0, 0.0
    while turns < 3 or used < enough:
        work()
        turns += 1
        used = time.thread_time() - start
    return used / turns
