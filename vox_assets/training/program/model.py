"""Loads the base in NF4 with a new adapter, and plans what of it fits into the memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vox_assets.compute.memory import ACTIVATION_SHARE, free_bytes, layer_bytes
from vox_assets.compute.models import preferred_dtype
from vox_assets.compute.nll import add_answer_nll
from vox_assets.compute.tokens import TokenRow
from vox_assets.training.adapter import assemble
from vox_assets.training.plan.spec import TrainingSpec
from vox_assets.training.program.blocks import rows_mix
from vox_assets.training.program.ranks import Ranks
from vox_assets.training.program.reports import Log

#: Bytes per trained weight for its gradient and the two moments of AdamW, in float32.
OPTIMISER_BYTES = 12


@dataclass
class Layout:
    """How a rank reads its blocks: number at once, rows packed or apart, gradient checkpointing."""

    micro: int
    checkpointing: bool
    packed: bool
    pad_id: int
    #: Tokens of a block, for the message of an error.
    block: int

    def __str__(self) -> str:
        rows = "packed" if self.packed else "one row per line"
        kept = ", gradient checkpointing" if self.checkpointing else ""
        return f"micro-batches of {self.micro} blocks, {rows}{kept}"

    def shrink(self, model: Any, detail: str) -> None:
        """Halve the micro-batch; at one block, turn on gradient checkpointing.

        Raises MemoryError if neither is left.
        """
        if self.micro > 1:
            self.micro = (self.micro + 1) // 2
        elif not self.checkpointing:
            self.checkpointing = True
            checkpoint_gradients(model)
        else:
            raise MemoryError(
                f"a block of {self.block} tokens does not fit into the memory with gradient "
                f"checkpointing ({detail}): lower training.block_tokens or mix.context"
            )


class _RoundedLinear(torch.nn.Linear):
    """Multiplies in the dtype of its input, while the weights stay in float32."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(input, self.weight.to(input.dtype))


def make_model(spec: TrainingSpec, ranks: Ranks) -> Any:
    """Load the base of a spec in NF4 on the device of this rank, with a new adapter in float32.

    Moments of AdamW in bfloat16 cannot decay: with a second beta of 0.999, a step is less than half
    of the smallest difference. The layers still multiply in the dtype of the base.
    """
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import LoraLayer
    from transformers import AutoModelForCausalLM

    dtype = getattr(torch, preferred_dtype())
    base = AutoModelForCausalLM.from_pretrained(
        spec.base_path,
        dtype=dtype,
        quantization_config=assemble.quantisation(dtype),
        use_safetensors=True,
        **({"device_map": {"": ranks.device}} if ranks.device.type == "cuda" else {}),
    )
    base.config.use_cache = False
    # The adapter starts equal on every rank and in every run.
    torch.manual_seed(spec.training.seed)
    model = get_peft_model(
        base,
        LoraConfig(
            r=spec.rank.rank,
            lora_alpha=spec.rank.alpha,
            target_modules="all-linear",
            lora_dropout=0.0,
            bias="none",
            task_type="CAUSAL_LM",
        ),
    )
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.cast_input_dtype_enabled = False
            for part in (*module.lora_A.values(), *module.lora_B.values()):
                if type(part) is torch.nn.Linear:
                    part.__class__ = _RoundedLinear
    add_answer_nll(model.get_base_model())
    return model


def plan_layout(
    spec: TrainingSpec,
    model: Any,
    rows: Sequence[TokenRow],
    block: int,
    pad_id: int,
    ranks: Ranks,
    log: Log,
) -> Layout:
    """Plan by the free memory, now that the base is loaded, and try packing on one pair of rows."""
    mixing = rows_mix(model, rows)
    packed = not ranks.any(mixing is not None)
    if not packed:
        log(f"rows are not packed: {mixing or 'another rank found that they mix'}")
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    memory = free_bytes(ranks.device) - OPTIMISER_BYTES * trained
    share = -(-spec.training.blocks_per_step // ranks.count)
    micro, checkpointing = fitting(model.config, memory, block, share)
    layout = Layout(micro, checkpointing, packed, pad_id, block)
    if checkpointing:
        checkpoint_gradients(model)
    return layout


def fitting(config: Any, memory: int, block: int, blocks: int) -> tuple[int, bool]:
    """Return how many of `blocks` fit into `memory` at once, and whether to checkpoint gradients.

    Checkpointing trades time for memory, so it is used only where not even one block fits without.
    """
    text = config.get_text_config()
    layer = layer_bytes(config)
    room = ACTIVATION_SHARE * memory
    without = int(room // (text.num_hidden_layers * layer * block))
    if without >= 1:
        return min(blocks, without), False
    # The inputs of all layers, and the activations of one.
    per_token = text.num_hidden_layers * 2 * text.hidden_size + layer
    return max(1, min(blocks, int(room // (per_token * block)))), True


def checkpoint_gradients(model: Any) -> None:
    """Recompute activations in the backward pass instead of keeping them."""
    model.get_base_model().gradient_checkpointing_enable({"use_reentrant": False})
