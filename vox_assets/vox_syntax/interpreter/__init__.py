"""Interpreter for Vox programs: the part of the language that two back ends compute alike.

It runs functions, endpoints, tools, handlers of actors, state machines and components on values in
memory: tables are lists of rows, files are texts, printed lines are recorded, and a component is
what its reader sees. It raises UnknownError for what it does not know and for what two back ends
may compute differently: division with a remainder, rounded decimals, decimals as text, integers
beyond 64 bits, operands of two types, a broken contract.

Programs are not trusted. Every node, every new element and every new character counts against a
limit, so that no program runs for long, fills the memory or nests too deeply.

`tree` reads programs, `program` evaluates, `values` has the values, their operators and their
texts, `library` the functions and methods of the standard library, `tables` the database, and
`views` components.
"""

from vox_assets.vox_syntax.interpreter.program import Program, Run
from vox_assets.vox_syntax.interpreter.values import FailedError, UnknownError, Variant

__all__ = ["FailedError", "Program", "Run", "UnknownError", "Variant"]
