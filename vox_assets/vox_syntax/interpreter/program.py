"""Parses a program and evaluates expressions on it, node by node."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lark import Token

from vox_assets.vox_syntax.interpreter import library
from vox_assets.vox_syntax.interpreter.tables import Database, Table
from vox_assets.vox_syntax.interpreter.tree import (
    CONSTRUCTORS,
    Node,
    data_of,
    dotted,
    literal_value,
    name_of,
    parameters,
    read_expression,
    read_module,
)
from vox_assets.vox_syntax.interpreter.values import (
    MAX_DEPTH,
    MAX_STEPS,
    Budget,
    FailedError,
    UnknownError,
    Variant,
    compute,
    condition,
    has_type,
    joined,
    negated,
    written,
)
from vox_assets.vox_syntax.interpreter.views import Element, Screen, is_view

#: Characters of a program; those of a model's answer are far fewer.
MAX_SOURCE = 20_000

#: A step that clicks the button with a label.
_CLICK = re.compile(r'click\("([^"\\{}]*)"\)')
_HOLE = re.compile(r"\{([A-Za-z_][^{}\"]*)\}")


class _ReturnError(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _BreakError(Exception):
    pass


class _ContinueError(Exception):
    pass


class Scope:
    """Names of a block; a block sees the names of the blocks around it."""

    def __init__(self, outer: Scope | None = None, *, of_lambda: bool = False) -> None:
        self.names: dict[str, Any] = {}
        self.outer = outer
        #: Whether assignments to outer names would leave a lambda.
        self.of_lambda = of_lambda
        #: Whether the names are the state of a component.
        self.of_state = False

    def holder(self, name: str) -> Scope | None:
        scope: Scope | None = self
        while scope is not None and name not in scope.names:
            scope = scope.outer
        return scope

    def assign(self, name: str, value: Any) -> None:
        """Change a name where it was bound; back ends differ in what a lambda changes outside."""
        holder = self.holder(name)
        if holder is None:
            raise UnknownError(f"{name} is assigned but not declared")
        scope: Scope | None = self
        while scope is not holder and scope is not None:
            if scope.of_lambda and not holder.of_state:
                raise UnknownError(f"a lambda changes {name} outside")
            scope = scope.outer
        holder.names[name] = value


class Program:
    """A parsed program.

    Raises VoxSyntaxError when `source` does not parse, and UnknownError when it is too long.
    """

    def __init__(self, source: str) -> None:
        if len(source) > MAX_SOURCE:
            raise UnknownError(f"a program of more than {MAX_SOURCE:,} characters")
        self.module = read_module(source)

    def call(self, name: str) -> None:
        """Run a function without parameters, such as a test; raises UnknownError or FailedError."""
        self.value(f"{name}()")

    def value(self, expression: str) -> Any:
        """Evaluate an expression on a fresh state; raises UnknownError or FailedError."""
        return Run(self).value(expression)


class Run:
    """A program with its state: rows of tables, files, printed lines, and a shown component."""

    def __init__(self, program: Program, max_steps: int = MAX_STEPS) -> None:
        self.module = program.module
        self.budget = Budget(max_steps)
        self.database = Database(self.module.columns)
        self.files = library.Files()
        self.screen = Screen(self)
        self._depth = 0

    def value(self, expression: str) -> Any:
        """Evaluate an expression that may call functions; raises UnknownError or FailedError."""
        return self._certain(
            expression, lambda: self.evaluate(read_expression(expression), Scope())
        )

    def step(self, expression: str) -> str:
        """Evaluate an expression on the state that earlier steps left, and write what happened.

        A line for each line that it printed and each file that it wrote, then its value. A
        component gives what its reader sees, and `click("label")` clicks a button of it. Raises
        UnknownError or FailedError.
        """
        self.files.done.clear()
        clicked = _CLICK.fullmatch(expression)
        if clicked and "click" not in self.module.functions:
            value = self._certain(expression, lambda: self.screen.click(clicked[1]))
        else:
            value = self._certain(
                expression,
                lambda: self.screen.show(
                    lambda: self.evaluate(read_expression(expression), Scope())
                ),
            )
        if isinstance(value, Element):
            last = self.screen.text(value)
        else:
            last = written(value, self.budget)
        return "\n".join([*self.files.done, last])

    def _certain(self, expression: str, evaluate: Callable[[], Any]) -> Any:
        self.budget.refill()
        self._depth = 0
        try:
            return evaluate()
        except (TypeError, ValueError, AttributeError, LookupError, RecursionError) as error:
            raise UnknownError(f"{expression[:80]}: {error}") from error
        except (_ReturnError, _BreakError, _ContinueError) as error:
            raise UnknownError(f"{expression[:80]} leaves what it is not in") from error

    # Functions.

    def call(self, name: str, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Call a function; a mutation that fails after a change may or may not undo it."""
        before = self.database.changes
        value = self.apply(self.module.functions[name], positional, named)
        changed = name in self.module.mutations and before != self.database.changes
        if changed and isinstance(value, Variant) and value.name == "Error":
            raise UnknownError(f"{name} fails after a change")
        return value

    def apply(self, node: Node, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Run a function or handler with its arguments; an open hole has no outcome."""
        if any(data_of(part) == "hole" for part in node.children):
            raise UnknownError("a hole")
        scope = Scope()
        self.enter()
        self.bind_parameters(node, positional, named, scope)
        contracts = [part for part in node.children if data_of(part) == "contract"]
        self._hold([part for part in contracts if not part.meta.after], scope)
        try:
            value = self.block(node.children[-1], scope)
        except _ReturnError as returned:
            value = returned.value
        if ends := [part for part in contracts if part.meta.after]:
            after = Scope(scope)
            after.names["result"] = value
            self._hold(ends, after)
        self.leave()
        if node.meta.result in ("", "Unit"):
            return None
        if not has_type(value, node.meta.result):
            raise UnknownError(f"a result that is no {node.meta.result}")
        return value

    def _hold(self, contracts: Sequence[Node], scope: Scope) -> None:
        """Check contracts: what happens when one is broken depends on how a program is built."""
        for contract in contracts:
            if not condition(self.evaluate(contract.children[0], scope)):
                raise UnknownError("a broken contract")

    def bind_parameters(
        self, node: Node, positional: Sequence[Any], named: Mapping[str, Any], scope: Scope
    ) -> None:
        """Bind the parameters of a function, lambda or component to arguments and defaults."""
        expected = parameters(node)
        names = [name_of(parameter) for parameter in expected]
        if len(positional) > len(names) or not named.keys() <= set(names[len(positional) :]):
            raise UnknownError("arguments without a parameter")
        for index, (name, parameter) in enumerate(zip(names, expected, strict=True)):
            default = next(parameter.find_data("default"), None)
            if index < len(positional):
                scope.names[name] = positional[index]
            elif name in named:
                scope.names[name] = named[name]
            elif default is not None:
                scope.names[name] = self.evaluate(default.children[0], Scope())
            else:
                raise UnknownError(f"no value for {name}")

    # Statements.

    def block(self, block: Node, scope: Scope) -> Any:
        """Run statements in a scope of their own; the value is that of the last."""
        inner = Scope(scope)
        value = None
        for statement in block.children:
            value = self.evaluate(statement, inner)
        return value

    def _let(self, node: Node, scope: Scope) -> None:
        binding = next(item for item in node.children if data_of(item) != "mutable")
        if not self._bind(binding, self.evaluate(node.children[-1], scope), scope):
            raise UnknownError("a binding that does not match")

    def _assignment(self, node: Node, scope: Scope) -> None:
        target, expression = node.children
        self._assign(target, self.evaluate(expression, scope), scope)

    def _compound_assignment(self, node: Node, scope: Scope) -> None:
        target, expression = node.children
        before = self.evaluate(target, scope)
        operator = node.meta.operator.removesuffix("=")
        after = compute(operator, before, self.evaluate(expression, scope), self.budget)
        self._assign(target, after, scope)

    def _assign(self, target: Node, value: Any, scope: Scope) -> None:
        """Change a name, or an element or field of the value of a name."""
        if target.data == "name":
            scope.assign(str(target.children[0]), value)
            return
        owner = self.evaluate(target.children[0], scope)
        if target.data == "attribute" and isinstance(owner, dict):
            field = name_of(target)
            if field not in owner:
                raise UnknownError(f"no field {field}")
            self.budget.make(len(owner))
            changed: Any = {**owner, field: value}
        else:
            index = self.evaluate(target.children[-1], scope)
            if not isinstance(owner, list) or type(index) is not int or index < 0:
                raise UnknownError("an assignment to no element of a list")
            self.budget.make(len(owner))
            changed = list(owner)
            changed[index] = value
        self._assign(target.children[0], changed, scope)

    def _while(self, node: Node, scope: Scope) -> None:
        self._loop(iter(lambda: self.holds(node.children[0], scope), False), node, scope)

    def _endless(self, node: Node, scope: Scope) -> None:
        self._loop(iter(lambda: True, False), node, scope)

    def _loop(self, rounds: Iterator[Any], node: Node, scope: Scope) -> None:
        for _ in rounds:
            self.budget.step()
            try:
                self.block(node.children[-1], scope)
            except _ContinueError:
                continue
            except _BreakError:
                break

    def _for(self, node: Node, scope: Scope) -> None:
        each = Scope(scope)
        self._loop((None for _ in self.rounds(node, scope, each)), node, each)

    def rounds(self, node: Node, scope: Scope, each: Scope) -> Iterator[None]:
        """Bind the names of a `for` in the scope `each`, once for each element."""
        names = [str(item) for item in node.children if isinstance(item, Token)]
        values = self.evaluate(node.children[len(names)], scope)
        if not isinstance(values, list):
            raise UnknownError("a loop over no list")
        for index, value in enumerate(values):
            each.names = dict(zip(names, (value, index), strict=False))
            yield

    def _return(self, node: Node, scope: Scope) -> None:
        raise _ReturnError(self.evaluate(node.children[0], scope) if node.children else None)

    def _break(self, node: Node, scope: Scope) -> None:
        raise _BreakError

    def _continue(self, node: Node, scope: Scope) -> None:
        raise _ContinueError

    # Patterns.

    def _bind(self, pattern: Node, value: Any, scope: Scope) -> bool:
        """Match a value against a pattern and bind the names in the pattern."""
        self.budget.step()
        inner = pattern.children
        match pattern.data:
            case "name_pattern":
                name = str(inner[0])
                if name[0].isupper():
                    return self._is_variant(value, name, 0)
                if name != "_":
                    scope.names[name] = value
                return True
            case "literal_pattern":
                expected = self._read(inner[0])
                if type(value) is not type(expected):
                    raise UnknownError("a pattern of another type")
                return bool(value == expected)
            case "tuple_pattern":
                if not isinstance(value, tuple) or len(inner) != len(value):
                    raise UnknownError("a pattern of another type")
                parts = zip(inner, value, strict=True)
            case _:
                if not self._is_variant(value, str(inner[0]), len(inner) - 1):
                    return False
                parts = zip(inner[1:], value.payload, strict=True)
        return all(self._bind(part, item, scope) for part, item in parts)

    def _is_variant(self, value: Any, name: str, size: int) -> bool:
        if not isinstance(value, Variant) or self._arity(name) != size:
            raise UnknownError(f"a pattern {name} for another type")
        return value.name == name

    def _arity(self, constructor: str) -> int:
        if constructor in self.module.constructors:
            return self.module.constructors[constructor]
        raise UnknownError(f"{constructor} is not declared")

    # Expressions.

    def evaluate(self, node: Node, scope: Scope) -> Any:
        """Evaluate a statement or an expression."""
        self.budget.step()
        make = _EVALUATED.get(data_of(node))
        if make is None:
            raise UnknownError(f"{data_of(node)} is not evaluated")
        self.enter()
        try:
            return make(self, node, scope)
        finally:
            self.leave()

    def enter(self) -> None:
        """Count a level of nesting; `leave` ends it."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UnknownError("too many nested calls")

    def leave(self) -> None:
        self._depth -= 1

    def holds(self, node: Node, scope: Scope) -> bool:
        return condition(self.evaluate(node, scope))

    def _literal(self, node: Node, scope: Scope) -> Any:
        token = node.children[0]
        value = self._read(token)
        if token.type != "STRING" or "{" not in value:
            return value
        pieces = _HOLE.split(value)
        pieces[1::2] = [self.evaluate(read_expression(hole), scope) for hole in pieces[1::2]]
        return joined(pieces, self.budget)

    def _read(self, token: Token) -> Any:
        """Return the value of a literal; a text is made anew each time."""
        if token.type in ("STRING", "QUOTED"):
            self.budget.make(len(token))
        return literal_value(token)

    def _name(self, node: Node, scope: Scope) -> Any:
        name = str(node.children[0])
        holder = scope.holder(name)
        if holder is not None:
            return holder.names[name]
        if name in self.module.constants:
            return self.evaluate(self.module.constants[name], Scope())
        if name in self.module.functions:
            return lambda *arguments: self.call(name, arguments, {})
        if name[0].isupper() and self._arity(name) == 0:
            return Variant(name)
        raise UnknownError(f"{name} is not known")

    def _group(self, node: Node, scope: Scope) -> Any:
        return self.evaluate(node.children[0], scope)

    def _list_literal(self, node: Node, scope: Scope) -> Any:
        return [self.evaluate(item, scope) for item in node.children]

    def _tuple(self, node: Node, scope: Scope) -> Any:
        return tuple(self.evaluate(item, scope) for item in node.children)

    def _object_literal(self, node: Node, scope: Scope) -> Any:
        return {
            str(pair.children[0]).strip("\"'"): self.evaluate(pair.children[1], scope)
            for pair in node.children
        }

    def _attribute(self, node: Node, scope: Scope) -> Any:
        before = node.children[0]
        if before.data == "name" and before.children[0] == "db" and scope.holder("db") is None:
            return self.database.table(name_of(node))
        owner = self.evaluate(node.children[0], scope)
        if not isinstance(owner, dict):
            raise UnknownError(f"a field of a value of type {type(owner).__name__}")
        return owner[name_of(node)]

    def _indexing(self, node: Node, scope: Scope) -> Any:
        owner, index = (self.evaluate(item, scope) for item in node.children)
        if not isinstance(owner, list) or type(index) is not int or index < 0:
            raise UnknownError("an index of no element of a list")
        return owner[index]

    def _call(self, node: Node, scope: Scope) -> Any:
        callee, arguments = node.children
        if is_view(node, self.module.components):
            return self.screen.element(node, (), scope)
        positional, named = self._arguments(arguments, scope)
        if callee.data != "name":
            return self.evaluate(callee, scope)(*positional)
        name = str(callee.children[0])
        if scope.holder(name) is not None:
            return self.evaluate(callee, scope)(*positional)
        if name in self.module.functions:
            return self.call(name, positional, named)
        if named:
            raise UnknownError(f"arguments by name for {name}")
        if name[0].isupper():
            if len(positional) != self._arity(name):
                raise UnknownError(f"{name} with {len(positional)} values")
            return Variant(name, tuple(positional))
        if name == "assert" and len(positional) == 1:
            if not condition(positional[0]):
                raise FailedError(arguments.meta.source)
            return None
        if name == "print" and len(positional) == 1:
            return self.files.record(self.budget, f"print {joined(positional, self.budget)!s}")
        if name in library.FUNCTIONS:
            return library.FUNCTIONS[name](self.budget, *positional)
        raise UnknownError(f"{name} is not known")

    def _arguments(self, node: Node, scope: Scope) -> tuple[list[Any], dict[str, Any]]:
        named, positional = {}, []
        for item in node.children:
            if item.data == "named_argument":
                named[str(item.children[0])] = self.evaluate(item.children[1], scope)
            else:
                positional.append(self.evaluate(item, scope))
        return positional, named

    def _method_call(self, node: Node, scope: Scope) -> Any:
        attribute, arguments = node.children
        path = dotted(attribute)
        root, _, rest = path.partition(".")
        positional, named = self._arguments(arguments, scope)
        if root and scope.holder(root) is None:
            if root in self.module.handlers and rest in self.module.handlers[root]:
                return self.apply(self.module.handlers[root][rest], positional, named)
            if root in self.module.machines and not named:
                return self._transition(self.module.machines[root], rest, positional)
            if root == "std":
                known = library.namespace(path, self.files, self.budget)
                if known is None:
                    raise UnknownError(f"{path} is not known")
                return known(*positional)
        if named:
            raise UnknownError("arguments by name for a method")
        owner = self.evaluate(attribute.children[0], scope)
        name = name_of(attribute)
        if isinstance(owner, Table):
            return self.database.call(owner, name, self.budget, *positional)
        method = library.METHODS.get((type(owner), name))
        if method is None:
            raise UnknownError(f"{name} is not known")
        return method(self.budget, owner, *positional)

    def _transition(self, machine: Node, event: str, arguments: Sequence[Any]) -> Any:
        """Return the state after an event: the first transition that fits, or the same state."""
        state, *payload = arguments
        declared = {name_of(item): item for item in machine.find_data("machine_state")}
        if not isinstance(state, Variant) or state.name not in declared:
            raise UnknownError("an event for no state of the machine")
        transitions = [item for item in machine.find_data("transition") if name_of(item) == event]
        if not transitions:
            raise UnknownError(f"no event {event}")
        if declared[state.name].meta.terminal:
            return state
        for transition in transitions:
            if transition.meta.source not in ("any", state.name):
                continue
            if len(transition.meta.takes) != len(payload):
                raise UnknownError(f"{event} with {len(payload)} values")
            scope = Scope()
            scope.names = dict(zip(transition.meta.takes, payload, strict=True))
            given = next(
                (item for item in transition.children if data_of(item) == "arguments"), None
            )
            values = [] if given is None else self._arguments(given, scope)[0]
            if len(values) != self._arity(transition.meta.target):
                raise UnknownError(f"{transition.meta.target} with {len(values)} values")
            return Variant(transition.meta.target, tuple(values))
        return state

    def _lambda(self, node: Node, scope: Scope) -> Callable[..., Any]:
        names = [name_of(item) for item in parameters(node)]
        return self._closure(names, node.children[-1], scope)

    def _arrow_lambda(self, node: Node, scope: Scope) -> Callable[..., Any]:
        return self._closure([str(item) for item in node.children[:-1]], node.children[-1], scope)

    def _closure(self, names: list[str], body: Node, scope: Scope) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            inner = Scope(scope, of_lambda=True)
            inner.names = dict(zip(names, arguments, strict=True))
            try:
                return self.evaluate(body, inner)
            except _ReturnError as returned:
                return returned.value

        return run

    def _pipe(self, node: Node, scope: Scope) -> Any:
        value, function = (self.evaluate(item, scope) for item in node.children)
        return function(value)

    def _or(self, node: Node, scope: Scope) -> Any:
        left, right = node.children
        return self.holds(left, scope) or self.holds(right, scope)

    def _and(self, node: Node, scope: Scope) -> Any:
        left, right = node.children
        return self.holds(left, scope) and self.holds(right, scope)

    def _not(self, node: Node, scope: Scope) -> Any:
        return not self.holds(node.children[0], scope)

    def _negative(self, node: Node, scope: Scope) -> Any:
        return negated(self.evaluate(node.children[0], scope), self.budget)

    def _binary(self, node: Node, scope: Scope) -> Any:
        left, right = node.children
        first = self.evaluate(left, scope)
        return compute(node.meta.operator, first, self.evaluate(right, scope), self.budget)

    def _error_propagation(self, node: Node, scope: Scope) -> Any:
        value = self.evaluate(node.children[0], scope)
        if not isinstance(value, Variant) or value.name not in CONSTRUCTORS:
            raise UnknownError("`?` after neither a Result nor an Option")
        if value.name in ("Ok", "Some"):
            return value.payload[0]
        raise _ReturnError(value)

    def _if(self, node: Node, scope: Scope) -> Any:
        test, *branches = node.children
        chosen = 0 if self.holds(test, scope) else 1
        return self.evaluate(branches[chosen], scope) if chosen < len(branches) else None

    def _match(self, node: Node, scope: Scope) -> Any:
        value = self.evaluate(node.children[0], scope)
        for arm in node.children[1:]:
            inner = Scope(scope)
            if not self._bind(arm.children[0], value, inner):
                continue
            if arm.data == "leaving_arm":
                raise _ReturnError(None)
            return self.evaluate(arm.children[1], inner)
        raise UnknownError("no arm matches")

    def _element(self, node: Node, scope: Scope) -> Any:
        call, *children = node.children
        return self.screen.element(call, children, scope)


_EVALUATED: Mapping[str, Callable[[Run, Node, Scope], Any]] = {
    "block": Run.block,
    "block_value": Run.block,
    "let": Run._let,
    "assignment": Run._assignment,
    "compound_assignment": Run._compound_assignment,
    "while": Run._while,
    "loop": Run._endless,
    "for": Run._for,
    "return": Run._return,
    "returned": Run._return,
    "break": Run._break,
    "continue": Run._continue,
    "literal": Run._literal,
    "name": Run._name,
    "group": Run._group,
    "list_literal": Run._list_literal,
    "tuple": Run._tuple,
    "object_literal": Run._object_literal,
    "attribute": Run._attribute,
    "indexing": Run._indexing,
    "call": Run._call,
    "method_call": Run._method_call,
    "lambda": Run._lambda,
    "arrow_lambda": Run._arrow_lambda,
    "pipe": Run._pipe,
    "or": Run._or,
    "and": Run._and,
    "not": Run._not,
    "negative": Run._negative,
    "equality": Run._binary,
    "comparison": Run._binary,
    "sum": Run._binary,
    "product": Run._binary,
    "error_propagation": Run._error_propagation,
    "if": Run._if,
    "match": Run._match,
    "element": Run._element,
}
