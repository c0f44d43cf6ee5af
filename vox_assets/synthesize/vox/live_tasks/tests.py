"""Tasks that write tests, with values that the interpreter computes."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

from vox_assets.synthesize.vox.inputs import Inputs, combinations
from vox_assets.synthesize.vox.lexicon import Domain
from vox_assets.synthesize.vox.live_tasks.task import (
    MAX_SHOWN_CHARS,
    SIGNATURE,
    Live,
    Task,
    fenced,
    lead_ins,
    paragraphs,
)
from vox_assets.synthesize.vox.templates import tidy
from vox_assets.vox_syntax import Declaration
from vox_assets.vox_syntax.interpreter import FailedError, Program, UnknownError, Variant

#: Largest number of calls in a written test.
MAX_ASSERTED = 4


# Writing the test for a function.

_TEST_LEADS = (
    "Write the `@test` called `{name}`{label} for this Vox code.",
    "Add a test, `{name}`{label}, to the program below. Return the test alone.",
    "Which test named `{name}`{label} belongs to this Vox code?",
    "The code below lacks its test `{name}`{label}. Write it in Vox.",
    "How do we know that this works? As a Vox test named `{name}`{label}, please.",
    "Before we change anything here, pin its behaviour down: `@test`, `{name}`{label}.",
    "Somebody reviews this Vox program and asks for a test. Name: `{name}`{label}.",
    "Prove what the following code does. Answer with one `@test` function, `{name}`{label}.",
)


_LABEL = re.compile(r"@test\(\"([^\"]+)\"\)")


_PARAMETER = re.compile(r"(\w+): ([\w\[\], ]+?)(?: = [^,]+)?(?:, (?=\w+:)|$)")


def existing_tests(live: Live, domains: Sequence[Domain], rng: random.Random) -> Iterator[Task]:
    """Yield tasks whose answer is a test from the documentation."""
    tests = [item for item in live.declared if item.kind == "test"]
    rest = tidy("\n\n".join(item.text for item in live.declared if item.kind != "test"))
    if not rest or len(rest) > MAX_SHOWN_CHARS:
        return
    for item in tests:
        label = _LABEL.search(item.text)
        called = f' ("{label[1]}")' if label else ""
        leads = lead_ins(_TEST_LEADS, name=item.name, label=called)
        details = paragraphs(_expectations(item.text), fenced(rest))
        yield Task("write_test", f"test_{item.name}", leads, details, item.text)


def _expectations(test: str) -> str:
    """State the test's assertions in the prompt, so that its values need no guessing."""
    asserted = re.findall(r"assert\((.+)\)$", test, re.MULTILINE)
    return "It asserts " + ", ".join(f"`{item}`" for item in asserted) + "." if asserted else ""


def written_tests(live: Live, domains: Sequence[Domain], rng: random.Random) -> Iterator[Task]:
    """Yield tests of functions that the interpreter can run, on inputs near their constants."""
    program = Program(live.source)
    for item in live.declared:
        if item.kind not in ("function", "mcp_tool"):
            continue
        asserted = _assertions(item, live, program)
        around = live.around(item)
        if not asserted or len(around) > MAX_SHOWN_CHARS:
            continue
        name = f"{item.name}_is_right"
        calls = ", ".join(f"`{call}`" for call in asserted)
        lines = "\n".join(f"    assert({claim})" for claim in asserted.values())
        yield Task(
            "write_test",
            f"test_{name}",
            lead_ins(_TEST_LEADS, name=name, label=""),
            f" It checks {calls}, in this order.\n\n{fenced(around)}",
            f"@test\nfn {name}() to Unit {{\n{lines}\n}}",
        )


def _assertions(item: Declaration, live: Live, program: Program) -> dict[str, str]:
    """Map calls of a function to assertions, without calls of unknown outcome.

    Empty when the result does not depend on the input: such a test would check nothing.
    """
    signature = SIGNATURE.search(item.text)
    if signature is None or not signature["params"]:
        return {}
    kinds = [kind for _, kind in _PARAMETER.findall(signature["params"])]
    inputs = Inputs(live.source, live.around(item))
    choices = [inputs.of(kind) for kind in kinds]
    if not all(choices):
        return {}
    claims: dict[str, str] = {}
    outcomes = set()
    for arguments in combinations(choices, max(map(len, choices))):
        call = f"{item.name}({', '.join(arguments)})"
        try:
            claim = _claim(call, program.value(call))
        except (UnknownError, FailedError):
            continue
        if claim is not None and len(claims) < MAX_ASSERTED:
            claims[call] = claim
            outcomes.add(claim.replace(call, ""))
    return claims if len(outcomes) > 1 else {}


def _claim(call: str, value: Any) -> str | None:
    """Write an assertion about a call, or return None for values that Vox cannot compare simply."""
    match value:
        case True:
            return call
        case False:
            return f"not {call}"
        case int():
            return f"{call} is {value}" if value >= 0 else None
        case str() if not re.search(r"[\\\"\n{}]", value):
            return f'{call} is "{value}"'
        case Variant("Ok"):
            return f"{call}.is_ok()"
        case Variant("Error"):
            return f"{call}.is_err()"
        case Variant("Some"):
            return f"{call}.is_some()"
        case Variant("None"):
            return f"{call}.is_none()"
    return None
