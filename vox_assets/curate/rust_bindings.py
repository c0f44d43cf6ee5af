"""Finds faults of Rust answers that parse: undeclared or unused variables, bodies without work.

Works on the syntax tree alone, so it knows neither types nor the rest of the workspace. A name is a
variable only where it cannot be anything else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from tree_sitter import Node

from vox_assets import rust_syntax
from vox_assets.curate.code_text import bare_code

_WORD = re.compile(r"[A-Za-z_]\w*")
#: What a prompt declares that code can name without a path.
_DECLARED = re.compile(r"\b(?:fn|const|static|mod|let|let\s+mut)\s+([A-Za-z_]\w*)")
#: Macros whose arguments are values, the first of them perhaps a format string.
_VALUE_MACROS = re.compile(
    r"(?:\w+::)*(?:format|e?print(?:ln)?|write(?:ln)?|panic|(?:debug_)?assert(?:_eq|_ne)?|vec|bail"
    r"|ensure|anyhow|info|warn|error|debug|trace)!"
)
_VALUE = re.compile(r"(?<![\w.:'#])([a-z_][a-z0-9_]*)\b(?!\s*(?:[(!:{]|=[^=]|=>))")
_NAMED_ARGUMENT = re.compile(r"\b([a-z_][a-z0-9_]*)\s*=(?!=)")
#: The first argument of a formatting macro, or of `write!` the second. A raw string is often code.
_FORMAT_STRING = re.compile(
    r"\A(?!vec|ensure|assert)[\w:]+!\s*[(\[{]\s*(?:&?\w+,\s*)?\"(?:\\[\s\S]|[^\"\\])*\""
)
_INLINE = re.compile(r"(?<!\{)\{([a-z_][a-z0-9_]*)(?:[:!][^{}]*)?\}(?!\})")
#: Functions that are given functions: handlers of routes, constructors, adapters.
_TAKES_FUNCTION = re.compile(
    r"(?:\b|::)(?:get|post|put|patch|delete|any|fallback|map_or|map_or_else|fold|spawn\w*|from_fn\w*"
    r"|try_fold|sort_by\w*|(?:Box|Arc|Rc)(?:::<[^>]*>)?::new)\Z"
)
_MACRO_DECLARES = re.compile(r"\blet\b|=>|\||\bmatches!")
_KEYWORDS = frozenset(
    "as async await break const continue dyn else false fn for if impl in let loop match mod move"
    " mut pub ref return static true unsafe use where while str bool char u8 u16 u32 u64 u128"
    " usize i8 i16 i32 i64 i128 isize f32 f64".split()
)
_LOWER = re.compile(r"_*[a-z][a-z0-9_]*\Z")
#: Nodes whose `pattern` declares names.
_DECLARING = frozenset(
    {
        *("let_declaration", "parameter", "match_arm", "for_expression", "let_condition"),
        *("closure_parameters", "if_let_expression", "while_let_expression"),
    }
)
#: An identifier below one of these names something else than a variable.
_NOT_A_VARIABLE = frozenset(
    {
        *("scoped_identifier", "use_declaration", "use_list", "scoped_use_list", "use_as_clause"),
        *("macro_invocation", "macro_definition", "token_tree", "attribute", "attribute_item"),
        *("inner_attribute_item", "function_item", "function_signature_item", "mod_item"),
        *("enum_variant", "const_item", "static_item", "generic_function", "label", "lifetime"),
        *(
            "scoped_type_identifier",
            "extern_crate_declaration",
            "const_parameter",
            "tuple_struct_pattern",
        ),
    }
)
_ITEMS = (
    "function_item",
    "const_item",
    "static_item",
    "function_signature_item",
    "const_parameter",
)
#: Expressions that a stub returns.
_TRIVIAL = re.compile(
    r"""|(?:return\s+)?(?:
        (?:Ok|Some|Err|Box::new|Arc::new|Rc::new)\s*\(\s*\)
      | (?:(?:Ok|Some|Box::new)\s*\(\s*)?(?:
            \(\)|None|true|false|-?\d+(?:\.\d+)?(?:_?[iuf]\d+|_?usize)?
          | "{2}(?:\.(?:to_string|into|to_owned)\(\))?|String::new\(\)
          | (?:Vec|VecDeque|HashMap|HashSet|BTreeMap|BTreeSet|PathBuf)(?:::<[^>]*>)?::new\(\)
          | vec!\[\]|\[\]|(?:[\w:]+::)?default\(\)|(?:Self|\w+)\s*\{\s*\}
        )\s*\)?
    )\s*;?\s*""",
    re.VERBOSE,
)


def undeclared(code: str, prompt: str) -> str | None:
    """Find a variable that is used and that neither the code nor the prompt declares."""
    root = _parse(code)
    if root is None:
        return None
    known = {"self", "crate", "super"} | set(_DECLARED.findall(prompt))
    used: dict[str, None] = {}
    for node in _nodes(root):
        if node.type in _ITEMS and (name := node.child_by_field_name("name")):
            known.add(_text(name))
        if node.type in ("macro_invocation", "macro_definition"):
            # A macro may declare names in ways of its own.
            inside = bare_code(_text(node))
            if _MACRO_DECLARES.search(inside):
                known.update(_WORD.findall(inside))
            elif _VALUE_MACROS.match(_text(node)):
                known.update(_NAMED_ARGUMENT.findall(inside))
                values = _VALUE.findall(inside.partition("!")[2])
                template = _FORMAT_STRING.search(_text(node))
                values += _INLINE.findall(template[0]) if template else []
                used.update(dict.fromkeys(name for name in values if name not in _KEYWORDS))
        for pattern in _patterns(node):
            known.update(_text(n) for n in _nodes(pattern) if n.type in _BINDING)
        if node.type == "identifier" and node.parent and _is_variable(node, node.parent):
            used[_text(node)] = None
    return next((name for name in used if name not in known and _LOWER.match(name)), None)


_BINDING = ("identifier", "shorthand_field_identifier")


def _is_variable(node: Node, parent: Node) -> bool:
    if parent.type in _NOT_A_VARIABLE:
        return False
    # A function of the workspace is called, or passed to another function, by its name alone.
    call = parent.parent if parent.type == "arguments" else parent
    function = call.child_by_field_name("function") if call is not None else None
    if function is None or call is None or call.type != "call_expression":
        return True
    if call is parent:
        return function.id != node.id
    takes_one = parent.named_child_count == 1 and function.type == "field_expression"
    return not takes_one and not _TAKES_FUNCTION.search(_text(function))


def _patterns(node: Node) -> Iterator[Node]:
    if node.type == "closure_parameters":
        yield node
    elif node.type in _DECLARING:
        pattern = node.child_by_field_name("pattern")
        if pattern is not None:
            yield pattern


def unused(code: str) -> str | None:
    """Find a `let` variable that nothing uses, unless its name begins with an underscore."""
    root = _parse(code)
    if root is None:
        return None
    words: Counter[str] | None = None
    for node in _nodes(root):
        if node.type != "let_declaration":
            continue
        pattern = node.child_by_field_name("pattern")
        if pattern is None or pattern.type != "identifier":
            continue
        name = _text(pattern)
        words = words or Counter(_WORD.findall(code))
        if words[name] == 1 and not name.startswith("_"):
            return name
    return None


def trivial_body(code: str) -> str | None:
    """Find a function that takes parameters, uses none, and returns a constant of no content."""
    root = _parse(code)
    if root is None:
        return None
    for node in _nodes(root):
        body = node.child_by_field_name("body") if node.type == "function_item" else None
        parameters = node.child_by_field_name("parameters") if body else None
        if body is None or parameters is None:
            continue
        inside = _text(body)[1:-1]
        names = [
            _text(n)
            for parameter in parameters.named_children
            if parameter.type == "parameter"
            for n in _nodes(parameter.child_by_field_name("pattern"))
            if n.type == "identifier"
        ]
        if (
            names
            and not any(n.startswith("_") for n in names)
            and _TRIVIAL.fullmatch(inside.strip())
        ):
            return inside.strip() or "{}"
    return None


@lru_cache(maxsize=1)
def _parse(code: str) -> Node | None:
    # The three detectors inspect the same answer one after the other.
    root = rust_syntax.parse(code.encode("utf-8", "replace"))
    return None if root.has_error else root


def _nodes(root: Node | None) -> Iterator[Node]:
    pending = [root] if root is not None else []
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(node.children))


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")
