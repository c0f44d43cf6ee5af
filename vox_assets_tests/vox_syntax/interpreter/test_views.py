"""A component gives what its reader sees, and clicks change its state."""

from __future__ import annotations

import pytest

from vox_assets.vox_syntax.interpreter import Program, Run, UnknownError

SOURCE = """\
type Boat {
    name: str
    crew: int
}

component Line(boat: Boat, on_pick: fn(str) to Unit) {
    view: row(gap="4px") {
        text() { "{boat.name} with {boat.crew}" }
        button(on_click={fn() on_pick(boat.name)}) { "Pick {boat.name}" }
    }
}

component Harbour(boats: list[Boat], least: int = 2) {
    state picked: str = "none"
    state seen: int = 0
    derived large = boats.filter(fn(one) one.crew >= least)

    view: column() {
        heading(level=1) { "Harbour" }
        if large.length() > 0 {
            for boat in large key=boat.name {
                Line(boat=boat, on_pick={fn(name: str) { picked = name }})
            }
        } else {
            text() { "nothing" }
        }
        text() { picked }
        button(on_click={seen = seen + 1}) { "Seen {seen}" }
        link(href="/help") { "Help" }
    }
}

component Counted(start: int) {
    state n: int = start
    effect: {
        print("n is {n}")
    }
    view: button(on_click={n = n + 1}) { "More" }
}

component Opened() {
    state open: bool = false
    on mount: {
        open = true
    }
    view: text() { if open { "open" } else { "starting" } }
}

component Torn() {
    effect: { print("a") }
    on mount: { print("b") }
    view: text() { "torn" }
}

fragment Tag(label: str) {
    text() { label }
}
"""

BOATS = '[{ name: "Tern", crew: 3 }, { name: "Skua", crew: 1 }]'


@pytest.fixture
def run() -> Run:
    return Run(Program(SOURCE))


def test_texts_headings_buttons_and_links_are_seen_in_their_order(run: Run) -> None:
    assert run.step(f"Harbour(boats={BOATS})").split("\n") == [
        'heading(level=1) "Harbour"',
        '"Tern with 3"',
        'button() "Pick Tern"',
        '"none"',
        'button() "Seen 0"',
        'link(href="/help") "Help"',
    ]
    assert '"nothing"' in run.step("Harbour(boats=[], least=4)")
    assert run.step('Tag(label="new")') == '"new"'


def test_a_click_changes_the_state_of_the_component_and_of_the_one_around_it(run: Run) -> None:
    run.step(f"Harbour(boats={BOATS}, least=1)")
    assert run.screen.buttons == ["Pick Tern", "Pick Skua", "Seen 0"]
    assert '"Skua"' in run.step('click("Pick Skua")')
    after = run.step('click("Seen 0")')
    assert '"Skua"' in after and 'button() "Seen 1"' in after
    assert '"none"' in run.step(f"Harbour(boats={BOATS})")


def test_effects_run_when_their_values_change(run: Run) -> None:
    assert run.step("Counted(start=4)") == 'print n is 4\nbutton() "More"'
    assert run.step('click("More")') == 'print n is 5\nbutton() "More"'


def test_what_runs_on_mount_is_seen(run: Run) -> None:
    assert run.step("Opened()") == '"open"'


@pytest.mark.parametrize("step", ["Torn()", "Harbour()", "Unheard(of=1)", 'click("Nothing")'])
def test_a_view_without_a_certain_look_is_refused(run: Run, step: str) -> None:
    with pytest.raises(UnknownError):
        run.step(step)
