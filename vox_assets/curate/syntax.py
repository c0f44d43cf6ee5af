"""Whether an answer parses in its own language."""

from __future__ import annotations

from functools import cache

from vox_assets.vox_syntax.frontend import BuiltInGrammar, one_by_one

#: The first thing the built-in grammar refuses in a Vox program, in one line; None when it is good.
vox_fault = one_by_one(BuiltInGrammar())


def parses(language: str, text: str) -> bool:
    """True when `text` parses in `language`; a language without a parser here is not judged."""
    if language == "vox":
        return vox_fault(text) is None
    if language == "rust":
        return not rust_parser().parse(text.encode("utf-8", "replace")).root_node.has_error
    return bool(text.strip())


@cache
def rust_parser():  # type: ignore[no-untyped-def]
    """The parser of Rust, made once."""
    import tree_sitter
    import tree_sitter_rust

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))
