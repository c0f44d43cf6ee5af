"""Finds chatter: what an assistant says around an answer, to the one who asked."""

from __future__ import annotations

import re

#: What opens an answer to somebody who asked; in code it would stand on the first line.
_GREETING = re.compile(
    r"""\A\W*(?:(?:yes|well|oh)[,\s]+)?(?:
      (?:sure(?:\s+thing)?|certainly|of\s+course|absolutely|definitely|gladly|okay|alright|sounds\s+good
        |got\s+it|understood|perfect|awesome|excellent|thanks|thank\s+you|hello|hi(?:\s+there)?|hey|welcome
        |(?:no|not\s+an?)\s+(?:problem|worr(?:ies|y))|(?:my|with)\s+pleasure|you(?:'|\u2019)re\s+welcome
        |(?:great|good|nice|interesting|excellent)\s+(?:question|point|idea|catch|choice))
        \b(?:[^.!?\n]{0,60}!|\s*[,.\u2014:-](?=\s))
      |(?:ah|oh|wow|hm+|ok|great|interesting|fair\s+enough)\s*,|\w+(?:\s+\w+)?!\s
      |(?:yes|yep|yeah|right|great|nice|good|cool|fine)\s*!|(?:yep|yeah|ok)\s*[,.]
      |let(?:'|\u2019)?s\b|let\s+(?:me|us)\b|here\s+(?:you|we)\s+(?:go|are)\b|here\s+it\s+(?:is|goes)\b
      |happy\s+to\s+help
      |(?:here(?:'s|\u2019s|\s+is|\s+are)|below\s+is|this\s+is)\s+(?:the|a|an|your|my|some|one|what)\s+
        (?:[\w-]+\s+){0,4}(?:answer|solution|explanation|summary|implementation|code|function|program
        |version|response|rewrite|fix|example|you\s+\w+)\b[^.\n]*[:.!]?[ \t]*$)""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
#: What somebody says who answers and who speaks of himself or to the one who asked.
_CHATTER = re.compile(
    r"""\b(?:i\s+hope\s+(?:this|that|it)|hope\s+(?:this|that|it)\s+(?:help|work|clarif|answer|make)
        |let\s+me\s+know\s+(?:if|whether|how|what|when)|feel\s+free\s+to\s+(?:ask|reach|let|contact|modify|adapt)
        |(?:don(?:'|\u2019)t|do\s+not)\s+hesitate|tell\s+me\s+(?:if|whether|how|what|when|which|more)
        |look(?:ing)?\s+forward\s+to|(?:glad|happy|pleased)\s+to\s+be\s+of|at\s+your\s+service|(?:do|please)\s+reach\s+out
        |if\s+you\s+have\s+any\s+(?:\w+\s+)?questions|do\s+you\s+want\s+me\s+to|would\s+you\s+like\s+me
        |as\s+an?\s+(?:large\s+)?(?:ai|artificial\s+intelligence|language)\s+(?:language\s+)?(?:model|assistant)\b
        |as\s+an\s+ai,|my\s+(?:training|knowledge|cut-?off)\b|thank\s+you\s+for\s+(?:your|asking|the\s+question)
        |happy\s+coding|you\s+(?:asked|requested)\s+(?:me\s+)?(?:for|to|about|how|why|what|:)|you\s+asked:|as\s+requested[,:.]
        |(?:as|like)\s+you\s+(?:asked|requested|wanted)|(?:answer|address)\w*\s+your\s+(?:question|request|prompt)
        |is\s+there\s+anything\s+else|anything\s+else\s+i\s+can|glad\s+i\s+could\s+help
        |i(?:(?:'|\u2019)m|\s+am)\s+(?:sorry|afraid|unable|not\s+able|just\s+an?\b|only\s+an?\b|an?\s+(?:ai|language)
          |(?:very\s+|always\s+)?(?:happy|glad|here)\s+to|going\s+to)
        |i\s+(?:apologi[sz]e|(?:cannot|can(?:'|\u2019)?t|can|could|would|(?:wi|sha)ll|might)\s+(?:\w+\s+)?(?:do|help|assist|provide
          |fulfil|explain|show|write|give|walk|elaborate|expand|suggest|recommend|run|test|check|verify|try|say|see)
          |(?:recommend|suggest|assumed?|wrote|added|kept|fixed|changed|included|used|made|did\s+not|didn(?:'|\u2019)t)\b)
        |i(?:'|\u2019)(?:ll|ve|d)\s+\w+)""",
    re.IGNORECASE | re.VERBOSE,
)
#: What closes an answer: wishes, offers, and a question to the one who asked.
_FAREWELL = re.compile(
    r"""\b(?:(?:good\s+luck|enjoy|cheers|happy\s+\w+ing|(?:happy|glad)\s+to\s+\w+|here\s+to\s+help|my\s+pleasure|have\s+(?:fun|an?\s+\w+\s+(?:day|one|time|week\w*|evening))
        |(?:best|kind|warm)\s+regards|any\s+(?:\w+\s+)?questions|ask\s+(?:away|me|again)|just\s+(?:ask|say\s+so)
        |should\s+do\s+(?:the\s+trick|it)|if\s+(?:you\s+(?:need|want|would|have)|you(?:'|\u2019)d|anything
          |something)\b[^.\n]{0,60}\b(?:more|further|else|help|unclear|ask|clear|reach|let\s+me))\b[^.?!\n]{0,80}
      |(?:(?:shall|should|may|can|could)\s+i|(?:do|does|did|would|is|was)\s+(?:you|that|this|it)\b[^.?!\n]{0,40}
          \b(?:you|help|sense|question|clear|enough|useful|else|more|work\s+for)|want\s+me\s+to)\b
          [^.?!\n]{0,80}\?)[.?!\W]*\Z""",
    re.IGNORECASE | re.VERBOSE,
)
#: The last sentence of an answer.
_FAREWELL_CHARACTERS = 200
#: A first sentence about what was asked for.
_ASKED = re.compile(
    r"""\A[^.!?\n]{0,120}\byour\s+(?:\w+\s+)?(?:descriptions?|instructions?|requests?|questions?|prompts?
        |messages?|spec(?:ification)?s?|requirements?|needs|quer(?:y|ies)|inputs?|wish(?:es)?|task)\b
    |\A\W*(?:here|below)\b[^.\n]{0,100}:[ \t]*(?:\n|\Z)
    |\A[^.!?\n]{0,80}\b(?:you(?:'|\u2019)ll|you\s+will)\s+find\b""",
    re.IGNORECASE | re.VERBOSE,
)
#: A sentence in which the speaker names himself, and the reader or his help.
_FIRST_PERSON = re.compile(r"(?<![\w'\u2019-])(?:I|me|my)(?:['\u2019]\w+)?(?=[\s,])")
_SECOND_PERSON = re.compile(r"\b(?:you(?:rs?)?|help|assist)\b", re.IGNORECASE)
#: A comment of code that names its writer or its reader; `I/O` is a word of its own.
_PERSON = re.compile(
    r"(?<![\w'\u2019`-])(?:I|[Mm][ey]|[Yy]ours?|[Yy]ou)(?:['\u2019]\w+)?(?![\w/-])"
)
#: A short exclamation at the end of a text.
_EXCLAMATION = re.compile(r"\n\n[^.!?:\n|`]{3,60}!\W*\Z")
#: What somebody else says is quoted, also in prose.
_SPEECH = re.compile(r"[\"\u201c][^\"\u201c\u201d\n]{0,200}[\"\u201d]")


def chatter(answer: str, words: str, text: str, is_prose: bool) -> str | None:
    """Find what an assistant says around an answer: greetings, offers, apologies.

    `words` is the natural language of the answer, `text` all of it that is not quoted: around code,
    chatter often has no comment sign.
    """
    words = _SPEECH.sub("", words).strip()
    ending = words[-_FAREWELL_CHARACTERS:]
    found = (
        _GREETING.search(answer)
        or _GREETING.search(words)
        or _ASKED.search(words)
        or _CHATTER.search(_SPEECH.sub("", text))
        or _FAREWELL.search(ending)
        or _EXCLAMATION.search(ending)
    )
    if found:
        return " ".join(found[0].split())
    return _spoken_to_the_reader(words) if is_prose else _personal_comment(words)


def _personal_comment(words: str) -> str | None:
    """Return the first or last line of the comments of code where it names a person."""
    lines = words.splitlines()
    return next((line for line in (*lines[:1], *lines[-1:]) if _PERSON.search(line)), None)


def _spoken_to_the_reader(words: str) -> str | None:
    """Return the first or last sentence where it is about the speaker and the reader."""
    ends = (words[:_FAREWELL_CHARACTERS], words[-_FAREWELL_CHARACTERS:])
    for sentence in (_SENTENCE.split(ends[0])[0], _SENTENCE.split(ends[1].rstrip(_ENDINGS))[-1]):
        if _FIRST_PERSON.search(sentence) and _SECOND_PERSON.search(sentence):
            return " ".join(sentence.split())
    return None


_SENTENCE = re.compile(r"[.!?\n]")
_ENDINGS = ".!?* \n"
