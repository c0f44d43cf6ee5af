"""Promotion of adapters: `promoted.json`, replaced atomically, with its history.

An adapter is promoted by its recorded evaluation or, as a way back, by a person; either way it has
to verify and its verdicts have to hold. Judging belongs to `evaluation`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from vox_assets.store.files import exclusive
from vox_assets.training.adapter import manifest, verify
from vox_assets.training.plan.spec import write_json

PROMOTED = "promoted.json"
LOCK = ".promotion.lock"


class PromotionError(ValueError):
    """An adapter that may not serve; the message names it and why."""


@dataclass(frozen=True)
class Decision:
    """Whether a candidate was promoted, and why."""

    promoted: bool
    reason: str


def current(root: Path) -> dict[str, Any] | None:
    """The content of `promoted.json`: digest, since when, why, `history` (newest last)."""
    path = root / PROMOTED
    if not path.exists():
        return None
    return dict(json.loads(path.read_text(encoding="utf-8")))


def consider(root: Path, digest: str, lanes: Sequence[str]) -> Decision:
    """Promote the adapter if its verdicts hold and it is no worse than the one that serves.

    `lanes` are those that the project serves: an adapter that a run was asked to train for others
    is never promoted.

    Two adapters are compared where they were judged on the same held-out rows, by the total NLL of
    the answers, which does not depend on a tokenizer. On another held-out set the verdicts decide
    alone. A serving adapter that is damaged or gone is no rival. Raises PromotionError for a
    digest that is unknown, damaged or not evaluated.
    """
    with exclusive(root / LOCK):
        evaluation = _fit(root, digest)
        failed = _failed(evaluation) or _astray(root, digest, lanes)
        if failed:
            return Decision(False, f"{digest} is not promoted: {failed}")
        serving = current(root)
        if serving is not None and serving["digest"] == digest:
            return Decision(True, f"{digest} serves already")
        reason = "its verdicts hold"
        if serving is not None:
            try:
                rival = _fit(root, serving["digest"])
            except PromotionError as error:
                reason += f"; {error}"
            else:
                if rival["eval_digest"] != evaluation["eval_digest"]:
                    reason += f"; {serving['digest']} was judged on other rows"
                elif rival["total_nll"] <= evaluation["total_nll"]:
                    return Decision(
                        False,
                        f"{digest} is not promoted: {serving['digest']} is as good or better on "
                        f"the same held-out rows ({rival['total_nll']:.1f} nats against "
                        f"{evaluation['total_nll']:.1f})",
                    )
                else:
                    reason += (
                        f"; better than {serving['digest']} on the same held-out rows "
                        f"({evaluation['total_nll']:.1f} nats against {rival['total_nll']:.1f})"
                    )
        _move(root, digest, evaluation, "evaluation", reason)
        return Decision(True, f"{digest} is promoted: {reason}")


def promote(root: Path, digest: str, lanes: Sequence[str]) -> Decision:
    """Let a named adapter serve, an earlier or lesser one too: a person's way back.

    Raises PromotionError for a digest that is unknown, damaged, not evaluated, trained for other
    lanes than `lanes`, or whose verdicts do not hold.
    """
    with exclusive(root / LOCK):
        evaluation = _fit(root, digest)
        failed = _failed(evaluation) or _astray(root, digest, lanes)
        if failed:
            raise PromotionError(f"adapter {digest} may not serve: {failed}")
        serving = current(root)
        if serving is not None and serving["digest"] == digest:
            return Decision(True, f"{digest} serves already")
        _move(root, digest, evaluation, "command", "asked for by name")
        return Decision(True, f"{digest} is promoted")


def _fit(root: Path, digest: str) -> Mapping[str, Any]:
    """The evaluation of an adapter that is there and whole."""
    directory = root / digest
    # A digest names one folder below the root, never a path out of it.
    if not digest.isalnum() or not directory.is_dir():
        known = sorted(path.name for path in root.glob("*/") if path.name.isalnum())
        raise PromotionError(
            f"adapter {digest} is unknown: {root} has {', '.join(known) or 'none'}"
        )
    faults = verify.verify(directory)
    if faults:
        raise PromotionError(f"adapter {digest} is damaged: {'; '.join(faults)}")
    evaluation = manifest.read_manifest(directory)["evaluation"]
    if evaluation is None:
        raise PromotionError(f"adapter {digest} is not evaluated")
    return dict(evaluation)


def _failed(evaluation: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{verdict['name']} does not hold ({verdict['reason']})"
        for verdict in evaluation["verdicts"]
        if not verdict["passed"]
    )


def _astray(root: Path, digest: str, lanes: Sequence[str]) -> str:
    trained = manifest.read_manifest(root / digest)["config"]["lanes"]
    if sorted(trained) == sorted(lanes):
        return ""
    return f"it is trained for {', '.join(trained)} and the project serves {', '.join(lanes)}"


def _move(
    root: Path,
    digest: str,
    evaluation: Mapping[str, Any],
    by: Literal["evaluation", "command"],
    reason: str,
) -> None:
    serving = current(root) or {"history": []}
    entry = {
        "digest": digest,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": by,
        "reason": reason,
        "eval_digest": evaluation["eval_digest"],
        "total_nll": evaluation["total_nll"],
        "perplexity_change": evaluation["held_out"]["perplexity_change"]["value"],
    }
    # The pointer is what counts; a manifest without its promotion is completed by the next move.
    write_json(root / PROMOTED, entry | {"history": [*serving["history"], entry]})
    manifest.record(root / digest, "promotion", entry)
