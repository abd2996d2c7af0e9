"""How long a training run takes: the operations and the memory traffic of a batch, over what a device does in a second.

Operations, for N parameters of the linear layers and a token (2 for a multiplication and an addition; Kaplan et al.,
arXiv 2001.08361): 2N forward, 2N for the gradients of what flows through them, and 2N for those of the weights, which
frozen ones do not need, so 4N with LoRA and 6N in full tuning. Checkpointing does the forward part again, all but each
block's last product, whose result nothing needs: about 5.5N and 7.5N.

Evaluation, calibration and baselines are not counted.
"""

from __future__ import annotations

from .hardware import CpuSpeed, Gpu
from .memory import FLOAT32, Batch, layer_activations
from .model_shape import ModelShape

# Of a GPU's dense rate that matrix products of a few hundred to a few thousand rows reach, and of its memory's.
UTILISATION, BANDWIDTH_SHARE = 0.4, 0.8
# Seconds of a block and pass in which Python and the driver start its kernels, some hundred with an adapter: what a GPU
# waits for when a batch is too small to keep it busy.
LAUNCH = 1.5e-3
# Of the CPU's rate on a matrix product of its own that those within a training step reach.
_CPU_UTILISATION = 0.8
# Operations on each element, forward and backward: of a tile of logits in TRL's head without Triton; of logits in the
# project's own loss, most of which are no answer's; of what a block keeps; and of a weight in an optimizer's step.
# Exponentials count double.
_TILE_OPERATIONS, _LOGIT_OPERATIONS, _KEPT_OPERATIONS, _STEP_OPERATIONS = 32, 6, 6, 12


def operations(shape: ModelShape, batch: Batch) -> float:
    """Floating-point operations of one batch, forward and backward."""
    again = int(batch.checkpointing)
    tokens = batch.all_tokens
    last = shape.layers * shape.width * shape.inner
    if any(layer.reads == "feed-forward inner" for layer in shape.lora):
        last = 0  # an adapter on it needs what comes after
    body = 2.0 * tokens * (shape.linear * (2 + int(shape.full)) + (shape.linear - last) * again)
    scores = 4.0 * shape.queries * batch.tokens * shape.layers * tokens * (3 + again)
    adapter = 0.0 if shape.full else 2.0 * shape.trainable * tokens * (3 + again)
    # TRL's makes its tiles once more for the backward pass.
    products = (2 if batch.own_loss else 3) + int(shape.head_trained)
    head = 2.0 * shape.vocabulary * shape.width * batch.scored * products
    return body + scores + adapter + head


def gpu_seconds(shape: ModelShape, batch: Batch, gpu: Gpu) -> float:
    """Seconds of one batch on a GPU: as long as computing and unpacking 4-bit weights take, or starting the kernels."""
    passes = 2 + int(batch.checkpointing)
    bandwidth = gpu.bandwidth * BANDWIDTH_SHARE
    reading = shape.linear * batch.bytes * (passes + int(shape.full)) / bandwidth
    computing = max(operations(shape, batch) / (gpu.tflops * 1e12 * UTILISATION), reading)
    unpacking = sum(shape.quantized) * (0.53 + batch.bytes) * passes / bandwidth
    return max(computing + unpacking, shape.layers * passes * LAUNCH)


def cpu_seconds(shape: ModelShape, batch: Batch, speed: CpuSpeed) -> float:
    """Seconds of one batch on a CPU: matrix products, unpacking 4-bit weights, and what is done element by element."""
    passes = 2 + int(batch.checkpointing)
    kept = layer_activations(shape, batch) / FLOAT32 * shape.layers * (passes - 1)
    on_logits = _LOGIT_OPERATIONS if batch.own_loss else _TILE_OPERATIONS
    elements = kept * _KEPT_OPERATIONS + float(batch.scored) * shape.vocabulary * on_logits
    return (
        operations(shape, batch) / (speed.flops * _CPU_UTILISATION)
        + sum(shape.quantized) * passes / speed.dequantized
        + elements / speed.elements
    )


def cpu_step_seconds(shape: ModelShape, speed: CpuSpeed) -> float:
    """Seconds of an optimizer's step on a CPU."""
    return shape.trainable * _STEP_OPERATIONS / speed.elements
