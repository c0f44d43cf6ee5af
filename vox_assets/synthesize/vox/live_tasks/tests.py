"""Tasks that write tests, with values that the interpreter computes."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

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


_NUMBER = re.compile(r"(?<![\w.\"])\d+(?![\w.])")


_COMPARED = re.compile(r'(?:is|isnt|==|!=) ("[^"{}\n]*")|("[^"{}\n]*") =>')


#: Names of people and things, for code that compares with no text.
_ORDINARY_TEXTS = ('"north"', '"Ada"')


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
    choices = [_inputs(kind, live.around(item), live) for kind in kinds]
    if not all(choices):
        return {}
    claims: dict[str, str] = {}
    outcomes = set()
    for lap in range(max(map(len, choices))):
        # Uneven strides, so that two parameters of one type are not always equal.
        arguments = [
            values[(lap + lap // len(values) + index) % len(values)]
            for index, values in enumerate(choices)
        ]
        call = f"{item.name}({', '.join(arguments)})"
        try:
            claim = _claim(call, program.value(call))
        except (UnknownError, FailedError):
            continue
        if claim is not None and len(claims) < MAX_ASSERTED:
            claims[call] = claim
            outcomes.add(claim.replace(call, ""))
    return claims if len(outcomes) > 1 else {}


def _inputs(kind: str, code: str, live: Live) -> list[str]:
    """List Vox values of a type, first those that the code compares; empty for unknown types."""
    match kind:
        case "int":
            known = sorted({int(number) for number in _NUMBER.findall(code)})
            near = [number + step for number in known for step in (0, 1)]
            return [str(number) for number in dict.fromkeys([*near, 0, 4, 9])]
        case "str":
            compared = [first or second for first, second in _COMPARED.findall(code)]
            return list(dict.fromkeys([*compared, *_ORDINARY_TEXTS]))
        case "bool":
            return ["true", "false"]
        case "list[int]" | "List[int]":
            return ["[3, 1, 2]", "[]"]
        case "list[str]" | "List[str]":
            return ['["north", "south"]', "[]"]
    declared = next(
        (item for item in live.declared if (item.kind, item.name) == ("adt", kind)), None
    )
    return _variants(declared.text) if declared else []


def _variants(declaration: str) -> list[str]:
    """List a value for each variant whose payload is texts and numbers."""
    values = []
    for name, declared in re.findall(r"\| (\w+)(?:\(([^()]*)\))?", declaration):
        kinds = [part.partition(":")[2].strip() for part in declared.split(",") if part]
        if all(kind in ("int", "str") for kind in kinds):
            payload = ", ".join("4" if kind == "int" else '"north"' for kind in kinds)
            values.append(f"{name}({payload})" if payload else name)
    return values


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
