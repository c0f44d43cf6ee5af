"""Finds artefacts in answers: text that came with the answer but does not belong to it.

Each kind has a detector, a function of one question and answer that returns the offending text or
None. Text in string literals and code spans is quoted and does not count, except invisible
signs, which hide there too. The detectors state what a curator sees at once, so a row with an
artefact is dropped whatever its other features are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from vox_assets.contract.answers import without_fenced_blocks
from vox_assets.contract.rows import Message, Reason
from vox_assets.curate import known_names, rust_bindings, vox_bindings
from vox_assets.curate.code_text import bare_code, comments, without_comments
from vox_assets.curate.features import PROSE
from vox_assets.curate.trim import PROJECT_ID

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


# Chatter --------------------------------------------------------------------------------------

#: What opens an answer; in code it would stand on the first line.
_GREETING = re.compile(
    r"""\A\W*(?:sure(?:\s+thing)?|certainly|of\s+course|absolutely|great\s+question|good\s+question
        |no\s+problem|happy\s+to\s+help|gladly|okay|alright|definitely)\s*[,!.\u2014-]
    |\A\W*(?:here(?:'s|\u2019s|\s+is|\s+are)|below\s+is|this\s+is)\s+(?:the|a|an|your|my|some|one)\s+
        (?:[\w-]+\s+){0,4}(?:answer|solution|explanation|summary|implementation|code|function|program|version
        |response|rewrite|fix|example)\b[^.\n]*[:.!]?[ \t]*$""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_CHATTER = re.compile(
    r"""\b(?:i\s+hope\s+(?:this|that|it)\s+helps?|hope\s+(?:this|that)\s+helps
        |let\s+me\s+know\s+(?:if|whether|how|what|when)|feel\s+free\s+to\s+(?:ask|reach|let|contact|modify|adapt)
        |if\s+you\s+have\s+any\s+(?:\w+\s+)?questions|do\s+you\s+want\s+me\s+to|would\s+you\s+like\s+me
        |as\s+an?\s+(?:large\s+)?(?:ai|artificial\s+intelligence|language)\s+(?:language\s+)?(?:model|assistant)\b
        |as\s+an\s+ai,|i(?:'m|\u2019m|\s+am)\s+(?:sorry|afraid|unable\s+to|just\s+an?\s+ai|happy\s+to\s+help)
        |i\s+(?:cannot|can't|can\u2019t)\s+(?:assist|help|provide|fulfil)|my\s+(?:training\s+data|knowledge\s+cutoff)
        |i\s+apologi[sz]e|thank\s+you\s+for\s+(?:your|asking|the\s+question)|happy\s+coding
        |(?:as|like)\s+you\s+(?:asked|requested|wanted)|you\s+asked\s+(?:me\s+)?(?:for|to)\b|as\s+requested[,:.]
        |is\s+there\s+anything\s+else|anything\s+else\s+i\s+can|glad\s+i\s+could\s+help)""",
    re.IGNORECASE | re.VERBOSE,
)


def chatter(answer: Answer) -> str | None:
    """Find what an assistant says around an answer: greetings, offers, apologies."""
    # Around code, chatter often has no comment sign.
    text = answer.words_only if answer.is_prose else answer.unquoted
    return _first(_GREETING, answer.text) or _first(_CHATTER, text)


# Left-overs of templates and markup -----------------------------------------------------------

_CHAT_TOKEN = re.compile(
    r"""<\|[\w ]{2,40}\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>
    |^\s*\#{2,3}\s*(?:instruction|response|input|output|human|assistant|user|system)\s*:
    |^\s*(?:human|assistant|user|system|gpt|question|answer)\s*:[ \t]+\S.*[ \t]\S
    |\{%-?\s*\w[^%\n]*%\}|<%=?\s*\w[^%\n]*%>|\blorem\s+ipsum\b""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_VARIABLE = re.compile(
    r"""\{\{\s*[\w.]{2,40}\s*\}\}|\$\{[A-Za-z_]\w*\}|</?s>(?!\w)
    |\[(?:insert|your|add|todo|placeholder)\b[^\]\n]{0,60}\](?!\()
    |<(?:insert|your|placeholder)[\w\s-]{0,60}>|(?<![\w{$])\{(?:name|question|answer|input|output|context
        |prompt|instruction|response|topic|title|language|code|text|description)\}""",
    re.IGNORECASE | re.VERBOSE,
)


def template(answer: Answer) -> str | None:
    """Find tokens of chat templates and variables that a template did not fill."""
    found = _first(_CHAT_TOKEN, answer.unquoted)
    # In code, the brackets and braces of a variable have a meaning; in words they have none.
    return found or _first(_VARIABLE, answer.words_only)


_HTML = re.compile(
    r"""</?(?:div|span|br|hr|p|table|thead|tbody|tr|td|th|a|img|ul|ol|li|h[1-6]|details|summary|sup|sub
        |script|style|strong|em|b|i|u|font|center|iframe|section|article|nav|pre|code|kbd|blockquote
        |figure|figcaption|video|button|input|form|label|meta|link|body|head|html)(?:\s[^<>\n]*)?/?>
    |<!--[\s\S]*?-->|<!DOCTYPE\b|&(?:nbsp|amp|lt|gt|quot|apos|mdash|ndash|hellip|\#\d{2,5}|\#x[0-9a-f]{2,5});""",
    re.IGNORECASE | re.VERBOSE,
)


def html(answer: Answer) -> str | None:
    """Find HTML tags, comments and entities in prose."""
    return _first(_HTML, answer.words_only) if answer.is_prose else None


_LICENCE = re.compile(
    r"""SPDX-License-Identifier|\bcopyright\s+(?:\(c\)|©|\d{4})|©\s*\d{4}|\ball\s+rights\s+reserved\b
    |\blicensed\s+(?:to\s+the\s+.{0,60}\s+)?under\s+the\b|\bpermission\s+is\s+hereby\s+granted
    |\bwithout\s+warranty\s+of\s+any\s+kind|\b(?:this|the)\s+(?:source\s+code|file|software)\s+is\s+
        (?:licensed|subject\s+to\s+the\s+terms)|\bprovided\s+["“]as\s+is["”]""",
    re.IGNORECASE | re.VERBOSE,
)
_ABOUT_LICENCES = re.compile(r"licen[sc]|copyright|spdx", re.IGNORECASE)


def licence(answer: Answer) -> str | None:
    """Find a licence or copyright header where the question does not ask about licences."""
    if _ABOUT_LICENCES.search(answer.question):
        return None
    return _first(_LICENCE, answer.words_only)


# Line numbers need a row of them, so that `5: five` alone is no line number.
_NUMBERED_LINE = re.compile(r"^\s*(\d{1,5})(\s*[:|│]\s?|\t|\s{2,}|[.)]\s|\s(?=[\w{}/#@\]]))")
_LEAST_NUMBERED = 3


def line_numbers(answer: Answer) -> str | None:
    """Find lines that begin with consecutive numbers, unless they are a numbered list of prose."""
    lines = [line for line in answer.text.splitlines() if line.strip()]
    matches = [_NUMBERED_LINE.match(line) for line in lines]
    if answer.is_prose:
        # Markdown writes ordered lists as `1.` or `1)`.
        matches = [m if m and m[2].strip() not in (".", ")") else None for m in matches]
    numbers = [int(match[1]) for match in matches if match]
    steps = sum(b - a == 1 for a, b in pairwise(numbers))
    enough = min(_LEAST_NUMBERED, len(lines))
    if len(numbers) >= enough and 2 * len(numbers) >= len(lines) and steps >= max(1, enough - 1):
        return next(match[0] for match in matches if match).strip()
    # A single line has no number after it.
    if len(lines) == 1 and matches[0] and matches[0][2] != " ":
        return matches[0][0].strip()
    return None


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
#: Sentences of a question that a curator reads as the question, not as material for the answer.
_LEAST_REPEATED_WORDS = 8
_LEAST_REPEATED_LINES = 3


def echo(answer: Answer) -> str | None:
    """Find an answer that begins with its question, or that repeats a sentence of it."""
    whole = _spoken(answer.question)
    if len(whole) >= _ECHO_WORDS and _spoken(answer.text)[: len(whole)] == whole:
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
    text = answer.text if answer.is_prose else answer.words_only
    for sentence in [*_SENTENCE_END.split(text), *text.splitlines()]:
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
        text = without_fenced_blocks(answer.text)
        parts = [tuple(part.casefold().split()) for part in _SENTENCE_END.split(text)]
        parts = [part for part in parts if len(part) >= _LEAST_REPEATED_WORDS]
    else:
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


# References to what is not there --------------------------------------------------------------

_FIGURE = re.compile(
    r"\b(?:figure|fig\.|diagram|listing|screenshot|chart|image|table|appendix|equation)\s+"
    r"(?:\d+(?:[.-]\d+)*|(?-i:[A-HJ-Z]))\b(?!\s*[:.]\s*[A-Z`])|\b(?:the|this|see\s+the|in\s+the)\s+"
    r"(?:figure|diagram|screenshot|image|chart|picture|illustration|screen\s*shot|gif|video)\s+"
    r"(?:above|below|shows?|illustrates?|depicts?|on\s+the|to\s+the)"
    r"|\b(?:above|below|following|preceding|accompanying|attached)\s+"
    r"(?:figure|diagram|screenshot|image|chart|picture|illustration)",
    re.IGNORECASE,
)
_TURN = re.compile(
    r"\b(?:in|from|of|to)\s+(?:my|your|our)\s+(?:last|previous|earlier|prior|first|above)\s+"
    r"(?:message|answer|reply|response|question|turn|comment|post|code|version|example)"
    r"|\b(?:as|like|that|what)\s+(?:i|we|you)\s+(?:just\s+)?(?:said|mentioned|explained|discussed|described"
    r"|showed|wrote|noted|saw|talked)\s+(?:earlier|before|above|previously|already|last)"
    r"|\bas\s+(?:mentioned|discussed|described|explained|noted|shown|seen|stated|said)\s+"
    r"(?:above|below|earlier|before|previously|in\s+the\s+(?:previous|last|next|preceding|following))"
    r"|\b(?:earlier|previous)\s+(?:in\s+this\s+)?(?:conversation|chat|discussion|thread|message|reply)"
    r"|\bmy\s+previous\s+\w+|\b(?:continu|pick)\w*\s+(?:from\s+)?where\s+we\s+left",
    re.IGNORECASE,
)
_PAGE = re.compile(
    r"\b(?:see|shown|listed|described|defined|mentioned|given|outlined)\s+(?:above|below)\b"
    r"|\b(?:the\s+)?(?:code|example|section|list|snippet|table|function|steps?|command)s?\s+(?:above|below)\b"
    r"|\b(?:the\s+)?(?:above|below)\s+(?:code|example|section|list|snippet|table|function|steps?|command)s?\b"
    r"|\bthe\s+(?:previous|preceding|next|last|following)\s+(?:section|chapter|page|paragraph)\b",
    re.IGNORECASE,
)


#: Material that a reference such as "the list below" can point to.
_MATERIAL = re.compile(r"^\s*(?:[-*+]|\d+[.)]|\||>|`{3}|~{3})", re.MULTILINE)
_DOWN = re.compile(r"below|following|next", re.IGNORECASE)


def missing_reference(answer: Answer) -> str | None:
    """Find references to a figure, an earlier message or a part of a page that the row lacks."""
    text = answer.words_only
    if answer.is_prose and (found := _first(_FIGURE, text)):
        return found
    # In a dialogue, earlier turns can be what is meant.
    if answer.earlier:
        return None
    if found := _first(_TURN, text):
        return found
    for match in _PAGE.finditer(text) if answer.is_prose else ():
        rest = text[match.end() :] if _DOWN.search(match[0]) else text[: match.start()]
        if not _MATERIAL.search(rest):
            return match[0]
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


# Language of prose ----------------------------------------------------------------------------

#: The commonest words of languages, none of them a common English word.
_FUNCTION_WORDS: Mapping[str, frozenset[str]] = {
    "English": frozenset(
        "the of and to a in is that for it as with on by are this be at or from an not "
        "but which have has can when if its will no each all only one so than then into "
        "any these must should does".split()
    ),
    "German": frozenset(
        "der das und ist nicht ein eine einen einem einer mit für auf von zu den dem des "
        "sich wird werden auch als aus bei oder nach wenn wie nur im zum zur über durch "
        "sind dass".split()
    ),
    "French": frozenset(
        "le la les et est une un des du de pas dans pour qui que sur avec ce cette il "
        "elle nous vous sont par aux ou mais leur être ces au lorsque".split()
    ),
    "Spanish": frozenset(
        "el la los las y es una un de del que en por para con se su al lo como más pero "
        "sus este esta cuando cada son ser entre".split()
    ),
    "Italian": frozenset(
        "il lo la gli le è una un di del della che con non si su al come più ma questo "
        "questa quando ogni sono essere nel".split()
    ),
    "Portuguese": frozenset(
        "os é uma um de da que em por para com não se na como mais ou mas este esta "
        "quando cada são ser entre pelo pela".split()
    ),
    "Dutch": frozenset(
        "de het een en niet van op met voor dat zijn aan te bij maar ook als uit naar "
        "wordt worden door om wanneer elke deze".split()
    ),
}
_LEAST_WORDS = 8
_FOREIGN_LETTERS = 0.3


def foreign(answer: Answer) -> str | None:
    """Find prose, or comments, in another natural language than English."""
    letters = [sign for sign in answer.words_only if sign.isalpha()]
    if letters and len(letters) >= 2 * _LEAST_WORDS:
        latin = sum(ord(sign) < 0x250 for sign in letters)
        if latin < (1 - _FOREIGN_LETTERS) * len(letters):
            other = next(sign for sign in letters if ord(sign) >= 0x250)
            return unicodedata.name(other, "another script").split(" ")[0].title()
    words = [word.casefold() for word in _WORD.findall(answer.words_only)]
    if len(words) < _LEAST_WORDS:
        return None
    counts = {name: sum(w in known for w in words) for name, known in _FUNCTION_WORDS.items()}
    best = max(counts, key=lambda name: counts[name])
    is_clear = counts[best] >= 3 and counts[best] >= 2 * counts["English"]
    return best if best != "English" and is_clear else None


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
