"""Promotes adapters: replaces `promoted.json` atomically and keeps its history.

An adapter is promoted after its evaluation, or by a person who returns to an earlier adapter. Both
ways require that the adapter passes verification and that all its recorded verdicts passed.
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
from vox_assets.training.adapter.recorded import recorded_evaluation
from vox_assets.training.evaluation.statistics import paired_ratio
from vox_assets.training.plan.spec import write_json

PROMOTED = "promoted.json"
LOCK = ".promotion.lock"


class PromotionError(ValueError):
    """Raised for an adapter that cannot be promoted; the message gives its name and the reason."""


@dataclass(frozen=True)
class Decision:
    """Result of a promotion request, with the reason."""

    promoted: bool
    reason: str


def current(root: Path) -> dict[str, Any] | None:
    """Read `promoted.json`: digest, time, reason and `history` (newest last); None if missing.

    Raises PromotionError for a damaged file.
    """
    path = root / PROMOTED
    if not path.exists():
        return None
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise PromotionError(
            f"{path} cannot be read: {error}: expected the JSON that a promotion writes; "
            f"restore it or delete it"
        ) from error


def consider(
    root: Path, digest: str, lanes: Sequence[str], decides: Literal["exam", "loss"]
) -> Decision:
    """Promote the adapter if its verdicts passed and the promoted adapter is not better.

    `lanes` are the lanes of the profile: an adapter for other lanes is never promoted.

    If the exam decides, both adapters answered the same tasks, and the adapter must be shown to be
    no worse. If the loss decides, it must be shown to be better on the same held-out rows, by the
    total NLL of the answers, which does not depend on a tokenizer; on other held-out rows the
    verdicts alone decide, as they do if the promoted adapter is damaged or missing. Raises
    PromotionError for a digest that is unknown, damaged or not evaluated.
    """
    with exclusive(root / LOCK):
        evaluation = _evaluation_of(root, digest)
        obstacle = _failed_verdicts(evaluation) or _lane_mismatch(root, digest, lanes)
        if obstacle:
            return Decision(False, f"{digest} is not promoted: {obstacle}")
        promoted = current(root)
        if promoted is not None and promoted["digest"] == digest:
            _record_promotion(root, promoted)
            return Decision(True, f"{digest} is already promoted")
        reason = "all verdicts passed"
        if promoted is not None:
            try:
                other = _evaluation_of(root, promoted["digest"])
            except PromotionError as error:
                reason += f"; {error}"
            else:
                compare = _by_exam if decides == "exam" else _by_loss
                better, comparison = compare(promoted["digest"], other, evaluation)
                if not better:
                    return Decision(False, f"{digest} is not promoted: {comparison}")
                reason += f"; {comparison}"
        _write_promotion(root, digest, evaluation, "evaluation", reason)
        return Decision(True, f"{digest} is promoted: {reason}")


def _by_exam(
    promoted: str, other: Mapping[str, Any], evaluation: Mapping[str, Any]
) -> tuple[bool, str]:
    """Return whether the exam lets the adapter replace `promoted`, and the reason."""
    compared = (evaluation["exam"] or {}).get("serving")
    if compared is None or compared["digest"] != promoted:
        return False, f"it did not sit the exam beside {promoted}: evaluate it again"
    words = {"not_worse": "is no worse than", "worse": "is worse than"}
    verb = words.get(compared["outcome"], "is not shown to be no worse than")
    reason = f"it {verb} {promoted} in the exam ({compared['summary']})"
    return compared["outcome"] == "not_worse", reason


def _by_loss(
    promoted: str, other: Mapping[str, Any], evaluation: Mapping[str, Any]
) -> tuple[bool, str]:
    """Return whether the loss lets the adapter replace `promoted`, and the reason."""
    if other["eval_digest"] != evaluation["eval_digest"]:
        return True, f"{promoted} was evaluated on other rows"
    ratio = paired_ratio(other["rows"], evaluation["rows"])
    compared = f"{promoted} on the same held-out rows (loss ratio {ratio})"
    if ratio.high < 1:
        return True, f"it is better than {compared}"
    verb = "is worse than" if ratio.low > 1 else "is not shown to be better than"
    return False, f"it {verb} {compared}"


def promote(root: Path, digest: str, lanes: Sequence[str]) -> Decision:
    """Promote an adapter on request, even one that is older or worse than the promoted adapter.

    Raises PromotionError for a digest that is unknown, damaged, not evaluated or trained for other
    lanes than `lanes`, and if a verdict failed.
    """
    if digest not in known_adapters(root):
        # Without this, the lock would create the folder of the adapters.
        _evaluation_of(root, digest)
    with exclusive(root / LOCK):
        evaluation = _evaluation_of(root, digest)
        obstacle = _failed_verdicts(evaluation) or _lane_mismatch(root, digest, lanes)
        if obstacle:
            raise PromotionError(f"adapter {digest} cannot be promoted: {obstacle}")
        promoted = current(root)
        if promoted is not None and promoted["digest"] == digest:
            _record_promotion(root, promoted)
            return Decision(True, f"{digest} is already promoted")
        _write_promotion(root, digest, evaluation, "command", "requested by a person")
        return Decision(True, f"{digest} is promoted")


def known_adapters(root: Path) -> list[str]:
    """Return the digests of the adapters below `root`."""
    return sorted(path.name for path in root.glob("*/") if path.name.isalnum())


def candidates(root: Path, lanes: Sequence[str]) -> list[dict[str, Any]]:
    """Describe every adapter: its figures, and the `obstacle` to its promotion, None without one.

    The adapter is verified as for a promotion. Figures are None where they cannot be read.
    """
    promoted = (current(root) or {}).get("digest")
    found = []
    for digest in known_adapters(root):
        entry: dict[str, Any] = {
            "digest": digest,
            "promoted": digest == promoted,
            "obstacle": None,
            **dict.fromkeys(("loss_ratio", "perplexity_change", "eval_digest", "rank", "lanes")),
        }
        try:
            evaluation = _evaluation_of(root, digest)
        except PromotionError as error:
            entry["obstacle"] = str(error).removeprefix(f"adapter {digest} ")
        else:
            obstacle = _failed_verdicts(evaluation) or _lane_mismatch(root, digest, lanes)
            config = manifest.read_manifest(root / digest)["config"]
            entry |= {
                "obstacle": obstacle or None,
                "loss_ratio": evaluation["held_out"]["ratio"],
                "perplexity_change": evaluation["held_out"]["perplexity_change"],
                "eval_digest": evaluation["eval_digest"],
                "rank": config["rank"]["rank"],
                "lanes": config["lanes"],
            }
        found.append(entry)
    return found


def _evaluation_of(root: Path, digest: str) -> Mapping[str, Any]:
    """Read the evaluation of an adapter that exists and passes verification."""
    directory = root / digest
    # Accept only the name of a folder below the root, not a path that leads out of it.
    if digest not in known_adapters(root):
        known = ", ".join(known_adapters(root)) or "none"
        raise PromotionError(f"adapter {digest} is unknown: {root} has {known}")
    faults = verify.verify(directory)
    if faults:
        raise PromotionError(f"adapter {digest} is damaged: {'; '.join(faults)}")
    evaluation = recorded_evaluation(manifest.read_manifest(directory))
    if evaluation is None:
        raise PromotionError(f"adapter {digest} is not evaluated")
    return evaluation


def _failed_verdicts(evaluation: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{verdict['name']} {'is undecided' if verdict['undecided'] else 'failed'} "
        f"({verdict['reason']})"
        for verdict in evaluation["verdicts"]
        if not verdict["passed"]
    )


def _lane_mismatch(root: Path, digest: str, lanes: Sequence[str]) -> str:
    trained = manifest.read_manifest(root / digest)["config"]["lanes"]
    if sorted(trained) == sorted(lanes):
        return ""
    return f"it is trained for {', '.join(trained)}, but the profile has {', '.join(lanes)}"


def _write_promotion(
    root: Path,
    digest: str,
    evaluation: Mapping[str, Any],
    by: Literal["evaluation", "command"],
    reason: str,
) -> None:
    promoted = current(root) or {"history": []}
    entry = {
        "digest": digest,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": by,
        "reason": reason,
        "eval_digest": evaluation["eval_digest"],
        "total_nll": evaluation["total_nll"],
        "perplexity_change": evaluation["held_out"]["perplexity_change"]["value"],
    }
    # Write `promoted.json` first, because it alone decides which adapter is promoted. A kill in
    # between leaves a manifest without its promotion, which the next request records.
    write_json(root / PROMOTED, entry | {"history": [*promoted["history"], entry]})
    manifest.record(root / digest, "promotion", entry)


def _record_promotion(root: Path, promoted: Mapping[str, Any]) -> None:
    """Record the current promotion in the manifest of its adapter, unless it is there."""
    entry = {key: value for key, value in promoted.items() if key != "history"}
    directory = root / promoted["digest"]
    if manifest.read_manifest(directory)["promotion"] != entry:
        manifest.record(directory, "promotion", entry)
