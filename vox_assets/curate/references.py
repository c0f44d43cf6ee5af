"""Finds references in an answer to what its row does not contain."""

from __future__ import annotations

import re

_PICTURE = (
    r"(?:figure|fig\.|diagram|listing|screen[ ]?shot|chart|image|picture|illustration|graph"
    r"|photo(?:graph)?|drawing|video|gif|slide|graphic|infographic|flowchart)"
)
_FIGURE = re.compile(
    rf"""\b(?:{_PICTURE}|table|appendix|equation|exhibit|exercise|attachment)[ \t]+
      (?:\d+(?:[.-]\d+)*|(?-i:[A-HJ-Z]))\b(?!\s*[:.]\s*[A-Z`])
    |\b{_PICTURE}s?\s+(?:above|below|overleaf|opposite|(?:on|at|in|to)\s+the\s+(?:next|previous|following|left
        |right|top|bottom|side|facing))\b
    |\b(?:above|below|following|preceding|next|previous|accompanying|adjacent|opposite)\s+{_PICTURE}s?\b
    |\b(?:attached|enclosed)\s+(?:\w+\s+)?(?:{_PICTURE}s?|spreadsheet|files?|documents?|pdf|sheet|archive|zip|log)\b
    |\b(?:left|right|top|bottom)(?:-hand)?\s+{_PICTURE}s?\b|\bscroll(?:ing)?\s+(?:down|up)\b
    |\b(?:the|this|that)\s+{_PICTURE}\s+(?:shows?|illustrates?|depicts?|makes|gives|explains|presents|lists
        |summari[sz]es|demonstrates|displays|outlines|visuali[sz]es)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_SAID = (
    r"(?:said|mention\w*|explain\w*|discuss\w*|describ\w*|show\w*|wrote|written|not(?:ed|e)|saw|seen|talked"
    r"|sent|shared|pasted|posted|gave|given|provided|asked|stated|told|suggested|agreed|established|outlined"
    r"|covered|pointed\s+out|introduced)"
)
_SPOKEN_WORD = (
    r"(?:messages?|answers?|repl(?:y|ies)|respon[sc]es?|questions?|turns?|comments?|posts?|discussions?"
    r"|conversations?|chats?|exchanges?|prompts?|requests?|e?mails?|notes?|suggestions?|versions?|examples?|codes?)"
)
_TURN = re.compile(
    rf"""\b(?:my|your|our)\s+(?:\w+\s+)?(?:last|previous|earlier|prior|preceding|first|original|above)\s+(?:\w+\s+)?
        {_SPOKEN_WORD}\b
    |\byour\s+(?:last|previous|earlier)\s+\w+
    |\b(?:see|in|from|per|of|to|with)\s+(?:the|an?)\s+(?:previous|earlier|preceding|prior)\s+
        (?:messages?|answers?|repl(?:y|ies)|discussions?|conversations?|chats?|exchanges?|turns?|comments?|posts?)\b
    |\b(?:i|we|you)\s+(?:have\s+|had\s+|just\s+|already\s+){{0,2}}{_SAID}\s+(?:\w+\s+){{0,2}}(?:earlier|before|above
        |previously|already|last)\b
    |\b(?:as|like|what)\s+(?:i|you)\s+(?:just\s+|already\s+)?{_SAID}\b
    |\bas\s+(?:\w+\s+)?{_SAID}\s+(?:above|below|earlier|before|previously|already|in\s+the\s+(?:previous|last|next
        |preceding|following))
    |\b(?:earlier|previous|previously|before)\s+(?:in\s+)?this\s+(?:conversation|chat|discussion|thread)
    |\b(?:earlier|previous)\s+(?:conversation|chat|discussion|message|reply)\b
    |\bmy\s+(?:previous|last|earlier)\s+\w+|\b(?:continu|pick)\w*\s+(?:\w+\s+)?(?:from\s+)?where\s+(?:we|i|you)\s+\w+
    |\bthe\s+(?:code|file|text|snippet|error|message|screenshot|example|function|log)s?\s+(?:that\s+)?you\s+
        (?:\w+\s+)?(?:sent|shared|pasted|posted|gave|provided|showed|attached|quoted|wrote)""",
    re.IGNORECASE | re.VERBOSE,
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


def missing_reference(words: str, is_prose: bool, has_earlier: bool) -> str | None:
    """Find references to a figure, an earlier message or a part of a page that the row lacks.

    `words` is the natural language of the answer; with `has_earlier`, turns come before it, which
    can be what is meant.
    """
    if is_prose and (found := _FIGURE.search(words)):
        return " ".join(found[0].split())
    if has_earlier:
        return None
    if found := _TURN.search(words):
        return " ".join(found[0].split())
    for match in _PAGE.finditer(words) if is_prose else ():
        rest = words[match.end() :] if _DOWN.search(match[0]) else words[: match.start()]
        if not _MATERIAL.search(rest):
            return match[0]
    return None
