"""Packs rows into the stream of training blocks, and selects the rows for early stopping."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from datasets import Dataset, concatenate_datasets
from trl import pack_dataset

from vox_assets.compute.tokens import TokenRow
from vox_assets.mix.shares import draw_order
from vox_assets.training.plan.spec import TrainingSpec

#: Maximum tokens of an evaluation for early stopping, which takes some seconds on two cores.
WATCH_TOKENS = 6000

#: Number of consecutive rows of the draw that are packed together. It is large enough to fill
#: blocks to some 98 %, and small enough to keep the order of the draw, which decides the shares of
#: a run that ends early.
PACK_WINDOW = 256


def training_stream(
    rows: Sequence[TokenRow], weights: np.ndarray, spec: TrainingSpec
) -> tuple[Dataset, int, int]:
    """Return all blocks of a run in training order, the block size in tokens, and the steps.

    One optimiser step takes `blocks_per_step` blocks over all ranks. Every epoch is a weighted draw
    of all rows without replacement, so no row repeats before every other row was drawn once. Rows
    are packed in windows of PACK_WINDOW rows.
    """
    per_step = spec.training.blocks_per_step
    # The longest row must fit into a block, because packing cuts longer rows.
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
        # Shuffle, because best-fit-decreasing packing puts the longest rows first.
        parts.append(packed.with_format(None).shuffle(seed=seed + epoch))
    return parts


def watched_rows(rows: Sequence[TokenRow], ids: set[str]) -> list[TokenRow]:
    """Select rows of `ids` up to WATCH_TOKENS, at least one.

    `rows` are sorted by pair id, which is a digest, so the selection is arbitrary but stable.
    """
    chosen: list[TokenRow] = []
    tokens_left = WATCH_TOKENS
    for row in rows:
        if row.pair_id in ids and (not chosen or len(row.input_ids) <= tokens_left):
            chosen.append(row)
            tokens_left -= len(row.input_ids)
    return chosen
