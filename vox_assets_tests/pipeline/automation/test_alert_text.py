"""Tests the wording of alerts: order of lines, counts, builds and whole words."""

from __future__ import annotations

from vox_assets.pipeline.automation.alert_text import (
    DETAIL_CHARACTERS,
    FRESHNESS,
    LATE,
    MAX_LINES,
    Kind,
    Message,
    Problem,
    Stopped,
    shortened,
)


def problem(kind: Kind = "failed", run_id: str = "1a2b3c4d-5e6f", times: int = 1) -> Problem:
    severity = "WARN" if kind in ("warned", "hung") else "ERROR"
    return Problem(
        severity=severity,
        kind=kind,
        detail="3 of 9",
        commit="bad",
        run_id=run_id,
        times=times,
        told_at=0.0,
    )


def title(message: Message) -> str:
    return message.title("build-host", "vox")


def test_what_was_not_built_comes_first_then_the_worst_kind() -> None:
    message = Message()
    kinds: tuple[Kind, ...] = ("warned", "overdue", "hung", "failed", "crashed")
    names = {"overdue": f"{FRESHNESS}training_mix", "hung": f"{LATE}job rebuild"}
    stopped = Stopped("1a2b3c4d-5e6f", "rebuild", ("qlora_adapter", "adapter_eval"))
    for kind in kinds:
        message.add(message.new, names.get(kind, f"check a:{kind}"), problem(kind), stopped)
    message.recovered.append(("step docs", problem(times=2)))
    first = [line.split()[0] for line in message.body("http://ui").splitlines()]
    assert first == ["NOT", "CRASHED", "FAILED", "HUNG", "OVERDUE", "WARNING", "RECOVERED"]
    assert title(message) == (
        "qlora_adapter and 1 more not built: 1 crashed, 1 failed, 1 hung, 1 overdue, 1 warning, "
        "1 recovered (vox-assets, host build-host, profile vox, build 1a2b3c4d)"
    )


def test_a_warning_is_not_counted_as_failed_and_stops_nothing() -> None:
    message = Message()
    stopped = Stopped("1a2b3c4d-5e6f", "rebuild", ("qlora_adapter",))
    for name in ("a", "b"):
        message.add(message.new, f"check mix:{name}", problem("warned"), stopped)
    assert title(message).startswith("2 warnings (")
    assert "NOT BUILT" not in message.body("http://ui")
    assert message.tone == "warning"


def test_every_line_has_a_link() -> None:
    message = Message(
        new=[(f"{FRESHNESS}training_mix", problem("overdue", run_id=""))],
        repeated=[("check a:b", problem(times=3))],
        recovered=[(f"{LATE}job rebuild", problem("hung"))],
    )
    assert message.body("http://ui").splitlines() == [
        "OVERDUE training_mix: 3 of 9; since commit bad; http://ui/assets/training_mix",
        "STILL FAILED check a:b, 3 times: 3 of 9; since commit bad; http://ui/runs/1a2b3c4d-5e6f",
        "RECOVERED job rebuild: the run that took longer than usual has ended; "
        "http://ui/runs/1a2b3c4d-5e6f",
    ]


def test_the_title_names_a_few_builds_and_counts_many() -> None:
    ids = [f"{number}0000000-1111" for number in range(4)]
    few = Message(new=[(f"step {name}", problem(run_id=name)) for name in ids[:2]])
    assert title(few).endswith("profile vox, builds 00000000 10000000)")
    many = Message(new=[(f"step {name}", problem(run_id=name)) for name in ids])
    assert title(many).endswith("profile vox, 4 builds)")


def test_a_long_detail_ends_with_a_whole_word() -> None:
    words = [f"word{number}" for number in range(100)]
    short = shortened(" ".join(words))
    assert len(short) <= DETAIL_CHARACTERS + len(" ...")
    assert short.endswith(" ...")
    assert set(short.removesuffix(" ...").split()) <= set(words)
    assert shortened("all of it") == "all of it"
    fits = "a" * (DETAIL_CHARACTERS - 2) + " b c"
    assert shortened(fits) == "a" * (DETAIL_CHARACTERS - 2) + " b ..."


def test_a_long_message_counts_the_lines_that_it_leaves_out() -> None:
    message = Message(new=[(f"step {number}", problem()) for number in range(MAX_LINES + 5)])
    lines = message.body("http://ui").splitlines()
    assert len(lines) == MAX_LINES + 1
    assert lines[-1] == "and 5 more: http://ui/runs"
