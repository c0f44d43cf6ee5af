"""Rust dialogues from live rows: a type, then methods of its `impl`, then a unit test of them.

The type and the methods come from existing rows. The test comes from the same file, so that the
last answer exercises the code of the earlier turns.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from vox_assets.contract.rows import Drop, Pair, turns
from vox_assets.extract.docs.mdbook import IncludeError
from vox_assets.profiles import Profile
from vox_assets.synthesize.rust.unit_tests import UnitTest, unit_tests
from vox_assets.synthesize.shared import STAGE, enumerated

#: Limit of the methods between the type and the test.
MAX_METHODS = 3
#: About 900 tokens: a longer dialogue would be truncated in a context of 1,024 tokens.
MAX_CHARS = 3_200
#: Dialogues whose answers have fewer lines in total contain only constructors and accessors.
MIN_LINES = 14
#: Limit of dialogues from one crate: without it, the largest crate would dominate.
MAX_PER_CRATE = 25
#: Limit of the assertions that a request quotes.
MAX_QUOTED = 4

_METHOD_FAMILIES = ("implement_from_doc", "complete_signature")
_METHOD_LEADS = (
    "Now the behaviour.",
    "Good. Next:",
    "Building on that type:",
    "Go on with it.",
    "That is the type. Now implement one part of it.",
)
_NEXT_LEADS = ("And one more.", "It also needs this.", "Extend the implementation.", "Then:")
_TEST_LEADS = (
    "Write the unit test `{name}` for {methods}.",
    "Now prove it: a `#[test]` called `{name}` that calls {methods}.",
    "Finish with the unit test `{name}`, which uses {methods}.",
)

#: Parts that are removed from an extracted prompt, because an earlier turn contains them: the
#: context line, and a block of declarations that has become empty.
_CONTEXT = re.compile(r"^Context: [^\n]*$", re.MULTILINE)
_NOTHING_DECLARED = re.compile(r"[^\n]+:\n\n```rust\s*```")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_TYPE_NAME = re.compile(r"\b[A-Z]\w*")
#: Names that every Rust program may use.
_PRELUDE = frozenset("Some None Ok Err String Vec Box Option Result Self Default".split())

Turn = tuple[str, str]


@dataclass(frozen=True)
class _Impl:
    """A documented type, its methods that have rows, and the tests that use only those."""

    type: Mapping[str, Any]
    methods: Mapping[str, Mapping[str, Any]]
    tests: tuple[UnitTest, ...]

    @property
    def name(self) -> str:
        return str(self.type["source_symbol"]).rpartition("::")[2]

    def used_by(self, test: UnitTest) -> list[str]:
        """List the methods that a test calls, in source order."""
        return [
            name
            for name in self.methods
            if name in test.methods or (self.name, name) in test.associated
        ]


def rust_dialogues(
    rust_rows: pl.DataFrame, profile: Profile, amount: int, read_source: Callable[[str], str]
) -> tuple[list[Pair], list[Drop]]:
    """Make up to `amount` dialogues: first those with a test; at most MAX_PER_CRATE of a crate."""
    seed = profile.synthesis.seed
    order = list(_impls(rust_rows, read_source))
    random.Random(f"{seed}:rust").shuffle(order)
    pairs: dict[str, Pair] = {}
    drops: list[Drop] = []
    per_crate: Counter[str] = Counter()
    for make, impl in [
        *((_tested, impl) for impl in order),
        *((_untested, impl) for impl in order),
    ]:
        name, crate = impl.type["pair_id"], impl.type["category"]
        if len(pairs) >= amount:
            break
        if name in pairs or per_crate[crate] >= MAX_PER_CRATE:
            continue
        pair = make(impl, random.Random(f"{seed}:{name}"))
        if pair is not None:
            per_crate[crate] += 1
            pairs[name] = pair
        elif make is _untested:
            drops.append(
                Drop(
                    stage=STAGE,
                    why=f"no Rust dialogue of {MIN_LINES} lines or more that stays below "
                    f"{MAX_CHARS} characters",
                    source_path=impl.type["source_path"],
                    line=impl.type["source_start_line"],
                    item=impl.type["source_symbol"],
                )
            )
    return list(pairs.values()), drops


def _impls(rust_rows: pl.DataFrame, read_source: Callable[[str], str]) -> Iterator[_Impl]:
    """Yield the types with at least one method that has a row, in source order.

    Answers whose comments contain Markdown fences are left out, because answers must be code only.
    """
    code = rust_rows.filter(
        (pl.col("language") == "rust")
        & (pl.col("response_mode") == "code_only")
        & ~pl.col("response").str.contains("```", literal=True)
    ).sort("source_path", "source_start_line", "pair_id")
    owners: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    types: list[Mapping[str, Any]] = []
    for row in code.iter_rows(named=True):
        if row["task_family"] == "define_type":
            types.append(row)
        elif row["task_family"] in _METHOD_FAMILIES:
            owner, _, name = row["source_symbol"].rpartition("::")
            owners.setdefault((row["source_path"], owner), {})[name] = row
    tests: dict[str, list[UnitTest]] = {}
    for type_ in types:
        path = type_["source_path"]
        own = owners.get((path, type_["source_symbol"]), {})
        methods = {name: row for name, row in own.items() if row["lane"] == type_["lane"]}
        if methods:
            if path not in tests:
                tests[path] = _tests_in(path, read_source)
            impl = _Impl(type_, methods, ())
            yield _Impl(
                type_, methods, tuple(entry for entry in tests[path] if _suits(entry, impl))
            )


def _tests_in(path: str, read_source: Callable[[str], str]) -> list[UnitTest]:
    try:
        return unit_tests(read_source(path))
    except IncludeError:
        return []


def _suits(test: UnitTest, impl: _Impl) -> bool:
    """Check whether a test is about the type and calls only functions of the dialogue."""
    own = {name for owner, name in test.associated if owner == impl.name}
    return (
        own | test.methods <= set(impl.methods)
        and not test.functions
        and impl.name in _TYPE_NAME.findall(test.text)
        and 0 < len(impl.used_by(test)) <= MAX_METHODS
        and "```" not in test.text
    )


def _tested(impl: _Impl, rng: random.Random) -> Pair | None:
    """Make a dialogue that ends in a test, or return None if no test fits the limits."""
    for test in rng.sample(impl.tests, k=len(impl.tests)):
        rows = [impl.methods[name] for name in impl.used_by(test)]
        if (pair := _pair(impl, rows, test, rng)) is not None:
            return pair
    return None


def _untested(impl: _Impl, rng: random.Random) -> Pair | None:
    """Make a dialogue of as many documented methods as fit the limits, or return None."""
    documented = [row for row in impl.methods.values() if row["task_family"] == _METHOD_FAMILIES[0]]
    for amount in range(min(MAX_METHODS, len(documented)), 0, -1):
        rows = sorted(rng.sample(documented, k=amount), key=lambda row: row["source_start_line"])
        if (pair := _pair(impl, rows, None, rng)) is not None:
            return pair
    return None


def _pair(
    impl: _Impl, methods: Sequence[Mapping[str, Any]], test: UnitTest | None, rng: random.Random
) -> Pair | None:
    first = impl.type
    dialogue: list[Turn] = [(first["prompt"], first["response"])]
    leads = [rng.choice(_METHOD_LEADS), *rng.sample(_NEXT_LEADS, k=MAX_METHODS - 1)]
    for lead, row in zip(leads, methods, strict=False):
        dialogue.append(
            (f"{lead}\n\n{_without_definition(row['prompt'], first['response'])}", row["response"])
        )
    if test is not None:
        dialogue.append((_test_request(impl, test, dialogue, rng), test.text))
    answers = [answer for _, answer in dialogue]
    if (
        len(set(answers)) < len(answers)
        or sum(answer.count("\n") + 1 for answer in answers) < MIN_LINES
        or sum(len(part) for turn in dialogue for part in turn) > MAX_CHARS
    ):
        return None
    used = [first, *methods]
    ends = [row["source_end_line"] for row in used] + ([test.end_line] if test else [])
    return Pair(
        messages=turns(*(part for turn in dialogue for part in turn)),
        lane=first["lane"],
        response_mode="code_only",
        task_family="dialogue",
        language="rust",
        origin="synthetic",
        category=first["category"],
        difficulty=max(row["difficulty"] for row in used),
        source_kind="synthetic",
        source_path=first["source_path"],
        source_start_line=min(row["source_start_line"] for row in used),
        source_end_line=max(ends),
        source_symbol=f"{first['source_symbol']}::dialogue",
        source_commit=first["source_commit"],
        source_date=first["source_date"],
        parents=tuple(row["pair_id"] for row in used),
    )


def _without_definition(prompt: str, given: str) -> str:
    """Remove from a prompt the definition that an earlier turn has given."""
    left = _NOTHING_DECLARED.sub("", _CONTEXT.sub("", prompt.replace(given, "")))
    left = re.sub(r"\n+```(?!rust)", "\n```", re.sub(r"```rust\n+", "```rust\n", left))
    return re.sub(r"\n{3,}", "\n\n", left).strip()


def _test_request(impl: _Impl, test: UnitTest, earlier: Sequence[Turn], rng: random.Random) -> str:
    """Describe a test: its name, its calls, other types it needs, its assertions."""
    methods = enumerated([f"`{name}`" for name in impl.used_by(test)])
    parts = [rng.choice(_TEST_LEADS).format(name=test.name, methods=methods)]
    known = {word for turn in earlier for part in turn for word in _TYPE_NAME.findall(part)}
    others = [
        word
        for word in dict.fromkeys(_TYPE_NAME.findall(_STRING.sub("", test.text)))
        if word not in known | _PRELUDE
    ]
    if others:
        parts.append(f"It also uses {enumerated([f'`{word}`' for word in others])}.")
    if test.assertions:
        quoted = ", ".join(f"`{entry}`" for entry in test.assertions[:MAX_QUOTED])
        parts.append(f"Among its assertions: {quoted}.")
    return " ".join(parts)
