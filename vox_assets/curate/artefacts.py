"""Finds artefacts in answers: text that came with the answer but does not belong to it.

Each kind has a detector, a function of one question and answer that returns the offending text or
None. Text in string literals and code spans is quoted and does not count, except invisible
signs, which hide there too. The detectors state what a curator sees at once, so a row with an
artefact is dropped whatever its other features are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from vox_assets.contract.answers import without_fenced_blocks
from vox_assets.contract.rows import Message, Reason
from vox_assets.curate import chatter as speech
from vox_assets.curate import (
    known_names,
    natural_language,
    references,
    rust_bindings,
    vox_bindings,
)
from vox_assets.curate.code_text import bare_code, comments, without_comments
from vox_assets.curate.features import PROSE
from vox_assets.curate.trim import PROJECT_ID
from vox_assets.vox_syntax.parsers import parses

#: The name of a dropped row's reason.
ARTEFACT = "artefact"

_CODE_SPAN = re.compile(r"(?<!`)(`++)[\s\S]*?(?<!`)\1(?!`)")
_SENTENCE_END = re.compile(r"(?<=[.!?:])\s+|\n\s*\n|\n(?=\s*(?:[-*+|]|\d+[.)])\s)")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")


@dataclass(frozen=True)
class Answer:
    """One question and answer, and the parts of the answer that are not quoted."""

    question: str
    text: str
    language: str
    #: The turns of a dialogue before the question, as one text.
    earlier: str = ""
    #: Names that exist in the workspace; without them, no call is known to be of no function.
    known: Collection[str] | None = None

    @property
    def is_prose(self) -> bool:
        return self.language in PROSE

    @cached_property
    def words_only(self) -> str:
        """The natural-language part: prose without code spans, or the comments of code."""
        text = without_fenced_blocks(self.text) if self.is_prose else comments(self.text)
        return _CODE_SPAN.sub("`` ", text)

    @cached_property
    def unquoted(self) -> str:
        """Prose without code spans; code without literals."""
        if self.is_prose:
            return self.words_only
        return f"{bare_code(self.text)}\n{self.words_only}"


# Speech ---------------------------------------------------------------------------------------


def chatter(answer: Answer) -> str | None:
    """Find what an assistant says around an answer: greetings, offers, apologies."""
    text = answer.words_only if answer.is_prose else answer.unquoted
    return speech.chatter(answer.text, answer.words_only, text, answer.is_prose)


def missing_reference(answer: Answer) -> str | None:
    """Find references to a figure, an earlier message or a part of a page that the row lacks."""
    return references.missing_reference(answer.words_only, answer.is_prose, bool(answer.earlier))


def foreign(answer: Answer) -> str | None:
    """Find prose, or comments, in another natural language than English."""
    return natural_language.foreign(answer.words_only)


# Left-overs of templates and markup -----------------------------------------------------------

_CHAT_TOKEN = re.compile(
    r"""<\|[\w ]{2,40}\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>
    |^\s*\#{2,3}\s*(?:instruction|response|input|output|human|assistant|user|system)\s*:
    |^\s*(?:human|assistant|user|system|gpt|question|answer)\s*:[ \t]+\S.*[ \t]\S
    |\{%-?\s*\w[^%\n]*%\}|<%=?\s*\w[^%\n]*%>|\blorem\s+ipsum\b""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_VARIABLE = re.compile(
    r"""\{\{[ ]?[\w.$#/^&!>][^{}\n]{0,58}[\w)"' ]\}\}(?!\s*block)|\$\{[A-Za-z_]\w*\}|</?s>(?!\w)
    |\[(?:insert|your|add|todo|placeholder)\b[^\]\n]{0,60}\](?!\()
    |<(?:insert|your|placeholder)[\w\s-]{0,60}>|(?<![\w{$])\{(?:name|question|answer|input|output|context
        |prompt|instruction|response|topic|title|language|code|text|description)\}""",
    re.IGNORECASE | re.VERBOSE,
)

#: A placeholder of several words has no meaning in code either.
_BLANK_TO_FILL = re.compile(
    r"\[(?:insert|your|add|enter|fill|put|write|type|replace|specify|provide|describe|choose|name\s+of)"
    r"(?:\s+[\w'/-]+){1,8}\](?![(\[])|<(?:insert|your|enter|fill|put|name\s+of)(?:\s+[\w'/-]+){1,8}>",
    re.IGNORECASE,
)


def template(answer: Answer) -> str | None:
    """Find tokens of chat templates and variables that a template did not fill."""
    found = _first(_CHAT_TOKEN, answer.unquoted)
    # In code, the brackets and braces of a variable have a meaning; in words they have none.
    found = found or _first(_VARIABLE, answer.words_only)
    return found or _first(_BLANK_TO_FILL, answer.unquoted)


#: Elements, as pairs, alone, with attributes or without an end, comments and entities. A name in
#: brackets is no element: `<port>` is a blank to fill in.
_HTML = re.compile(
    r"""</[a-z][\w-]*\s*>|<[a-z][\w-]*\s*/>|<[a-z][\w-]*\s+[\w:-]+\s*=\s*["'\w]
    |<(?:div|span|br|hr|p|table|thead|tbody|tr|td|th|a|img|ul|ol|li|h[1-6]|details|summary|sup|sub|script
        |style|strong|em|b|i|u|center|section|article|nav|pre|code|kbd|blockquote|head|html|body)>
    |<!--[\s\S]*?-->|<!DOCTYPE\b|&(?:[a-zA-Z]{2,8}|\#\d{2,5}|\#x[0-9a-f]{2,5});""",
    re.IGNORECASE | re.VERBOSE,
)


def html(answer: Answer) -> str | None:
    """Find HTML tags, comments and entities in prose."""
    return _first(_HTML, answer.words_only) if answer.is_prose else None


_LICENCE = re.compile(
    r"""\bSPDX-\w+|\bcopyright\s+(?:\(c\)|©|\d{4}|by\s|the\s|(?-i:[A-Z]\w+\s+[A-Z]))|[©]\s*\d{4}|\(c\)\s*\d{4}
    |\ball\s+rights\s+reserved\b|\bpermission\s+is\s+(?:hereby\s+)?granted|\bwithout\s+(?:any\s+)?warrant(?:y|ies)\b
    |\b(?:is\s+|be\s+)?(?:licen[sc]ed|distributed|released|published|dedicated|available|offered|provided|placed)\s+
      (?:to\s+the\s+.{0,40}?)?(?:under|into|in|to|subject\s+to)\s+(?:the\s+|an?\s+)?(?:terms\b|public\s+domain
      |[^.\n]{0,40}\b(?:licen[sc]e|licen[sc]es|GPL|CC0|CC\s+BY)\b)
    |\b(?:this|the)\s+(?:source\s+code|file|software|program|work|library|code|crate|text)\s+is\s+
        (?:licen[sc]ed|free\s+software|subject\s+to|public\s+domain|in\s+the\s+public|provided\s+["“]?as)
    |\bredistribut\w+\s+(?:it|and\s+use|and/or)|\b(?:see|read|refer\s+to|found\s+in)\s+(?:the\s+)?(?:accompanying\s+)?
        (?:LICEN[SC]E|COPYING|NOTICE)\b|\bprovided\s+["“]as\s+is["”]""",
    re.IGNORECASE | re.VERBOSE,
)
_ABOUT_LICENCES = re.compile(r"licen[sc]|copyright|spdx", re.IGNORECASE)


def licence(answer: Answer) -> str | None:
    """Find a licence or copyright header where the question does not ask about licences."""
    if _ABOUT_LICENCES.search(answer.question):
        return None
    if found := _first(_LICENCE, answer.words_only):
        return found
    # A short line of its own at the start or the end names a licence, or who owns the text.
    parts = answer.words_only.strip().split("\n\n" if answer.is_prose else "\n")
    ends = [part for part in (parts[0], parts[-1]) if len(part) <= _NOTICE_CHARACTERS]
    is_alone = len(parts) > 1 or not answer.is_prose
    return next((part for part in ends if is_alone and _NOTICE.search(part)), None)


_NOTICE_CHARACTERS = 110
_LICENCE_NAME = r"(?:MIT|BSD|Apache|A?GPL|LGPL|Mozilla|MPL|ISC|EPL|Unlicen[sc]e|Boost|Zlib)"
_NOTICE = re.compile(
    rf"""\bcopyrights?\b|©|\bSPDX\b|\bpublic\s+(?:domain|licen[sc]e)\b|\bfree\s+software\b
    |\bredistribut|\bCC0\b|\bwarrant(?:y|ies)\b|\bCC[ -]BY\b|\bcreative\s+commons\b
    |\b{_LICENCE_NAME}\b[^\n]{{0,60}}licen[sc]e
    |licen[sc]e[^\n]{{0,60}}\b{_LICENCE_NAME}\b|\blicen[sc]e\s*:""",
    re.IGNORECASE | re.VERBOSE,
)


# Line numbers need a row of them, so that `5: five` alone is no line number.
_NUMBERED_LINE = re.compile(
    r"^\s*(?P<open>[\[(<#]|L(?:ine)?\s?)?(?P<number>\d{1,5})"
    r"(?P<close>\s*[\])>]?\s*[:|│>]\s?|[\])>]\s?|\t|\s{2,}|[.)]\s|\s-\s|\s(?=[\w{}/#@\]])|\s*$)",
    re.IGNORECASE,
)
#: A number, perhaps after a word or sign, and what follows it.
_BEGINS_WITH_NUMBER = re.compile(
    r"^\W{0,3}(?:[a-z]{1,4}\W{0,2})?(\d{1,5})(?!\w)(.*)$", re.IGNORECASE
)
_LEAST_NUMBERED = 3
#: Signs after the number of an item of a list in prose.
_OF_LIST = (".", ")")


def line_numbers(answer: Answer) -> str | None:
    """Find lines that begin with consecutive numbers, unless they are a numbered list of prose."""
    everything = [_BEGINS_WITH_NUMBER.match(line) for line in answer.text.splitlines()]
    numbered = [match for match in everything if match]
    # Where every line has a number, also the empty ones, no list does.
    if (
        len(numbered) == len(everything) >= _LEAST_NUMBERED
        and any(not match[2].strip(_LIST_SIGNS) for match in numbered)
        and all(int(b[1]) - int(a[1]) == 1 for a, b in pairwise(numbered))
    ):
        return numbered[0][0].strip()
    lines = [line for line in answer.text.splitlines() if line.strip()]
    matches = [_NUMBERED_LINE.match(line) for line in lines]
    if answer.is_prose:
        matches = [m if m and m["close"].strip() not in _OF_LIST else None for m in matches]
    found = [match for match in matches if match]
    steps = sum(int(b["number"]) - int(a["number"]) == 1 for a, b in pairwise(found))
    enough = min(_LEAST_NUMBERED, len(lines))
    if len(found) >= enough and 2 * len(found) >= len(lines) and steps >= max(1, enough - 1):
        return found[0][0].strip()
    # A single line has no number after it: the number must look like that of a line.
    if len(lines) == 1 and found:
        is_marked = found[0]["open"] or found[0]["close"] != " " or found[0]["number"][0] == "0"
        return found[0][0].strip() if is_marked else None
    return None


_LIST_SIGNS = " \t.)]>:|│-"


# Broken characters ----------------------------------------------------------------------------

#: What Windows-1252 makes of the bytes 0x80 to 0xBF that follow the first byte of a character.
_CONTINUATION = (
    "\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2022"
    "\u2026\u2030\u2039\u203a\u20ac\u2122"
)
#: UTF-8 that was decoded as Windows-1252 or Latin-1, and the replacement character.
_MOJIBAKE = re.compile(f"[\u00c2-\u00df\u00e2-\u00ef][{_CONTINUATION}]|\u00f0[\u009f\u0178]|\ufffd")
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2064\u2066-\u2069"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
    # Joiners are part of emoji and of some scripts, and invisible between Latin letters.
    "|(?<=[\\x00-\\x7f])[\u200c\u200d]|[\u200c\u200d](?=[\\x00-\\x7f])"
    "|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)


def mojibake(answer: Answer) -> str | None:
    """Find text that was decoded with the wrong encoding, outside of literals."""
    return _first(_MOJIBAKE, answer.unquoted)


def invisible(answer: Answer) -> str | None:
    """Find zero-width, bidirectional and control characters, in literals too.

    N. Boucher and R. Anderson, "Trojan Source: invisible vulnerabilities" (2023).
    """
    match = _INVISIBLE.search(answer.text)
    return match and f"U+{ord(match[0]):04X}"


# Echo and repetition --------------------------------------------------------------------------

_ECHO_WORDS = 4
#: Characters that comment signs and a few words before an echo can add.
_BEFORE_ECHO = 400
#: Sentences of a question that a curator reads as the question, not as material for the answer.
_LEAST_REPEATED_WORDS = 8
_LEAST_REPEATED_LINES = 3
_MOST_PLACES = 4
#: The end of a line, or two bars: an empty cell, or two rows of a table on one line.
_LINE_OR_ROW = re.compile(r"\n|\|[ \t]*\|")
#: What a sentence consists of besides the signs of lists and tables.
_FILLED = re.compile(r"\w(?:[^\s|]*\w)?")


def echo(answer: Answer) -> str | None:
    """Find an answer that begins with its question, or that repeats a sentence of it."""
    whole = _spoken(answer.question)
    if len(whole) >= _ECHO_WORDS:
        # A few words such as "Task:" may come before it.
        start = _spoken(answer.text[: len(answer.question) + _BEFORE_ECHO])
        if any(start[at : at + len(whole)] == whole for at in range(_ECHO_WORDS + 1)):
            return " ".join(whole[:_ECHO_WORDS])
    # A heading that the question quotes may stand in the answer; the question itself may not.
    asked = without_fenced_blocks(answer.question)
    sentences = [*_SENTENCE_END.split(_QUOTED.sub("", asked)), *asked.splitlines()]
    sentences += [part for part in _SENTENCE_END.split(asked) if part.rstrip().endswith("?")]
    asks = {
        _spoken(_CODE_SPAN.sub("", sentence))
        for sentence in sentences
        if sentence.rstrip().endswith("?") or _ASKS.match(sentence) or not answer.is_prose
    }
    # A heading that the question quotes is part of the sentence that asks.
    asks |= {_spoken(_CODE_SPAN.sub("", line)) for line in asked.splitlines() if _ASKS.match(line)}
    text = answer.text if answer.is_prose else answer.words_only
    for sentence in [*_SENTENCE_END.split(text), *text.splitlines()]:
        # A path consists of several words, and is one.
        if len(sentence.split()) < _ECHO_WORDS:
            continue
        words = _spoken(_CODE_SPAN.sub("", sentence))
        if len(words) >= _ECHO_WORDS and words in asks:
            return " ".join(words[:_ECHO_WORDS])
    return None


_QUOTED = re.compile(r'"[^"\n]*"')
_ASKS = re.compile(
    r"\W*(?:write|implement|explain|describe|document|show|give|complete|declare|define|add|turn|replace"
    r"|summari[sz]e|tell|what|how|why|when|which|who|where|please|can\s+you|could\s+you)\b",
    re.IGNORECASE,
)


def _spoken(text: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in _WORD.findall(text))


def repetition(answer: Answer) -> str | None:
    """Find an answer that is given twice, or a sentence, list item or block that is repeated."""
    tokens = without_comments(answer.text).split() if not answer.is_prose else answer.text.split()
    half = len(tokens) // 2
    if half >= 4 and (tokens[:half] == tokens[-half:]):
        return "the whole answer twice"
    if answer.is_prose:
        return _repeated_sentence(without_fenced_blocks(answer.text))
    blocks = re.split(r"\n(?=\S)(?![})\]])|\n\s*\n", answer.text)
    parts = [
        tuple(block.split())
        for block in blocks
        if len(block.strip().splitlines()) >= _LEAST_REPEATED_LINES
    ]
    seen: set[tuple[str, ...]] = set()
    for part in parts:
        if part in seen:
            return " ".join(part[:_ECHO_WORDS])
        seen.add(part)
    return None


def _repeated_sentence(text: str) -> str | None:
    """Find a sentence or line whose words occur a second time, in any layout."""
    words = _FILLED.findall(text.casefold())
    places: dict[tuple[str, ...], list[int]] = {}
    for index in range(len(words) - _LEAST_REPEATED_WORDS + 1):
        places.setdefault(tuple(words[index : index + _LEAST_REPEATED_WORDS]), []).append(index)
    for part in [*_SENTENCE_END.split(text), *_LINE_OR_ROW.split(text)]:
        own = _FILLED.findall(part.casefold())
        # More places than these are a pattern of tables, and would take quadratic time.
        found = places.get(tuple(own[:_LEAST_REPEATED_WORDS]), [])[:_MOST_PLACES]
        if sum(words[at : at + len(own)] == own for at in found) > 1:
            return " ".join(own[:_ECHO_WORDS])
    return None


# Notes of a project -----------------------------------------------------------------------------

#: Marks of a plan: what nobody would ask a model for.
_PLAN = re.compile(
    r"""^\s*[-*+]\s+\[[ xX]\]\s|\[(?:DONE|FIXED|WIP|OPEN|SHIPPED|BLOCKED)\]|[\u23f3\u2610\u2611]
    |\bPR\s+\#\d+|\b(?:issue|bug|ticket)\s+\#\d+|\bthis\s+(?:PR|sprint|session)\b|\d\s*LOC\b
    |^\W*(?:Effort|Estimated?(?:\s+effort)?|Blockers|Blast\s+radius|Deliverables?|Assignee)\W*:
    |\b(?:TODO|FIXME)\b""",
    re.MULTILINE | re.VERBOSE,
)
#: A text may mention one of these in passing; several make it a part of a plan.
_MENTION = re.compile(rf"{PROJECT_ID}|\b20\d\d-[01]\d-[0-3]\d\b", re.VERBOSE)
_MENTIONS = 2


def project_note(answer: Answer) -> str | None:
    """Find prose of a plan: check boxes, efforts, and several ids of tasks or dates."""
    if not answer.is_prose:
        return None
    mentions = list(dict.fromkeys(_MENTION.findall(answer.words_only)))
    # Dates alone make a history.
    is_plan = len(mentions) >= _MENTIONS and not all(item[0].isdigit() for item in mentions)
    several = ", ".join(mentions[:_MENTIONS]) if is_plan else None
    return _first(_PLAN, answer.words_only) or several


# Code whose parts do not fit together ---------------------------------------------------------


def undeclared_name(answer: Answer) -> str | None:
    """Find a variable of code that neither the answer nor the turns before it declare."""
    shown = f"{answer.earlier}\n{answer.question}"
    bindings = _BINDINGS.get(answer.language)
    return bindings.undeclared(answer.text, shown) if bindings else None


def unknown_name(answer: Answer) -> str | None:
    """Find a call of a function or method that the workspace, the turns and the answer lack."""
    if answer.is_prose or answer.known is None:
        return None
    shown = f"{answer.earlier}\n{answer.question}"
    return known_names.unknown_call(answer.text, shown, answer.known)


def syntax_error(answer: Answer) -> str | None:
    """Find code that does not parse in its language."""
    if parses(answer.language, answer.text):
        return None
    return f"no {answer.language.capitalize()}"


def unused_variable(answer: Answer) -> str | None:
    """Find a local variable of code that nothing uses: a statement is missing or superfluous."""
    bindings = _BINDINGS.get(answer.language)
    return bindings.unused(answer.text) if bindings else None


def trivial_body(answer: Answer) -> str | None:
    """Find a function that ignores its parameters and returns an empty or default value."""
    bindings = _BINDINGS.get(answer.language)
    return bindings.trivial_body(answer.text) if bindings else None


_STUB = re.compile(
    r"""(?:\bErr\s*\(|\b(?:bail|anyhow|panic)!|\bError\s*\()[^;{}]{0,120}?"[^"]*\b(?:not\s+(?:yet\s+)?
        (?:implemented|wired)|unimplemented|stub)\b
    |\b(?:todo|unimplemented)!\s*\(
    |//[^\n]*\b(?:is\s+a\s+stub|STUB|stub[ ]implementation|not\s+yet\s+implemented)\b""",
    re.VERBOSE,
)


#: In longer code, one branch that is not written yet leaves enough to learn.
_STUB_LINES = 15


def stub(answer: Answer) -> str | None:
    """Find short code that says that it is not written yet, in an error or a comment."""
    is_short = not answer.is_prose and len(answer.text.splitlines()) <= _STUB_LINES
    match = _STUB.search(answer.text) if is_short else None
    return match and " ".join(match[0].split())[-80:]


_BINDINGS = {"rust": rust_bindings, "vox": vox_bindings}

#: Kind of artefact -> detector.
DETECTORS: Mapping[str, Callable[[Answer], str | None]] = {
    "chatter": chatter,
    "template": template,
    "html": html,
    "licence": licence,
    "line numbers": line_numbers,
    "mojibake": mojibake,
    "invisible": invisible,
    "echo": echo,
    "repetition": repetition,
    "missing reference": missing_reference,
    "project note": project_note,
    "foreign language": foreign,
    "syntax error": syntax_error,
    "undeclared name": undeclared_name,
    "unknown name": unknown_name,
    "unused variable": unused_variable,
    "trivial body": trivial_body,
    "stub": stub,
}


def artefacts(answer: Answer) -> list[Reason]:
    """Return each kind of artefact in an answer, with the text that shows it."""
    return [
        Reason(kind, excerpt)
        for kind, detect in DETECTORS.items()
        if (excerpt := detect(answer)) is not None
    ]


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return " ".join(match[0].split()) if match else None


def in_dialogue(
    messages: Sequence[Message], language: str, known: Collection[str] | None = None
) -> list[Reason]:
    """Return the artefacts of all answers of a dialogue, each kind once.

    `known` are the names of the workspace, where they are known.
    """
    found: dict[str, Reason] = {}
    for index, turn in enumerate(messages):
        if turn["role"] == "assistant" and index:
            earlier = "\n".join(message["content"] for message in messages[: index - 1])
            question = messages[index - 1]["content"]
            for reason in artefacts(Answer(question, turn["content"], language, earlier, known)):
                found.setdefault(reason.kind, reason)
    return list(found.values())
