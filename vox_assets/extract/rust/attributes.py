"""Rust attributes: which mark test code, and which paths `cfg_attr` names."""

from __future__ import annotations

import re
from collections.abc import Iterator

ATTRIBUTE = re.compile(r"#!?\s*\[\s*(?:unsafe\s*\(\s*)?((?:\w+\s*::\s*)*\w+)\s*")


_CFG_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\w+|[(),=]', re.DOTALL)


CFG_MACRO = re.compile(r"\bcfg!\s*(\([^;{}]{0,200})")


_CFG_ATTR_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\w:]+|[(),]', re.DOTALL)


TEST_ATTRIBUTE = re.compile(
    r"(?:^|[:_])tests?(?:$|[:_])"  # test, tokio::test, test_case, wasm_bindgen_test, test_log::..
    r"|(?:^|::)(?:rstest\w*|proptest|quickcheck|gtest|fixture|bench|should_panic|proof|parameterized)$"
)


PATH_ATTRIBUTE = re.compile(r'#\s*\[\s*path\s*=\s*"([^"]+)"')


def is_test_attribute(attribute: str) -> bool:
    """Whether an attribute, as written, makes its item test code.

    `cfg` counts where `test` is asked for, however deep in `all` or `any`; under `not` it is not.
    Of the others those count that a test framework reads, also inside `cfg_attr`.
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


def asks_for_test(predicate: str) -> bool:
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
    """Paths of the attributes that a `cfg_attr` adds: what follows its commas at the top level."""
    depth = 0
    is_next = False
    for token in _CFG_ATTR_TOKEN.findall(arguments):
        depth += (token == "(") - (token == ")")
        if is_next:
            yield token
        is_next = token == "," and depth == 1
