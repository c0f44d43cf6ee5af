"""Live tasks ask for parts of sources that are not trained, and tell what nobody can guess."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from vox_assets.contract import rows
from vox_assets.contract.rows import Pair, turns
from vox_assets.exam.live import live_tasks
from vox_assets.exam.running import outcomes
from vox_assets.exam.task import Task
from vox_assets.extract.docs.mdbook import IncludeError
from vox_assets.profiles import load
from vox_assets.vox_syntax.parsers import vox_fault

PROFILE = load("vox")

PAGE = """\
type Boat {
    name: str
    crew: int
}

// Small boats need no skipper.
fn needs_skipper(boat: Boat) to bool {
    return boat.crew > 14
}

component Shown(boat: Boat) {
    view: text() { boat.name }
}
"""

GOLDEN = """\
// ---
// title: "Greeting the crew"
// description: "Words for a number of people."
// ---
@mcp.tool "greet: Greets a crew"
fn greet(people: int) to str {
    if people > 30 {
        return "good morning everybody"
    }
    return "hello"
}

fn fetched(url: str) uses net to Result[str] {
    return std.http.get_text(url)
}
"""

SECRET = GOLDEN.replace("hello", "mail jane.roe@" + "corp-mail.de")


def page(path: str, response: str = PAGE) -> Pair:
    return Pair(
        messages=turns(
            "Write the code. `needs_skipper` tells whether a skipper is aboard.", response
        ),
        lane="vox_codegen",
        response_mode="code_only",
        task_family="docs_code",
        language="vox",
        origin="human",
        category="guide",
        difficulty=3,
        source_kind="docs",
        source_path=path,
        source_start_line=3,
        source_end_line=5,
        source_symbol=f"Boats > Rules of {path}",
    )


def no_file(path: str) -> str:
    raise IncludeError(path)


def draw(
    *trained: Pair,
    docs: tuple[Pair, ...] = (page("docs/a.md"),),
    golden: tuple[tuple[str, str], ...] = (("examples/golden/greet.vox", GOLDEN),),
    check_vox: Callable[[str], str | None] = vox_fault,
) -> list[Task]:
    mix = rows.to_frame(trained).with_columns(pl.lit("train").alias("split"))
    return live_tasks(rows.to_frame(docs), mix, PROFILE, no_file, golden, check_vox)


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    return {task.variant: task for task in draw()}


def test_functions_that_can_be_run_are_asked_for_with_all_that_they_need(
    tasks: dict[str, Task],
) -> None:
    assert set(tasks) == {"needs_skipper", "greet"}
    task = tasks["needs_skipper"]
    assert task.kind == "live"
    assert task.source_path == "docs/a.md"
    assert task.reference.startswith("type Boat {")
    assert "component" not in task.reference
    assert task.calls
    for call in task.calls:
        assert outcomes(task.reference, call.steps) == call.outcomes


def test_the_prompt_tells_types_signatures_and_constants_but_no_body_and_no_hidden_call(
    tasks: dict[str, Task],
) -> None:
    prompt = tasks["needs_skipper"].prompt
    assert 'Write Vox code for "Rules of docs/a.md".' in prompt
    assert "`needs_skipper` tells whether a skipper is aboard." in prompt
    assert "type Boat {\n    name: str\n    crew: int\n}" in prompt
    assert "- `fn needs_skipper(boat: Boat) to bool`" in prompt
    assert "gives `true`" in prompt or "gives `false`" in prompt
    assert "boat.crew" not in prompt
    greet = tasks["greet"]
    assert '"Greeting the crew". Words for a number of people.' in greet.prompt
    assert '- `@mcp.tool "greet: Greets a crew" fn greet(people: int) to str`' in greet.prompt
    assert "30" in greet.prompt and '"good morning everybody"' in greet.prompt
    for task in tasks.values():
        assert not any(f"`{call.steps[0]}` gives" in task.prompt for call in task.calls)


def test_no_fact_is_about_a_body_that_the_prompt_does_not_tell(tasks: dict[str, Task]) -> None:
    assert tasks["needs_skipper"].facts == (
        "struct Boat: crew: int",
        "struct Boat: has 2 fields",
        "struct Boat: name: str",
    )


def test_a_source_with_a_training_row_is_not_asked_for() -> None:
    assert {
        task.variant for task in draw(page("docs/a.md", "fn other() to int {\n    return 1\n}"))
    } == {"greet"}


def test_a_program_that_a_training_row_of_another_source_reveals_is_not_asked_for() -> None:
    assert "greet" not in {task.variant for task in draw(page("docs/b.md", GOLDEN))}


def test_a_program_with_personal_data_or_that_the_front_end_refuses_is_not_asked_for() -> None:
    drawn = draw(golden=(("examples/golden/greet.vox", SECRET),))
    assert {task.variant for task in drawn} == {"needs_skipper"}
    assert draw(check_vox=lambda source: "1:1: refused") == []


def test_sources_take_turns_and_an_edit_of_one_leaves_the_tasks_of_the_others() -> None:
    def texts(changed: str) -> tuple[tuple[str, str], ...]:
        return tuple(
            (
                f"examples/golden/p{number}.vox",
                f"fn limit_{number}(n: int) to int {{\n    return n * {number + 2} + {number}\n}}\n"
                f"fn word_{number}(t: str) to str {{\n    return t.trim() + "
                f'"{"x" if number else changed}{number}"\n}}',
            )
            for number in range(6)
        )

    policy = PROFILE.exam.model_copy(update={"live": 6})
    profile = PROFILE.model_copy(update={"exam": policy})
    mix = rows.to_frame([]).with_columns(pl.lit("train").alias("split"))
    before, after = (
        live_tasks(rows.to_frame([]), mix, profile, no_file, texts(word), vox_fault)
        for word in ("old", "new")
    )
    assert len({task.source_path for task in before}) == 6
    changed = {task.source_path for task in {*before} ^ {*after}}
    assert changed <= {"examples/golden/p0.vox"}
