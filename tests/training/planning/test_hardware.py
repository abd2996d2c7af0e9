"""The list of GPUs, and what is measured of this machine."""

from itertools import pairwise

import psutil
import pytest

from bookpricer.training.errors import InputError
from bookpricer.training.planning.hardware import GPUS, find_gpu, gpu_at_hand, main_memory, measure_cpu


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("T4", "t4"),
        ("NVIDIA Tesla T4", "t4"),
        ("A100", "a100-40gb"),
        ("a100 80GB", "a100-80gb"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("3090", "rtx-3090"),
        ("H100", "h100"),
        ("A10", "a10g"),
    ],
)
def test_gpus_are_found_by_the_names_people_use(name, found):
    assert find_gpu(name) is GPUS[found]


def test_an_unknown_gpu_is_one_sentence_with_the_list():
    with pytest.raises(InputError, match=r"'abacus'.*t4.*h100"):
        find_gpu("abacus")


def test_the_list_is_sorted_by_memory_and_plausible():
    sizes = [gpu.memory for gpu in GPUS.values()]
    assert all(after > 0.95 * before for before, after in pairwise(sizes))
    assert [name for name, gpu in GPUS.items() if not gpu.bfloat16] == ["t4"]
    assert all(10 < gpu.tflops < 2500 and 1e11 < gpu.bandwidth < 1e13 for gpu in GPUS.values())


def test_this_machine():
    assert 0 < main_memory() <= psutil.virtual_memory().total
    here = gpu_at_hand()
    assert here is None or here.memory > 0
    speed = measure_cpu(64, 64, 128)
    assert speed.flops > 0 and speed.elements > 0 and speed.dequantized > 0
    assert measure_cpu(64, 64, 128, quantized=False).dequantized == float("inf")
