"""Finds faults of Rust answers that parse: undeclared or unused variables, bodies without work.

Works on the syntax tree alone, so it knows neither types nor the rest of the workspace. A name is a
variable only where it cannot be anything else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache

from tree_sitter import Node

from vox_assets import rust_syntax
from vox_assets.curate.code_text import bare_code

_WORD = re.compile(r"[A-Za-z_]\w*")
#: What a prompt declares that code can name without a path; an indented `fn` is a method.
_DECLARED = re.compile(
    r"(?:^|`)(?:pub(?:\([^)]*\))?\s+|(?:async|const|unsafe)\s+)*fn\s+([A-Za-z_]\w*)"
    r"|\b(?:const|static|mod|let|let\s+mut)\s+([A-Za-z_]\w*)",
    re.MULTILINE,
)
#: Macros whose arguments are values, the first of them perhaps a format string.
_VALUE_MACROS = re.compile(
    r"(?:\w+::)*(?:(?P<matches>matches)|(?:debug_)?assert(?:_eq|_ne)?|vec|ensure|json|params"
    r"|format|e?print(?:ln)?|write(?:ln)?|panic|bail|anyhow|info|warn|error|debug|trace)!"
)
_VALUE = re.compile(r"(?<![\w.:'#])([a-z_][a-z0-9_]*)\b(?!\s*(?:[(!:{]|=[^=]|=>))")
_NAMED_ARGUMENT = re.compile(r"\b([a-z_][a-z0-9_]*)\s*=(?!=)")
_FIRST_ARGUMENT = re.compile(r"[^,|]*")
#: The first argument of a formatting macro, or of `write!` the second.
_FORMAT_STRING = re.compile(
    r"(?!(?:\w+::)*(?:matches|(?:debug_)?assert|vec|ensure|json|params))[\w:]+!\s*[(\[{]\s*"
    r"(?:&?\w+,\s*)?(?:\"(?:\\[\s\S]|[^\"\\])*\"|r(?P<hashes>#*)\"[\s\S]*?\"(?P=hashes))"
)
_CFG = re.compile(r"\bcfg!\s*\([^()]*\)")
#: Characters before a name in which the function that is called with it is searched.
_LONGEST_CALLED = 80
_INLINE = re.compile(r"(?<!\{)\{([a-z_][a-z0-9_]*)(?:[:!][^{}]*)?\}(?!\})")
#: Functions and methods that are given functions: adapters, constructors, handlers of routes.
_TAKES_FUNCTION = re.compile(
    r"""(?:\b|::)(?:(?:flat_|filter_)?map(?:_\w+)?|(?:try_)?for_each|(?:try_)?fold|filter|inspect|all|any
    |and_then|or_else|then|unwrap_or_else|ok_or_else|is_\w+_(?:and|or)|find(?:_map)?|r?position|retain
    |(?:take|skip)_while|partition|scan|reduce|\w+_by(?:_key)?|\w+_(?:with|filter)|get|post|put|patch|delete
    |fallback|handler|layer|with_graceful_shutdown|spawn\w*|from_fn\w*|(?:Box|Arc|Rc|Lazy|LazyLock
    |OnceLock|LazyCell)(?:::<[^>]*>)?::new|call_once|get_or_init|catch_unwind)\Z""",
    re.VERBOSE,
)
_MACRO_DECLARES = re.compile(r"\blet\b|=>|(?<!\|)\|(?!\|)|\bmatches!")
_KEYWORDS = frozenset(
    "as async await break const continue dyn else false fn for if impl in let loop match mod move"
    " mut pub ref return static true unsafe use where while str bool char u8 u16 u32 u64 u128"
    " usize i8 i16 i32 i64 i128 isize f32 f64 null".split()
)
_LOWER = re.compile(r"_*[a-z][a-z0-9_]*\Z")
#: Nodes without variables, or that are inspected as text.
_OPAQUE = frozenset(
    {
        *("attribute_item", "inner_attribute_item", "use_declaration", "extern_crate_declaration"),
        *("macro_invocation", "macro_definition", "function_signature_item", "function_type"),
        *("struct_item", "enum_item", "union_item", "type_item", "where_clause"),
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
    r"""|(?:return\s+)?(?:(?:Ok|Some|Err|Box::new|Arc::new|Rc::new)\s*\(\s*){0,3}(?:
        \(\)|None|true|false|-?\d+(?:\.\d+)?(?:_?[iuf]\d+|_?usize)?
      | "{2}(?:\.(?:to_string|into|to_owned)\(\))?
      | (?:String|Vec|VecDeque|HashMap|HashSet|BTreeMap|BTreeSet|PathBuf)(?:::<[^>]*>)?::new\(\)
      | vec!\[\]|\[\]|(?:[\w:]+::)?default\(\)|(?:Self|\w+)\s*\{\s*\}
    )?[\s)]*;?\s*""",
    re.VERBOSE,
)


def undeclared(code: str, prompt: str) -> str | None:
    """Find a variable that is used where neither the code nor the prompt declares it."""
    root = _parse(code)
    if root is None:
        return None
    declared = {name for names in _DECLARED.findall(prompt) for name in names}
    scopes = [{"self", "crate", "super"} | declared | _items(root)]
    # Steps that are still to be taken, the next one last; no recursion, since chains of operators
    # nest as deep as they are long.
    pending: list[_Step] = [root]
    while pending:
        step = pending.pop()
        if isinstance(step, Node):
            for name in _used(step):
                if _LOWER.match(name) and not any(name in scope for scope in scopes):
                    return name
            pending.extend(reversed(_steps(step)))
        elif step is _Scope.ENTER:
            scopes.append(set())
        elif step is _Scope.LEAVE:
            scopes.pop()
        else:
            scopes[-1].update(step)
    return None


class _Scope(Enum):
    ENTER = 1
    LEAVE = 2


#: A node to inspect, the start or end of a scope, or names that are declared from here on.
_Step = Node | _Scope | frozenset[str]


def _steps(node: Node) -> list[_Step]:
    """Return what to inspect below a node, in the order in which names become visible."""
    if node.type in _OPAQUE:
        return []
    inside: list[_Step]
    if node.type == "let_declaration":
        return [*_fields(node, "value", "alternative"), _bound(node)]
    if node.type == "let_condition":
        return [*_fields(node, "value"), _bound(node)]
    if node.type == "for_expression":
        inside = [_bound(node), *_fields(node, "body")]
        return [*_fields(node, "value"), _Scope.ENTER, *inside, _Scope.LEAVE]
    if node.type in ("if_expression", "while_expression"):
        # What the condition binds is not visible in `else`.
        inside = [*_fields(node, "condition", "consequence", "body")]
        return [_Scope.ENTER, *inside, _Scope.LEAVE, *_fields(node, "alternative")]
    if node.type == "match_arm":
        guard = [g for p in _fields(node, "pattern") for g in _fields(p, "condition")]
        inside = [_bound(node), *guard, *_fields(node, "value")]
    elif node.type in ("function_item", "closure_expression"):
        inside = [_bound(node, "parameters"), *_fields(node, "body")]
    elif node.type == "block":
        inside = [*node.named_children]
    else:
        return [*node.named_children]
    return [_Scope.ENTER, *inside, _Scope.LEAVE]


def _fields(node: Node, *names: str) -> list[Node]:
    found = [node.child_by_field_name(name) for name in names]
    return [child for child in found if child is not None]


def _bound(node: Node, field: str = "pattern") -> frozenset[str]:
    """Return the names that a pattern or the parameters of a node declare."""
    names: set[str] = set()
    pending = _fields(node, field)
    while pending:
        part = pending.pop()
        if part.type in _BINDING:
            names.add(_text(part))
        guard = part.child_by_field_name("condition")
        pending.extend(n for n in part.named_children if guard is None or n.id != guard.id)
    return frozenset(names)


def _items(root: Node) -> set[str]:
    """Return the names that are visible everywhere: items, imports, and what macros may declare."""
    names: set[str] = set()
    for node in _nodes(root):
        if node.type in _ITEMS and (name := node.child_by_field_name("name")):
            names.add(_text(name))
        elif node.type in ("use_declaration", "macro_definition"):
            names.update(_WORD.findall(_text(node)))
        elif node.type == "macro_invocation" and not _VALUE_MACROS.match(_text(node)):
            inside = bare_code(_text(node))
            if _MACRO_DECLARES.search(inside):
                names.update(_WORD.findall(inside))
    return names


def _used(node: Node) -> list[str]:
    """Return the variables that a node itself uses: an identifier, or a macro its arguments."""
    if node.type == "identifier":
        return [_text(node)] if node.parent and _is_variable(node, node.parent) else []
    if node.type != "macro_invocation" or not (macro := _VALUE_MACROS.match(_text(node))):
        return []
    inside = _CFG.sub("", bare_code(_text(node)))
    if macro["matches"]:
        # The first argument is a value, the second a pattern.
        inside = _FIRST_ARGUMENT.match(inside.partition("!")[2])[0]  # type: ignore[index]
    elif _MACRO_DECLARES.search(inside):
        return []
    values = [
        match[1] for match in _VALUE.finditer(inside) if not _is_function(inside[: match.start()])
    ]
    if template := _FORMAT_STRING.match(_text(node)):
        values += _INLINE.findall(template[0])
    own = {*_NAMED_ARGUMENT.findall(inside), *_KEYWORDS}
    return [name for name in values if name not in own]


def _is_function(before: str) -> bool:
    """Return whether what follows this text is an argument of a call that takes functions."""
    called = before.rstrip()
    return called.endswith("(") and bool(_TAKES_FUNCTION.search(called[-_LONGEST_CALLED:-1]))


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
    return not _TAKES_FUNCTION.search(_text(function))


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
        # A parameter that begins with an underscore is not meant to be used.
        if not all(n.startswith("_") for n in names) and _TRIVIAL.fullmatch(inside.strip()):
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
