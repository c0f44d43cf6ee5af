"""Selection of Rust items by size, completeness and literals, and the difficulty of a row."""

from __future__ import annotations

import re

from vox_assets.contract.answers import FENCE
from vox_assets.contract.rows import Reason
from vox_assets.extract.docs import markdown, mdbook
from vox_assets.extract.rust.doc_comment import (
    CHECKBOX,
    RUSTDOC_WORDS,
    WORK_MARK,
    WORK_WORDS,
)
from vox_assets.extract.rust.items import Item, has_errors

#: Without documentation only the body explains an item; shorter bodies are simple accessors.
MIN_UNDOCUMENTED_LINES = 3

#: The limit of StarCoder2's self-alignment; longer functions are whole programs.
MAX_CODE_LINES = 150

#: About 2,000 tokens: no profile trains on a wider context.
MAX_CODE_CHARS = 7_000

#: An explanation shorter than this repeats the signature in words.
MIN_PROSE_CHARS = 100

MAX_PROSE_CHARS = 2_500

#: Highest share of string literals in an undocumented body: the question does not contain their
#: texts, so that above it the question has no answer.
MAX_LITERAL_SHARE = 0.4

#: A shorter example of an API is the call itself.
MIN_EXAMPLE_CHARS = 20

_UNFINISHED = re.compile(r"\b(?:todo|unimplemented)!\s*[(\[{]")

#: Words that start a path and are not names of modules.
PATH_WORDS = {"crate", "self", "super"}

WORD = re.compile(r"\w+")

LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)

#: Texts that occur at branches: an approximation for ranking, which also counts words in comments.
_BRANCHES = ("if ", "match ", "while ", "loop {", "for ", "=>", "?;", "?.", "?)")

_NOT_AN_EXAMPLE = {"compile_fail", "should_panic"}


def difficulty(item: Item) -> int:
    """Rate an item from 1 to 10.

    It gets a point for 15 lines (up to 4) and for 4 branches (up to 3), and a point each for
    generics, lifetimes, async and unsafe.
    """
    lines = item.text.count("\n") + 1
    branches = sum(map(item.body.count, _BRANCHES))
    header = item.container.header if item.container else ""
    generic = (
        "<" in item.signature.split("(", 1)[0] or " where" in item.signature or "impl<" in header
    )
    lifetimes = "'" in item.signature
    return min(
        10,
        1
        + min(4, lines // 15)
        + min(3, branches // 4)
        + generic
        + lifetimes
        + ("async " in item.signature)
        + ("unsafe" in item.text),
    )


def prose_difficulty(text: str) -> int:
    """Rate prose from 1 to 10: a point for each 500 characters."""
    return min(10, 1 + len(text) // 500)


def example_code(fence: markdown.Fence) -> str | None:
    """Return the Rust of a doc example without lines hidden by `# `, or None if it is not Rust."""
    words = {word for word in re.split(r"[\s,]+", fence.info.lower()) if word}
    if words & _NOT_AN_EXAMPLE or not all(
        word in RUSTDOC_WORDS or word.startswith(("edition", "ignore-", "e0")) for word in words
    ):
        return None
    return mdbook.without_hidden_lines(fence.content)


def parseable(code: str) -> str | None:
    """Return `code`, inside a function if it parses only there, or None if it does not parse."""
    inside = "\n".join(f"    {line}".rstrip() for line in code.split("\n"))
    wrapped = f"fn main() {{\n{inside}\n}}"
    # Code that does not parse inside a function does not parse outside either. Prose, which is slow
    # to parse, is therefore parsed once only.
    if has_errors(wrapped):
        return None
    return wrapped if has_errors(code) else code


def code_problem(item: Item) -> Reason | str | None:
    """Return why the code of an item cannot be an answer, or None."""
    if item.kind == "function" and not item.body:
        return "declared without a body"
    if item.kind == "function" and not item.body[1:-1].strip():
        return "an empty body"
    text = item.text
    if text.count("\n") + 1 > MAX_CODE_LINES:
        return f"longer than {MAX_CODE_LINES} lines"
    header = item.container.header if item.container else ""
    if len(text) + len(header) > MAX_CODE_CHARS:
        return f"longer than {MAX_CODE_CHARS:,} characters"
    if ("todo!" in text or "unimplemented!" in text) and _UNFINISHED.search(item.body):
        return Reason("unfinished", "todo! or unimplemented! in its body")
    if ("```" in text or "~~~" in text) and FENCE.search(text):
        return "holds the marks of a Markdown fence"
    return None


def prose_problem(prose: str) -> str | None:
    """Return why documentation cannot be an answer, as the end of a sentence about it, or None."""
    if len(prose) < MIN_PROSE_CHARS:
        return "too short to explain"
    if len(prose) > MAX_PROSE_CHARS:
        return "too long for one answer"
    if "```" in prose or "~~~" in prose or "{{#" in prose or "<!--" in prose:
        return "that is more than prose"
    # The pattern is slow without a match; a search for its words first is fast.
    has_checkbox = "[" in prose and CHECKBOX.search(prose)
    if has_checkbox or (any(word in prose for word in WORK_WORDS) and WORK_MARK.search(prose)):
        return "that speaks of work to do"
    return None


def body_lines(item: Item) -> int:
    """Count the lines of the body that are neither blank nor a comment."""
    inside = item.body[1:-1].split("\n")
    return sum(1 for line in inside if (text := line.strip()) and not text.startswith("//"))
