"""Checks the rows against the tokenizer and the context before training starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vox_assets.compute.tokens import (
    EMPTY_THOUGHT,
    MASKED,
    TemplateError,
    TokenRow,
    end_of_turn,
    tokenise,
)
from vox_assets.contract.rows import Message
from vox_assets.training.plan.spec import TrainingRefusedError

#: Maximum number of row ids in an error message, which always gives the count of rows.
NAMED_ROWS = 5


def preflight(
    rows: Iterable[tuple[str, Sequence[Message]]], tokenizer: Any, context: int
) -> list[TokenRow]:
    """Tokenise (pair id, messages) rows; if any row has a fault, reject all of them.

    Raises TrainingRefusedError for rows longer than `context` tokens, answers without an end token,
    answers that consist of the end token alone, and empty think blocks in the loss.
    """
    faults: dict[str, list[str]] = {}
    accepted = []
    for pair_id, messages in rows:
        try:
            row = tokenise(tokenizer, pair_id, messages)
        except TemplateError as error:
            faults.setdefault(str(error), []).append(pair_id)
            continue
        fault = _fault(row, tokenizer, context)
        if fault is None:
            accepted.append(row)
        else:
            faults.setdefault(fault, []).append(pair_id)
    if faults:
        raise TrainingRefusedError(
            "preflight: "
            + "; ".join(_fault_line(fault, ids) for fault, ids in sorted(faults.items()))
        )
    return accepted


def _fault(row: TokenRow, tokenizer: Any, context: int) -> str | None:
    if len(row.input_ids) > context:
        return f"longer than {context} tokens: the trainer would cut it"
    unmasked = [label for label in row.labels if label != MASKED]
    if not unmasked:
        return "answer without an end token: every token would be masked"
    end = end_of_turn(tokenizer)
    if not tokenizer.decode([label for label in unmasked if label != end]).strip():
        return "empty answer"
    answer_end = len(row.labels) - next(
        offset for offset, label in enumerate(reversed(row.labels)) if label != MASKED
    )
    if row.labels[answer_end - 1] != end:
        return "answer without an end token"
    if EMPTY_THOUGHT.search(tokenizer.decode(unmasked)):
        return "empty think block in the loss"
    return None


def _fault_line(fault: str, ids: Sequence[str]) -> str:
    more = f" and {len(ids) - NAMED_ROWS} more" if len(ids) > NAMED_ROWS else ""
    return f"{len(ids)} rows: {fault}: {', '.join(ids[:NAMED_ROWS])}{more}"
