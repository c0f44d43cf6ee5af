"""Repair pairs: a program with a realistic mistake and its diagnostic, and the correct program.

The mistakes are habits from other languages and from older Vox. Each is a change of the source
text. A row is made only when the syntax gate refuses the changed text; the prompt quotes the
gate's message.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from vox_assets.contract.rows import Drop, Pair, turns
from vox_assets.profiles import Profile
from vox_assets.synthesize.shared import STAGE
from vox_assets.synthesize.vox.programs import Gate, Pool, Program, pair

TASK_FAMILY = "repair_syntax"

_STRING_OR_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|#[^\n]*')


@dataclass(frozen=True)
class Mistake:
    """A mistake that is a habit from another language: a pattern and its replacement."""

    name: str
    #: Positions in the source where the mistake can be made; a random match is changed.
    where: re.Pattern[str]
    #: The replacement: a template for `re.Match.expand`, or a function of the match.
    wrong: str | Callable[[re.Match[str]], str]
    #: Whether `where` is about text inside string literals.
    in_strings: bool = False

    def made_in(self, source: str, rng: random.Random) -> str | None:
        """Make the mistake at a random position, or return None when the source has none."""
        hidden = [] if self.in_strings else [entry.span() for entry in _strings(source)]
        matches = [
            match
            for match in self.where.finditer(source)
            if not any(start < match.start() < end for start, end in hidden)
        ]
        if not matches:
            return None
        match = rng.choice(matches)
        wrong = match.expand(self.wrong) if isinstance(self.wrong, str) else self.wrong(match)
        return source[: match.start()] + wrong + source[match.end() :]


def _strings(source: str) -> Iterator[re.Match[str]]:
    return _STRING_OR_COMMENT.finditer(source)


def _mistake(name: str, where: str, wrong: str | Callable[[re.Match[str]], str]) -> Mistake:
    return Mistake(name, re.compile(where, re.MULTILINE), wrong)


#: The reserved word that a beginner may use, by the local name that it replaces.
_TEMPTING_NAMES = {"best": "match", "candidate": "match", "value": "state", "result": "state"}


def _rename_to_reserved(match: re.Match[str]) -> str:
    name = match["name"]
    return re.sub(rf"\b{name}\b", _TEMPTING_NAMES.get(name, name), match[0])


def _drop_payload_name(match: re.Match[str]) -> str:
    """Drop a payload's name if a pattern repeats it; otherwise the repair could not know it."""
    variant, name, kind = match.groups()
    named_again = re.search(rf"\b{variant}\({name}\)", match.string)
    return f"| {variant}({kind})" if named_again else match[0]


MISTAKES: tuple[Mistake, ...] = (
    _mistake("thin_arrow_in_match", r"^(\s+[\w(), \"]+) => ", r"\1 -> "),
    _mistake("bang_for_not", r"\bnot (?=[a-z(])", "!"),
    _mistake("double_ampersand", r" and ", " && "),
    _mistake("double_bar", r" or ", " || "),
    _mistake("semicolon", r"^(\s+(?:return|let) [^{}\n]+)$", r"\1;"),
    _mistake("view_without_colon", r"\bview: ", "view "),
    _mistake("old_endpoint_decorator", r"@endpoint\(kind: (\w+)\)", r"@\1"),
    _mistake("quoted_endpoint_kind", r"@endpoint\(kind: (\w+)\)", r'@endpoint(kind: "\1")'),
    _mistake("angle_generics", r"\b(list|Option|Result)\[(\w+)\]", r"\1<\2>"),
    _mistake("question_mark_type", r"Option\[(\w+)\]", r"\1?"),
    _mistake("bare_bracket_type", r": list\[(\w+)\]", r": [\1]"),
    _mistake("variant_without_bar", r"^(type \w+ =\n\s+)\| ", r"\1"),
    _mistake("unnamed_payload", r"\| (\w+)\((\w+): (\w+)\)", _drop_payload_name),
    _mistake("trailing_comma", r"^fn (\w+)\(([^()\n]+)\)(?= to| uses| \{)", r"fn \1(\2,)"),
    _mistake("line_ends_with_operator", r"return (\w+) \+ ", "return \\1 +\n        "),
    _mistake("bar_lambda", r"\((?:fn\((\w+)\)) (?=\w)", r"(|\1| "),
    _mistake("uses_after_result", r" uses ([\w, ]+) to ([\w\[\]]+) \{", r" to \2 uses \1 {"),
    _mistake("missing_brace", r"\n\}\Z", ""),
    _mistake("range_dots", r"range\((\w+), (\w+)\)", r"\1..\2"),
    _mistake("increment", r"\b(\w+) \+= 1\b", r"\1++"),
    _mistake("struct_keyword", r"^type (\w+) \{", r"struct \1 {"),
    _mistake("enum_keyword", r"^type (\w+) =$", r"enum \1"),
    _mistake("index_without_name", r"@index (\w+)\.by_(\w+) on \(\2\)", r"@index \1 on (\2)"),
    _mistake("routes_with_colon", r"^routes \{", "routes: {"),
    _mistake("angle_markup", r"text\(\) \{ \"([^\"\n]*)\" \}", r"<p>\1</p>"),
    _mistake("component_without_parentheses", r"^component (\w+)\(\)", r"component \1"),
    _mistake("field_default", r"^(    \w+: int)$", r"\1 = 0"),
    _mistake("state_without_value", r"\bstate (\w+): (\w+) = (?:0|false)$", r"state \1: \2"),
    _mistake("tool_with_call", r"@mcp\.tool \"(\w+): ([^\"]*)\"", r'@mcp.tool("\1", "\2")'),
    _mistake("python_import", r"^import (\S+) as \{([^}]*)\}", r"from \1 import \2"),
    _mistake("expression_body", r"^(fn [^\n{]+) \{\n\s+return ([^\n]+)\n\}", r"\1 = \2"),
    _mistake(
        "question_colon_choice",
        r"\bif ([\w.]+) \{ ([^{}\n]+) \} else \{ ([^{}\n]+) \}",
        r"\1 ? \2 : \3",
    ),
    _mistake("argument_with_colon", r"(?<=[(])(\w+)=(?!=)", r"\1: "),
    _mistake("elif", r"\} else if ", "} elif "),
    _mistake("braceless_if", r"\bif ([^{\n]+) \{\n\s+return ([^\n]+)\n\s+\}", r"if (\1) return \2"),
    _mistake("effect_without_colon", r"\beffect: \{", "effect {"),
    _mistake("lifecycle_without_colon", r"\bon (mount|cleanup): \{", r"on \1 {"),
    _mistake("actor_with_state", r"^(actor \w+ \{\n)", r"\1    state seen: int = 0\n"),
    _mistake("unclosed_string", r"(return \"[^\"\n]+)\"$", r"\1"),
    _mistake("var_keyword", r"\blet mut (?=\w+ =)", "var "),
    _mistake("python_block", r"^(fn [^\n{]+) \{\n((?:    [^\n]*\n)+)\}", r"\1:\n\2"),
    _mistake("square_match", r"\bmatch ([\w().]+) \{", r"match (\1):"),
    _mistake("parameter_lines", r"^fn (\w+)\((\w+: [\w\[\]]+), ", "fn \\1(\n    \\2,\n    "),
    _mistake("transition_fat_arrow", r"(from \w+) -> ", r"\1 => "),
    _mistake(
        "quoted_transition", r"^(\s+)on (\w+)(\([\w, ]*\))? from any", r'\1on "\2"\3 from any'
    ),
    _mistake("field_without_keyword", r"^(\s+)field (\w+): ", r"\1\2: "),
    _mistake("spread_type_parameter", r"^fn (\w+)<T>\(", r"fn \1[T]("),
    _mistake(
        "reserved_name",
        r"^    let mut (?P<name>\w+) = (?:[^\n]*\n)(?:    [^\n]*\n)+(?=\})",
        _rename_to_reserved,
    ),
)

_OPENINGS = (
    "The compiler refuses this Vox program, which should {goal}:\n{message}",
    "This is meant to {goal}. `vox check` answers:\n{message}\nGive me the corrected file.",
    "Fix the one mistake in this Vox code.\nMessage: {message}",
    "{message}\nThat is all I get for the program below. It ought to {goal}. Repair it.",
    "Why does this not parse, and what is right? Return the whole program.\nDiagnostic: {message}",
    'I tried to {goal} and got "{message}". Correct the source, changing nothing else.',
    "Repair the following Vox source so that it passes the syntax check.\nCheck: {message}",
    "My editor underlines this file ({message}). Please return it in valid Vox.",
)


def make_repairs(
    programs: Sequence[Program], profile: Profile, pool: Pool, check_vox: Gate, seed: int
) -> tuple[list[Pair], list[Drop]]:
    """Make a row for every program; the mistakes that are rarest so far are tried first."""
    made: Counter[str] = Counter({mistake.name: 0 for mistake in MISTAKES})
    pairs: list[Pair] = []
    drops: list[Drop] = []
    for program in programs:
        rng = random.Random(f"{seed}:repair:{program.symbol}")
        rarest_first = sorted(MISTAKES, key=lambda mistake: made[mistake.name])
        result = _broken(program.rendered.source, rarest_first, check_vox, rng)
        if result is None:
            drops.append(
                Drop(
                    stage=STAGE,
                    why="no mistake that the syntax gate refuses can be made in it",
                    source_path=program.rendered.variant.source_path,
                    line=program.rendered.variant.start_line,
                    item=program.symbol,
                )
            )
            continue
        mistake, broken, message = result
        made[mistake.name] += 1
        request = pool.least_alike(
            f"repairs/{program.rendered.variant.construct}",
            _requests(program, broken, message, rng),
        )
        pairs.append(_pair(program, mistake, request, profile))
    return pairs, drops


def _broken(
    source: str, mistakes: Sequence[Mistake], check_vox: Gate, rng: random.Random
) -> tuple[Mistake, str, str] | None:
    """Return the first mistake that the gate refuses, the changed source and the message."""
    for mistake in mistakes:
        broken = mistake.made_in(source, rng)
        message = None if broken in (None, source) else check_vox(broken or "")
        if broken is not None and message is not None:
            return mistake, broken, message
    return None


def _requests(program: Program, broken: str, message: str, rng: random.Random) -> Iterator[str]:
    """Yield wordings of the request for a repair, in random order."""
    for opening in rng.sample(_OPENINGS, k=len(_OPENINGS)):
        goal = rng.choice(program.rendered.goals)
        yield f"{opening.format(goal=goal, message=message)}\n\n```vox\n{broken}\n```"


def _pair(program: Program, mistake: Mistake, request: str, profile: Profile) -> Pair:
    return replace(
        pair(program, profile),
        messages=turns(request, program.rendered.source),
        task_family=TASK_FAMILY,
        source_symbol=f"{program.symbol}::{mistake.name}",
    )
