"""Measures the free memory of a device, and estimates what the layers of a model need per token.

Batches of training, scoring and generation follow from these figures. The module imports torch in
its functions, so that it loads without it.
"""

from __future__ import annotations

import os
from typing import Any

#: Share of the free memory that the activations of a batch may take.
ACTIVATION_SHARE = 0.5

#: Tokens of a batch without a gradient on a CPU, where larger batches are no faster.
CPU_BATCH_TOKENS = 2048
#: Largest number of tokens of such a batch on a GPU; more do not use the card better.
GPU_BATCH_TOKENS = 32768


def free_bytes(device: Any) -> int:
    """Return the bytes that this process can still allocate on `device`.

    The processes of one machine share its main memory equally.
    """
    import torch

    if torch.device(device).type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + cached)
    import psutil

    return int(psutil.virtual_memory().available) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def layer_bytes(config: Any) -> int:
    """Estimate the bytes per token that one layer keeps for the backward pass, in bfloat16.

    Measured with LoRA on every linear layer of SmolLM2-135M: 1.0 GB per 1,024 tokens.
    """
    text = config.get_text_config()
    intermediate = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    if isinstance(intermediate, (list, tuple)):
        intermediate = max(intermediate)
    return 2 * (12 * int(text.hidden_size) + 6 * int(intermediate))


def batch_tokens(config: Any, device: Any) -> int:
    """Return how many padded tokens one batch without a gradient may have on `device`.

    Powers of two, so that a few bytes more or less of free memory do not change the batches.
    """
    import torch

    if torch.device(device).type != "cuda":
        return CPU_BATCH_TOKENS
    return fitting_tokens(config, free_bytes(device))


def fitting_tokens(config: Any, memory: int) -> int:
    """Return how many padded tokens without a gradient fit into the free memory of a GPU."""
    # The activations of one layer are alive at a time.
    fitting = int(ACTIVATION_SHARE * memory / layer_bytes(config))
    return max(CPU_BATCH_TOKENS, min(GPU_BATCH_TOKENS, 1 << max(fitting, 1).bit_length() - 1))
