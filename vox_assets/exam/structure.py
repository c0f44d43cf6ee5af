"""Reads the declarations and the structural facts of a Vox program.

`declared` lists what a program declares. `facts` describes as texts what the declarations hold:
fields, options of endpoints, routes, states and transitions, members of components, and the bodies
of functions in their normal form. A fact is `subject: content`. Two programs have equal facts if
they differ only in the order of independent parts and in what `normal_form` ignores.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from lark import Token, Tree

from vox_assets.exam.code_tree import plain_name, refuse_deep, type_text
from vox_assets.exam.normal_form import body, expression, statements
from vox_assets.exam.task import Declared
from vox_assets.vox_syntax import parse
from vox_assets.vox_syntax.constructs import kind_and_name, modified
from vox_assets.vox_syntax.lexer import words

_Node = Tree[Token]
#: Declarations whose parameters and result an answer has to repeat.
_CALLABLE = frozenset(
    "function ai_function component fragment extern workflow activity handler".split()
)
_FUNCTIONS = frozenset({"function", "ai_function"})
_TYPES = frozenset({"named_type", "generic_type", "function_type"})


def declared(source: str) -> tuple[Declared, ...]:
    """List the declarations of a program in order, handlers of actors included.

    Raises VoxSyntaxError for a program that does not parse or that nests too deeply.
    """
    return tuple(item for node in _top_level(source) for item in _declared(node, source))


def facts(source: str, run: Collection[str] = ()) -> tuple[str, ...]:
    """List the structural facts of a program, sorted.

    The bodies of the functions named in `run` give no facts, because hidden calls decide them. A
    handler is named like `Actor.handler`. Raises VoxSyntaxError like `declared`.
    """
    found = {fact for node in _top_level(source) for fact in _facts(node, source, run)}
    return tuple(sorted(found))


def subject(fact: str) -> str:
    """Return what a fact is about: a kind and a name, such as `table Boat`."""
    return fact.partition(": ")[0]


def _top_level(source: str) -> list[_Node]:
    tree = parse(source)
    refuse_deep(tree)
    return _trees(tree)


def _trees(node: _Node, *kinds: str) -> list[_Node]:
    """Return the child nodes, or those of the given kinds."""
    children = (child for child in node.children if isinstance(child, Tree))
    return [child for child in children if not kinds or child.data in kinds]


def _tokens(node: _Node) -> list[Token]:
    return [child for child in node.children if isinstance(child, Token)]


def _text(node: _Node, source: str) -> str:
    return source[node.meta.start_pos : node.meta.end_pos]


# ------------------------------------------------------------------ declarations


def _callable(node: _Node) -> _Node | None:
    """Return the node with the parameters: the declaration itself or the function inside it."""
    inner = modified(node)
    if inner.data in _CALLABLE:
        return inner
    inside = _trees(inner, *_FUNCTIONS)
    return inside[0] if inside else None


def _declared(node: _Node, source: str) -> Iterator[Declared]:
    kind, name = kind_and_name(node)
    called = _callable(node)
    if called is None:
        yield Declared(kind, name)
    else:
        yield Declared(kind, name, *_signature(called, source))
    for handler in _trees(node, "handler") if kind == "actor" else ():
        own = f"{name}.{plain_name(handler.children[0])}"
        yield Declared("handler", own, *_signature(handler, source))


def _signature(node: _Node, source: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """Return the parameters with their types, and the type of the result."""
    parameters = []
    for parameter in _parameters(node):
        types = _trees(parameter, *_TYPES)
        written = type_text(types[0], source) if types else ""
        parameters.append((plain_name(parameter.children[0]), written))
    results = _trees(node, *_TYPES)
    return tuple(parameters), type_text(results[0], source) if results else ""


def _parameters(node: _Node) -> list[_Node]:
    return [item for inside in _trees(node, "parameters") for item in _trees(inside)]


# ------------------------------------------------------------------ facts of a declaration


def _facts(node: _Node, source: str, run: Collection[str]) -> Iterator[str]:
    kind, name = kind_and_name(node)
    label = f"{kind} {name}".rstrip()
    outer = node
    while outer is not modified(node):
        yield f"{label}: {'pub' if outer.data == 'public' else 'async'}"
        outer = _trees(outer)[0]
    called = _callable(node)
    if called is not None:
        yield from _function(label, called, source, kind, "" if name in run else name)
        for text in _tokens(modified(node)) if called is not modified(node) else ():
            yield f"{label}: {text}"
    write = _FACTS.get(kind)
    for fact in write(modified(node), source) if write else ():
        if name not in run or kind not in _VIEWS or not fact.startswith(_SHOWN):
            yield f"{label}: {fact}"
    for handler in _trees(node, "handler") if kind == "actor" else ():
        own = f"{name}.{plain_name(handler.children[0])}"
        yield from _function(
            f"handler {own}", handler, source, "handler", "" if own in run else own
        )


def _function(label: str, node: _Node, source: str, kind: str, decided: str) -> Iterator[str]:
    """Yield the decorators, effects, defaults and type parameters, and the body where `decided`."""
    for child in _trees(node):
        if child.data == "parameters":
            for parameter in _trees(child):
                for default in _trees(parameter, "default"):
                    value = expression(default.children[0], source)
                    yield f"{label}: {plain_name(parameter.children[0])} = {value}"
        elif child.data == "contract":
            # The condition in its normal form, and the rest as it is written.
            condition = child.children[0]
            found = words(_text(child, source))
            fallback = found[found.index("fallback") :] if len(child.children) > 1 else []
            written = [
                expression(condition, source),
                *([" ".join(fallback[:3])] if fallback else []),
            ]
            yield f"{label}: {found[0]}({', '.join(written)})"
        elif child.data == "effects":
            yield f"{label}: uses {_sorted_parts(words(_text(child, source))[1:])}"
        elif child.data == "generics":
            yield f"{label}: {_joined(words(_text(child, source)))}"
        elif child.data == "block" and decided:
            if kind in ("test", "property"):
                yield from (f"{label}: {line}" for line in statements(child, source))
            else:
                yield f"{label}: does {body(child, source)}"
        elif child.data in _DECORATORS:
            yield f"{label}: {_options(words(_text(child, source)))}"


_VIEWS = frozenset({"component", "fragment"})
#: Starts of the facts that say what a component shows, and after which clicks.
_SHOWN = ("view: ", "shows ", "state ", "derived ", "effect", "on mount: ")
_DECORATORS = frozenset(
    "decorator effect_decorator cors rate_limit webhook hole ai prompt search subagent".split()
)


def _joined(found: Iterable[str]) -> str:
    """Write lexemes in one line."""
    text = " ".join(found)
    for wide, tight in (
        (" ,", ","),
        (" :", ":"),
        ("( ", "("),
        (" )", ")"),
        ("[ ", "["),
        (" ]", "]"),
    ):
        text = text.replace(wide, tight)
    return text.replace(" (", "(").replace("< ", "<").replace(" >", ">").replace(" <", "<")


def _split(found: Sequence[str]) -> list[list[str]]:
    """Split lexemes at the commas outside brackets."""
    parts: list[list[str]] = [[]]
    depth = 0
    for word in found:
        depth += (word in "([{") - (word in ")]}")
        if word == "," and not depth:
            parts.append([])
        else:
            parts[-1].append(word)
    return [part for part in parts if part]


def _sorted_parts(found: Sequence[str]) -> str:
    return ", ".join(sorted(map(_joined, _split(found))))


def _options(found: Sequence[str]) -> str:
    """Write a decorator with its options sorted, because their order means nothing."""
    if len(found) < 2:
        return found[0]
    return f"{found[0]}({_sorted_parts(found[2:-1])})"


# ------------------------------------------------------------------ facts by construct


def _fields(node: _Node, source: str) -> Iterator[str]:
    parts = _trees(node, "field", "variant", "url_variant", "v0_prop")
    yield f"has {len(parts)} {'fields' if node.data in ('struct', 'table') else 'parts'}"
    for part in parts:
        found = words(_text(part, source))
        if part.data in ("field", "v0_prop"):
            optional = "?" if "?" in found[:2] else ""
            written = type_text(part.children[-1], source)
            yield f"{plain_name(part.children[0])}{optional}: {written}"
        else:
            yield _joined(found[found[0] == "|" :])
    if node.data == "v0_component":
        yield f"from {_tokens(node)[0]}"


def _index(node: _Node, source: str) -> Iterator[str]:
    yield "on " + ", ".join(plain_name(child) for child in node.children[2:])


def _constant(node: _Node, source: str) -> Iterator[str]:
    types = _trees(node, *_TYPES)
    if types and len(node.children) > 2:
        yield f"is {type_text(types[0], source)}"
    yield f"= {expression(node.children[-1], source)}"


def _import(node: _Node, source: str) -> Iterator[str]:
    for found in _split(words(_text(node, source))[1:]):
        if found[-1] == "}":
            opening = found.index("{")
            yield f"{''.join(found[: opening - 1])} as {{{_sorted_parts(found[opening + 1 : -1])}}}"
        else:
            yield _joined(found)


def _extern(node: _Node, source: str) -> Iterator[str]:
    yield f"from {_tokens(node)[-1]}"


def _gaps(node: _Node, source: str) -> list[str]:
    """Return the lexemes of a node that are in none of its child nodes."""
    found = []
    start = node.meta.start_pos
    for child in _trees(node):
        found += words(source[start : child.meta.start_pos])
        start = child.meta.end_pos
    return [*found, *words(source[start : node.meta.end_pos])]


def _properties(found: Sequence[str]) -> Iterator[str]:
    """Yield each `key: value` of lexemes."""
    for before, sign, after in zip(found, found[1:], found[2:], strict=False):
        if sign == ":":
            yield f"{before}: {after}"


def _routes(node: _Node, source: str, above: str = "") -> Iterator[str]:
    routes = _trees(node, "route")
    for route in routes:
        path = f"{above}{route.children[0]}"
        nested = _trees(route, "nested_routes")
        end = nested[0].meta.start_pos if nested else route.meta.end_pos
        found = words(source[route.meta.start_pos : end])
        options = ", ".join(sorted(_properties(found[3:])))
        yield f"{path} to {found[2]}{' with ' if options else ''}{options}"
        for inner in nested:
            yield from _routes(inner, source, f"{path} > ")
    if not above:
        yield f"has {len(list(node.find_data('route')))} routes"
        yield from _properties(_gaps(node, source))


def _machine(node: _Node, source: str) -> Iterator[str]:
    states, transitions = _trees(node, "machine_state"), _trees(node, "transition")
    yield f"has {len(states)} states and {len(transitions)} transitions"
    if _gaps(node, source)[0] == "partial":
        yield "partial"
    yield from (_joined(words(_text(state, source))) for state in states)
    for transition in transitions:
        found = words(_text(transition, source))
        start = found.index("from")
        bound = [word for word in found[2:start] if word.isidentifier()]
        pattern = found[start + 2 : found.index("->")]
        bound += [word for word in pattern if word.isidentifier() and word[0].islower()]
        numbers = {name: f"${number}" for number, name in enumerate(dict.fromkeys(bound), 1)}
        shown = [word if index < 2 else numbers.get(word, word) for index, word in enumerate(found)]
        yield _joined(shown)


def _form(node: _Node, source: str) -> Iterator[str]:
    fields = _trees(node, "form_field")
    yield f"has {len(fields)} fields"
    for field in fields:
        written = _trees(field, *_TYPES)[0]
        rules: list[list[str]] = []
        depth = 0
        for word in words(source[written.meta.end_pos : field.meta.end_pos]):
            if depth or word == "(":
                rules[-1].append(word)
            else:
                rules.append([word])
            depth += (word == "(") - (word == ")")
        shown = " ".join(sorted(map(_joined, rules)))
        name = plain_name(field.children[0])
        yield f"field {name}: {type_text(written, source)} {shown}".rstrip()
    yield from _properties(_gaps(node, source))


def _tokens_block(node: _Node, source: str) -> Iterator[str]:
    length = {"color": 8, "font": 5}
    found = words(_text(node, source))[2:-1]
    while found:
        size = length.get(found[0], 4)
        yield _joined(found[:size])
        found = found[size:]


def _handlers(node: _Node, source: str) -> Iterator[str]:
    yield from _properties(words(_text(node, source)))


def _component(node: _Node, source: str) -> Iterator[str]:
    for member in _trees(node):
        match member.data:
            case "parameters" | "half_reserved":
                continue
            case "state" | "derived":
                value = expression(member.children[-1], source)
                types = [
                    item for item in _trees(member, *_TYPES) if item is not member.children[-1]
                ]
                written = (
                    f": {type_text(types[0], source)}" if types and member.data == "state" else ""
                )
                yield f"{member.data} {plain_name(member.children[0])}{written} = {value}"
            case "effect":
                watched = ", ".join(sorted(plain_name(item) for item in member.children[:-1]))
                shown = _handed_over(member.children[-1], source)
                yield f"effect{' on ' if watched else ''}{watched}: {shown}"
            case "lifecycle":
                moment = words(source[member.meta.start_pos : member.meta.end_pos])[1]
                yield f"on {moment}: {_handed_over(member.children[-1], source)}"
            case "view":
                yield f"view: {expression(member.children[-1], source)}"
            case "style":
                yield from _style(member)
            case _:
                yield f"does {expression(member, source)}"


def _handed_over(node: _Node | Token, source: str) -> str:
    """Write the body of an effect, which is an expression or a block."""
    shown = expression(node, source)
    return shown if isinstance(node, Tree) and node.data == "block_value" else f"{{ {shown} }}"


def _style(node: _Node) -> Iterator[str]:
    for rule in _trees(node):
        for item in _trees(rule, "style_property"):
            name, value = item.children
            yield f"style .{plain_name(rule.children[0])} {name}: {value}"


def _fragment(node: _Node, source: str) -> Iterator[str]:
    yield f"shows {expression(node.children[-1], source)}"


def _peers(node: _Node, source: str) -> Iterator[str]:
    for child in _trees(node, "distributed_train"):
        yield _options(words(_text(child, source)))


_FACTS = {
    "table": _fields,
    "struct": _fields,
    "adt": _fields,
    "url_type": _fields,
    "v0_component": _fields,
    "index": _index,
    "constant": _constant,
    "import": _import,
    "extern": _extern,
    "routes": _routes,
    "state_machine": _machine,
    "form": _form,
    "tokens": _tokens_block,
    "mobile": _handlers,
    "component": _component,
    "fragment": _fragment,
    "workflow": _peers,
}
