"""Components of a running program: what a reader sees of them, and what a click changes.

A reader sees texts, headings, buttons and links in their order, not the boxes that arrange them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lark import Token, Tree

from vox_assets.vox_syntax.interpreter.values import UnknownError, Worded, written
from vox_assets.vox_syntax.lexer import VIEW_TAGS

if TYPE_CHECKING:
    from vox_assets.vox_syntax.interpreter.program import Run, Scope

#: Elements that a reader tells from plain text.
_NAMED_TAGS = frozenset({"heading", "button", "link", "image", "input"})
#: Attributes that a reader notices; the others are layout.
_SEEN = ("level", "href", "src", "alt", "value", "attr_type", "placeholder", "name", "checked")
#: Renderings until effects change nothing more.
_MAX_ROUNDS = 4
_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, eq=False)
class Element:
    """An element with its evaluated attributes and children; events are functions."""

    tag: str
    attributes: Mapping[str, Any]
    children: tuple[Any, ...]
    #: Whether the program does not say how it looks.
    is_foreign: bool = False

    @property
    def label(self) -> str:
        """The texts inside, joined."""
        return " ".join(_texts(self))


@dataclass
class _Instance:
    """A component at a place of the screen, with its parameters and state."""

    name: str
    state: Scope
    #: Values that each effect depended on when it ran last.
    seen: dict[int, list[str]]
    mounted: bool = False


def is_view(call: Any, components: Collection[str]) -> bool:
    """Check whether a call is an element: a component or a tag, without positional arguments."""
    callee, arguments = call.children
    if callee.data != "name" or any(item.data != "named_argument" for item in arguments.children):
        return False
    name = str(callee.children[0])
    return name in components or name in VIEW_TAGS or name[0].isupper()


class Screen:
    """The component that a run shows."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._instances: dict[tuple[str, ...], _Instance] = {}
        self._place: list[str] = []
        self._places: list[dict[str, int]] = []
        #: Effects and mounts to run after the rendering.
        self._pending: list[Callable[[], None]] = []
        self._render: Callable[[], Any] | None = None
        self._shown: Any = None

    def show(self, render: Callable[[], Any]) -> Any:
        """Evaluate an expression; a component that it shows stays until the next is shown."""
        self._instances, self._render = {}, render
        return self._update()

    def click(self, label: str) -> Any:
        """Click the only button with this label, and show the component again."""
        buttons = [
            part
            for part in _elements(self._shown)
            if part.tag == "button" and part.label == label and "on_click" in part.attributes
        ]
        if len(buttons) != 1:
            raise UnknownError(f"{len(buttons)} buttons with the label {label[:80]!r}")
        buttons[0].attributes["on_click"]()
        return self._update()

    @property
    def buttons(self) -> list[str]:
        """The labels of the buttons that can be clicked, each once."""
        labels = [
            part.label
            for part in _elements(self._shown)
            if part.tag == "button" and "on_click" in part.attributes
        ]
        return [label for label in dict.fromkeys(labels) if labels.count(label) == 1]

    def _update(self) -> Any:
        assert self._render is not None
        for _ in range(_MAX_ROUNDS):
            self._place, self._places, self._pending = [], [{}], []
            self._shown = self._render()
            if not self._pending:
                return self._shown
            if len(self._pending) > 1:
                raise UnknownError("several effects, whose order is not defined")
            self._pending[0]()
        raise UnknownError("effects that do not end")

    def text(self, shown: Element) -> str:
        """Write what a reader sees, a line for each part."""
        lines = []
        for line in _lines(shown, self._run):
            self._run.budget.make(len(line) + 1)
            lines.append(line)
        return "\n".join(lines)

    def element(self, call: Any, children: Sequence[Any], scope: Scope) -> Element:
        """Evaluate an element, or show a component that the program declares."""
        callee, arguments = call.children
        tag = str(callee.children[0])
        given = {str(item.children[0]): item.children[1] for item in arguments.children}
        if tag in self._run.module.components:
            if children:
                raise UnknownError(f"children of the component {tag}")
            values = {name: self._run.evaluate(node, scope) for name, node in given.items()}
            return self._component(tag, values)
        if tag in self._run.module.functions and not given and not children:
            return _shown_by(tag, self._run.call(tag, (), {}))
        if tag[0].isupper() and tag not in self._run.module.foreign:
            raise UnknownError(f"{tag} is not declared")
        attributes = {
            name: self._event(node, scope)
            if name.startswith("on_") and tag in VIEW_TAGS
            else self._run.evaluate(node, scope)
            for name, node in given.items()
        }
        inside = tuple(self.children(children, scope))
        return Element(tag, attributes, inside, is_foreign=tag not in VIEW_TAGS)

    def _event(self, node: Any, scope: Scope) -> Callable[[], None]:
        def happen() -> None:
            value = self._run.evaluate(node, scope)
            if callable(value):
                value()

        return happen

    def children(self, nodes: Iterable[Any], scope: Scope) -> Iterator[Any]:
        """Evaluate what a view displays: each value of a block, loop or branch."""
        from vox_assets.vox_syntax.interpreter.program import Scope as Inner

        run = self._run
        for node in nodes:
            match node.data:
                case "for":
                    each = Inner(scope)
                    for _ in run.rounds(node, scope, each):
                        run.budget.step()
                        yield from self.children(node.children[-1].children, Inner(each))
                case "if":
                    test, *branches = node.children
                    chosen = 0 if run.holds(test, scope) else 1
                    for branch in branches[chosen : chosen + 1]:
                        inside = branch.children if branch.data == "block" else [branch]
                        yield from self.children(inside, Inner(scope))
                case _:
                    yield from _flat(run.evaluate(node, scope))

    def _component(self, name: str, values: Mapping[str, Any]) -> Element:
        from vox_assets.vox_syntax.interpreter.program import Scope as Inner

        run = self._run
        node = run.module.components[name]
        counts = self._places[-1]
        counts[name] = counts.get(name, 0) + 1
        self._place.append(f"{name}{counts[name]}")
        self._places.append({})
        run.enter()
        try:
            instance = self._instance(tuple(self._place), name, node, values)
            inner = Inner(instance.state)
            if node.data == "fragment":
                return Element("", {}, tuple(self.children(node.children[-1:], inner)))
            shown: tuple[Any, ...] = ()
            for member in node.children:
                match member.data if isinstance(member, Tree) else "":
                    case "derived":
                        bound = str(_first_token(member))
                        inner.names[bound] = run.evaluate(member.children[-1], inner)
                    case "view":
                        shown = tuple(self.children(member.children, inner))
                    case "let" | "assignment" | "compound_assignment" | "call":
                        raise UnknownError("a statement in a component")
            self._queue(instance, node, inner)
            return Element("", {}, shown)
        finally:
            run.leave()
            self._place.pop()
            self._places.pop()

    def _instance(
        self, place: tuple[str, ...], name: str, node: Any, values: Mapping[str, Any]
    ) -> _Instance:
        """Return the component at a place with its new parameters; its state stays."""
        from vox_assets.vox_syntax.interpreter.program import Scope as Inner

        run = self._run
        arguments = Inner()
        run.bind_parameters(node, (), values, arguments)
        instance = self._instances.get(place)
        if instance is None:
            state = Inner()
            state.of_state = True
            state.names = dict(arguments.names)
            for member in node.children:
                if isinstance(member, Tree) and member.data == "state":
                    state.names[str(_first_token(member))] = run.evaluate(
                        member.children[-1], state
                    )
            instance = self._instances[place] = _Instance(name, state, {})
        instance.state.names |= arguments.names
        return instance

    def _queue(self, instance: _Instance, node: Any, scope: Scope) -> None:
        """Note the blocks that run after the rendering: on mount, and effects of changed values."""
        run = self._run
        trees: list[Any] = [member for member in node.children if isinstance(member, Tree)]
        mounts = [item for item in trees if item.data == "lifecycle" and item.meta.on_mount]
        effects = [item for item in trees if item.data == "effect"]
        if not instance.mounted:
            instance.mounted = True
            for member in mounts:
                self._pending.append(_later(run, member, scope))
        for index, member in enumerate(effects):
            names = [str(item) for item in member.children if isinstance(item, Token)]
            names = names or sorted(_mentioned(member))
            holders = {name: scope.holder(name) for name in names}
            values = [
                written(holder.names[name], run.budget)
                for name, holder in holders.items()
                if holder is not None and not callable(holder.names[name])
            ]
            if instance.seen.get(index) != values:
                instance.seen[index] = values
                self._pending.append(_later(run, member, scope))


def _shown_by(name: str, value: Any) -> Element:
    if not isinstance(value, Element):
        raise UnknownError(f"{name} shows no element")
    return value


def _mentioned(node: Any) -> set[str]:
    """Return the names in a node, also those in its texts."""
    tokens = node.scan_values(lambda item: isinstance(item, Token))
    return {name for token in tokens for name in _NAME.findall(str(token))}


def _later(run: Run, member: Any, scope: Scope) -> Callable[[], None]:
    def happen() -> None:
        value = run.evaluate(member.children[-1], scope)
        if callable(value):
            value()

    return happen


def _first_token(node: Any) -> Token:
    return next(item for item in node.children if isinstance(item, Token))


def _flat(value: Any) -> Iterator[Any]:
    """Yield what a view displays of a value: elements, texts and numbers."""
    match value:
        case None:
            return
        case list():
            for item in value:
                yield from _flat(item)
        case Element() | str():
            yield value
        case int() if not isinstance(value, bool):
            yield str(value)
        case Worded():
            yield value.text
        case _:
            raise UnknownError(f"a view of a value of type {type(value).__name__}")


def _elements(part: Any) -> Iterator[Element]:
    if isinstance(part, Element):
        yield part
        for child in part.children:
            yield from _elements(child)


def _texts(part: Any) -> Iterator[str]:
    if isinstance(part, Element):
        for child in part.children:
            yield from _texts(child)
    else:
        yield part


def _lines(part: Any, run: Run) -> Iterator[str]:
    run.budget.step()
    if not isinstance(part, Element):
        yield json.dumps(part, ensure_ascii=False)
    elif part.tag in _NAMED_TAGS or part.is_foreign:
        names = sorted(part.attributes) if part.is_foreign else _SEEN
        seen = [
            f"{name}={written(part.attributes[name], run.budget)}"
            for name in names
            if name in part.attributes
        ]
        label = f" {json.dumps(part.label, ensure_ascii=False)}" if part.children else ""
        yield f"{part.tag}({', '.join(seen)}){label}"
    else:
        for child in part.children:
            yield from _lines(child, run)
