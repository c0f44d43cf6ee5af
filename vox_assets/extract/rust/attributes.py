"""Rust attributes: recognition of attributes that mark test code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vox_assets import rust_syntax

ATTRIBUTE = re.compile(r"#!?\s*\[\s*(?:unsafe\s*\(\s*)?((?:\w+\s*::\s*)*\w+)\s*")

_CFG_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\w+|[(),=]', re.DOTALL)

CFG_MACRO = re.compile(r"\bcfg!\s*(\([^;{}]{0,200})")

_CFG_ATTR_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\w:]+|[(),]', re.DOTALL)

TEST_ATTRIBUTE = re.compile(
    r"(?:^|[:_])tests?(?:$|[:_])"  # test, tokio::test, test_case, wasm_bindgen_test, test_log::..
    r"|(?:^|::)(?:rstest\w*|proptest|quickcheck|gtest|fixture|bench|should_panic|proof|parameterized)$"
)

_TEST_IN_CODE = re.compile(
    rb"#\[\s*(?:(?:\w+::)*(?:test|rstest|test_case|proptest|bench)\b"
    rb"|cfg\((?:\s*(?:all|any)\()*(?:[^()]*,)?\s*test\s*[,)])"
)

_PATH_ATTRIBUTE = re.compile(r'#\s*\[\s*path\s*=\s*(?:r#*)?"([^"]+)"')

#: The path that a `cfg_attr` gives a module on some platforms.
_CONDITIONAL_PATH = re.compile(r',\s*path\s*=\s*(?:r#*)?"([^"]+)"')


@dataclass(frozen=True, slots=True)
class ModulePath:
    """The file that an attribute names for a module, and whether it does so in tests only."""

    path: str
    test: bool


def module_paths(attributes: Iterable[str]) -> tuple[list[ModulePath], bool]:
    """Return the files that attributes name for a module, and whether it may have its usual file.

    `#[path]` replaces the usual file. `cfg_attr` does so where its predicate holds.
    """
    paths = []
    may_be_usual = True
    for attribute in attributes:
        if match := _PATH_ATTRIBUTE.match(attribute):
            paths.append(ModulePath(match.group(1), test=False))
            may_be_usual = False
        elif (name := ATTRIBUTE.match(attribute)) and name.group(1) == "cfg_attr":
            test = asks_for_test(attribute[name.end() :])
            named = _CONDITIONAL_PATH.findall(attribute)
            paths += [ModulePath(path, test) for path in named]
    return paths, may_be_usual


def is_test_attribute(attribute: str) -> bool:
    """Return whether an attribute, as written, makes its item test code.

    A `cfg` does if it requires `test`, also inside `all` and `any`, but not under `not`. Another
    attribute does if a test framework reads it, also inside `cfg_attr`.
    """
    match = ATTRIBUTE.match(attribute)
    if match is None:
        return False
    name = "".join(match.group(1).split())
    if name == "cfg":
        return asks_for_test(attribute[match.end() :])
    if name == "cfg_attr":
        return any(
            TEST_ATTRIBUTE.search(path) for path in _cfg_attr_paths(attribute[match.end() :])
        )
    return TEST_ATTRIBUTE.search(name) is not None


def has_test_attribute(answer: str) -> bool:
    """Return whether Rust code has a test attribute, other than as text in a literal."""
    if "test" not in answer and "bench" not in answer:
        return False
    pending = [rust_syntax.parse(answer.encode())]
    while pending:
        node = pending.pop()
        if node.type == "attribute_item":
            if _TEST_IN_CODE.match(node.text or b""):
                return True
        elif node.type not in ("string_literal", "raw_string_literal", "token_tree"):
            pending.extend(node.children)
    return False


def asks_for_test(predicate: str) -> bool:
    """Return whether the predicate of a `cfg` requires `test`."""
    negations: list[bool] = []
    tokens = _CFG_TOKEN.findall(predicate)
    for before, token, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        if token == "(":
            negations.append(before == "not")
        elif token == ")":
            negations = negations[:-1]
            if not negations:
                return False
        elif token == "test" and after != "=" and sum(negations) % 2 == 0:
            return True
    return False


def _cfg_attr_paths(arguments: str) -> Iterator[str]:
    """Return the paths of the attributes that a `cfg_attr` adds: those after top-level commas."""
    depth = 0
    is_next = False
    for token in _CFG_ATTR_TOKEN.findall(arguments):
        depth += (token == "(") - (token == ")")
        if is_next:
            yield token
        is_next = token == "," and depth == 1
