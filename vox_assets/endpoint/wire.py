"""Define the wire format of an endpoint: questions, replies, usage and errors."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from vox_assets.contract.answers import FENCED_BLOCK
from vox_assets.contract.rows import Reason

_FENCE_AT_END = re.compile(r"(?<=[}\]])```\Z")

# Part of every cache key: raise it when the same question is sent to the server in another form.
REQUEST_LAYOUT = "1"
#: Temperature 0, so that a repeated question gets the same answer if the server is deterministic.
TEMPERATURE = 0.0
#: Tokens that a chat template adds to a message: a few marks and the role.
FRAME_TOKENS = 16
#: Characters of a server's error message that are kept: its first sentence, not a web page.
COMPLAINT_CHARACTERS = 200
#: HTTP statuses of a wrong key, a closed account or an unknown model: every question would fail.
HOPELESS = {401, 403, 404}
#: HTTP statuses after which a retry may succeed.
PASSING = {408, 409, 425, 429}
#: HTTP statuses with which servers refuse an unknown parameter.
MALFORMED = {400, 422, 501}
#: Parameters that a request may omit.
OPTIONAL = ("max_tokens", "temperature", "response_format")


class EndpointError(RuntimeError):
    """Raised if an endpoint cannot answer any question as it is configured."""


@dataclass(frozen=True)
class Patience:
    """Timeouts and retries of a server. Times are seconds."""

    #: A small model on a processor takes minutes for a long answer.
    timeout: float = 180.0
    #: Four failures within a quarter of a minute are no coincidence.
    tries: int = 4
    #: Doubled after every try.
    first_wait: float = 2.0
    #: If a server asks for more (a spent daily quota), the session stops.
    longest_wait: float = 120.0


@dataclass(frozen=True)
class Question:
    """One question: the caller's instructions, and content from an untrusted source."""

    instructions: str
    content: str


Answer = TypeVar("Answer")
Schema = TypeVar("Schema", bound=BaseModel)

#: The reason of a reply that holds an answer.
NO_REASON = Reason("")


@dataclass(frozen=True)
class Completed:
    """An answer in plain text, and whether the model ended it within the limit of tokens."""

    text: str
    ended: bool


@dataclass(frozen=True)
class Reply(Generic[Answer]):
    """An answer, or the reason for its absence."""

    answer: Answer | None = None
    why: Reason = NO_REASON
    #: False if the server sent nothing, so that a later build asks again.
    arrived: bool = True

    @property
    def reason(self) -> str:
        """The whole reason as text; empty if there is an answer."""
        return self.why.text


@dataclass
class Usage:
    """Requests and tokens that a run of questions used."""

    from_store: int = 0
    requests: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class Replies(Generic[Answer]):
    """One reply per question, in the order of the questions, and the usage of the run."""

    replies: list[Reply[Answer]]
    usage: Usage


class _Foreign(BaseModel):
    """Part of a server's JSON; unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")


class _Said(_Foreign):
    content: str | None = None
    refusal: str | None = None


class Choice(_Foreign):
    message: _Said
    finish_reason: str | None = None


class _Spent(_Foreign):
    total_tokens: int | None = None


class WireCompletion(_Foreign):
    choices: list[Choice]
    usage: _Spent | None = None


def read_text(choice: Choice) -> Reply[Completed]:
    """Return the text of a choice; a model that declines ends its answer without text."""
    text = (choice.message.content or "").strip()
    return Reply(answer=Completed(text, choice.finish_reason != "length"))


def read_answer(choice: Choice, kind: type[Schema]) -> Reply[Schema]:
    """Parse the answer in a choice as `kind`, or give the reason why it is unusable."""
    if choice.message.refusal:
        return Reply(why=Reason("the model declined"))
    text = (choice.message.content or "").strip()
    if choice.finish_reason == "length":
        return Reply(why=Reason("the answer was cut off at its limit of tokens"))
    if not text:
        return Reply(why=Reason("the answer is empty"))
    # Models often close a fence on the last line of their JSON, where Markdown wants a new line.
    fenced = FENCED_BLOCK.fullmatch(text) or FENCED_BLOCK.fullmatch(
        _FENCE_AT_END.sub("\n```", text)
    )
    try:
        return Reply(answer=kind.model_validate_json(fenced["code"] if fenced else text))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            return Reply(why=Reason("the answer is not JSON"))
        where = ".".join(str(part) for part in first["loc"]) or "answer"
        return Reply(why=Reason("the answer has another schema", f"{where}: {first['msg']}"))


@dataclass(frozen=True)
class Reported:
    """The outcome of a question that was asked in a session of its own."""

    completion: WireCompletion | None
    why: Reason
    usage: Usage
    given_up: frozenset[str]
    #: Fields of Session: why every question would fail, and why the session stopped.
    hopeless: str | None
    stopped: str | None
    silent: bool


@dataclass(frozen=True)
class Failure:
    """An error instead of a completion, and how to react to it."""

    text: str
    #: A retry may succeed.
    passing: bool = False
    #: Parameters to omit when the question is sent again at once.
    refused: frozenset[str] = frozenset()
    hopeless: bool = False
    #: The server may have generated, and charge for, an answer.
    may_be_charged: bool = False
    timed_out: bool = False
    #: Seconds that the server asks to wait.
    asked_wait: float | None = None


def requested_wait(headers: Mapping[str, str]) -> float | None:
    """Parse a Retry-After header, seconds or a date, to seconds; None if absent or invalid."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())
