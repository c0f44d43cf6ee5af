"""Turns packed blocks into the tensors of a batch, and finds models whose packed rows mix.

Layers with a state over time (recurrent, convolutional) read across the border between two rows
of a block. `rows_mix` finds that out on one pair of rows; such a model gets every row as a
sequence of its own, in the same blocks and steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from vox_assets.compute.nll import evaluating
from vox_assets.compute.tokens import MASKED, TokenRow

#: Tokens of each of the two rows on which packing is tried.
PROBE_TOKENS = 48
#: Largest difference of the mean NLL (nats) of a row alone and of the row in a block, as far as
#: rounding in bfloat16 explains it.
MIXING_TOLERANCE = 0.05


def packed_batch(blocks: Sequence[Mapping[str, Any]], pad_id: int) -> dict[str, torch.Tensor]:
    """Stack blocks, one per line, with positions that restart at every row.

    From the positions, transformers builds a mask in which rows do not see one another. TRL's
    padding-free collator concatenates all blocks, so that attention costs the square of the total
    length.
    """
    longest = max(len(block["input_ids"]) for block in blocks)
    shape = (len(blocks), longest)
    ids = torch.full(shape, pad_id)
    labels = torch.full(shape, MASKED)
    positions = torch.zeros(shape, dtype=torch.long)
    for index, block in enumerate(blocks):
        size = len(block["input_ids"])
        ids[index, :size] = torch.tensor(block["input_ids"])
        labels[index, :size] = torch.tensor(block["labels"])
        # Padding counts as another row, so no token attends to it.
        lengths = [*block["seq_lengths"], longest - size]
        positions[index] = torch.cat([torch.arange(length) for length in lengths])
    # Mask the first token of a row: it would be predicted from the previous row.
    labels[positions == 0] = MASKED
    return {"input_ids": ids, "labels": labels, "position_ids": positions}


def separate_batch(blocks: Sequence[Mapping[str, Any]], pad_id: int) -> dict[str, torch.Tensor]:
    """Stack the rows of blocks, one per line, padded on the right."""
    rows = []
    for block in blocks:
        start = 0
        for length in block["seq_lengths"]:
            part = slice(start, start + length)
            rows.append((block["input_ids"][part], block["labels"][part]))
            start += length
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.full((len(rows), longest), pad_id)
    labels = torch.full((len(rows), longest), MASKED)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for index, (tokens, learned) in enumerate(rows):
        ids[index, : len(tokens)] = torch.tensor(tokens)
        labels[index, 1 : len(tokens)] = torch.tensor(learned[1:])
        mask[index, : len(tokens)] = 1
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


def as_block(rows: Sequence[TokenRow]) -> dict[str, list[int]]:
    """Return rows as one packed block."""
    return {
        "input_ids": [token for row in rows for token in row.input_ids],
        "labels": [label for row in rows for label in row.labels],
        "seq_lengths": [len(row.input_ids) for row in rows],
    }


def rows_mix(model: Any, rows: Sequence[TokenRow]) -> str | None:
    """Return how a row in a block differs from the row alone; None if it does not.

    `model` is prepared by `add_answer_nll`. In a block, the second row must not change when the
    first one does: by no more than between two equal runs, which is nothing on most devices,
    because the shapes are equal. And its loss must be that of the row alone, which fails if the
    model ignores the positions.
    """
    tokens = [token for row in rows for token in row.input_ids][: 2 * PROBE_TOKENS]
    tokens = (tokens * (2 * PROBE_TOKENS))[: 2 * PROBE_TOKENS]
    first, second = tokens[:PROBE_TOKENS], tokens[PROBE_TOKENS:]

    def losses(before: list[int]) -> torch.Tensor:
        before_row = TokenRow("", before, [MASKED] * len(before))
        block = as_block([*([before_row] if before else []), TokenRow("", second, second)])
        batch = packed_batch([block], 0)
        labels = batch.pop("labels")
        placed = {name: values.to(model.device) for name, values in batch.items()}
        with evaluating(model), torch.no_grad():
            return model(**placed, labels=labels, answer_nll=True).float().cpu()

    packed, other, alone = losses(first), losses(first[::-1]), losses([])
    leak = float((packed - other).abs().max())
    if leak > 0 and leak > float((packed - losses(first)).abs().max()):
        return f"a row changes with the row before it, by up to {leak:.2g} nats per token"
    shift = abs(float(packed.mean() - alone.mean()))
    if shift > MIXING_TOLERANCE:
        return f"a row in a block has another loss than alone, by {shift:.2g} nats per token"
    return None
