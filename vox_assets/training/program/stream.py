"""The stream of packed training blocks, and the rows that early stopping reads."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from datasets import Dataset, concatenate_datasets
from trl import pack_dataset

from vox_assets.compute.tokens import TokenRow
from vox_assets.mix.shares import draw_order
from vox_assets.training.plan.spec import (
    TrainingSpec,
)

#: Tokens of watched rows that one evaluation for early stopping reads: some seconds on two cores.
WATCH_TOKENS = 6000


#: Rows that are packed together: enough to fill blocks to some 98 %, few enough that the order of
#: the draw, and with it the shares of a run that ends early, is kept.
PACK_WINDOW = 256


def training_stream(
    rows: Sequence[TokenRow], weights: np.ndarray, spec: TrainingSpec, per_step: int
) -> tuple[Dataset, int, int]:
    """All blocks of a run in the order in which they are trained, their size, and the steps.

    `per_step` blocks, over all ranks, make one optimiser step. Every epoch is a weighted draw of
    all rows without replacement, so no row comes twice before every other came once. Rows are
    packed within PACK_WINDOW of the draw.
    """
    # The longest row has to fit, for packing cuts what does not.
    block = max(spec.training.block_tokens, max(len(row.input_ids) for row in rows))
    parts = _packed_epoch(rows, weights, spec.training.seed, 0, block)
    per_epoch = math.ceil(sum(map(len, parts)) / per_step)
    steps = min(spec.training.max_steps, max(1, round(per_epoch * spec.rank.epochs)))
    epoch = 1
    while sum(map(len, parts)) < steps * per_step:
        parts += _packed_epoch(rows, weights, spec.training.seed, epoch, block)
        epoch += 1
    return concatenate_datasets(parts).select(range(steps * per_step)), block, steps


def _packed_epoch(
    rows: Sequence[TokenRow], weights: np.ndarray, seed: int, epoch: int, block: int
) -> list[Dataset]:
    order = draw_order(weights, seed, epoch)
    parts = []
    for start in range(0, len(order), PACK_WINDOW):
        window = [rows[index] for index in order[start : start + PACK_WINDOW]]
        columns = [{"input_ids": row.input_ids, "labels": row.labels} for row in window]
        packed = pack_dataset(Dataset.from_list(columns).with_format("arrow"), block, "bfd")
        # Best-fit-decreasing gives the longest rows first.
        parts.append(packed.with_format(None).shuffle(seed=seed + epoch))
    return parts


def watched_rows(rows: Sequence[TokenRow], ids: set[str]) -> list[TokenRow]:
    """Rows for early stopping, up to WATCH_TOKENS; `rows` come in the order of their digests."""
    chosen: list[TokenRow] = []
    room = WATCH_TOKENS
    for row in rows:
        if row.pair_id in ids and (not chosen or len(row.input_ids) <= room):
            chosen.append(row)
            room -= len(row.input_ids)
    return chosen
