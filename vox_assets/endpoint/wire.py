"""Wire format of an endpoint: questions, replies, usage and errors."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from vox_assets.contract.answers import FENCED_BLOCK
from vox_assets.contract.rows import Reason

if TYPE_CHECKING:
    pass


# Part of every cache key: raise it when the same question is put to the server in another way.
REQUEST_LAYOUT = "1"


#: Temperature 0, so that a repeated question gets the same answer where the server allows it.
TEMPERATURE = 0.0


#: What frames a message in a chat template, in tokens: a few marks and the role.
FRAME_TOKENS = 16


#: Characters of a server's complaint that are repeated: its first sentence, not its web page.
COMPLAINT_CHARACTERS = 200


#: The key is wrong, the account is closed, or there is no such model: no question fares better.
HOPELESS = {401, 403, 404}


#: The server may fare better later.
PASSING = {408, 409, 425, 429}


#: What a server answers to a parameter that it does not know.
MALFORMED = {400, 422, 501}


#: Parameters that an answer can be had without.
OPTIONAL = ("max_tokens", "temperature", "response_format")


class EndpointError(RuntimeError):
    """An endpoint that can answer nothing as it is configured."""


@dataclass(frozen=True)
class Patience:
    """Timeouts and retries of a server. Times are seconds."""

    #: A small model on a processor takes minutes for a long answer.
    timeout: float = 180.0
    #: A server that fails four times within a quarter of a minute does not fail by chance.
    tries: int = 4
    #: Doubled from try to try.
    first_wait: float = 2.0
    #: A server that asks for more (a day's quota is spent) is not waited for.
    longest_wait: float = 120.0


@dataclass(frozen=True)
class Question:
    """One question: the caller's instructions, and content from an untrusted source."""

    instructions: str
    content: str


Answer = TypeVar("Answer", bound=BaseModel)


#: Of a reply that holds an answer.
NO_REASON = Reason("")


@dataclass(frozen=True)
class Reply(Generic[Answer]):
    """An answer, or the reason why there is none."""

    answer: Answer | None = None
    why: Reason = NO_REASON
    #: False where the server sent nothing, so that a later build may ask again.
    arrived: bool = True

    @property
    def reason(self) -> str:
        """The whole reason, for people; empty where there is an answer."""
        return self.why.text


@dataclass
class Usage:
    """Requests and tokens that a run of questions used."""

    from_store: int = 0
    requests: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class Replies(Generic[Answer]):
    """One reply per question, in the order of the questions, and what they came to."""

    replies: list[Reply[Answer]]
    usage: Usage


class _Foreign(BaseModel):
    """Part of what a server says; what else it says is not looked at."""

    model_config = ConfigDict(extra="ignore")


class _Said(_Foreign):
    content: str | None = None
    refusal: str | None = None


class _Choice(_Foreign):
    message: _Said
    finish_reason: str | None = None


class _Spent(_Foreign):
    total_tokens: int | None = None


class WireCompletion(_Foreign):
    choices: list[_Choice]
    usage: _Spent | None = None


def read_answer(choice: _Choice, kind: type[Answer]) -> Reply[Answer]:
    """The answer in a choice, as `kind`, or what is wrong with it."""
    if choice.message.refusal:
        return Reply(why=Reason("the model declined"))
    text = (choice.message.content or "").strip()
    if choice.finish_reason == "length":
        return Reply(why=Reason("the answer was cut off at its limit of tokens"))
    if not text:
        return Reply(why=Reason("the answer is empty"))
    fenced = FENCED_BLOCK.fullmatch(text)
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
    """Outcome of a question that was sent by itself."""

    completion: WireCompletion | None
    why: Reason
    usage: Usage
    given_up: frozenset[str]
    #: As in a session: why no question fares better, and why no other one is to be asked.
    hopeless: str | None
    stopped: str | None
    silent: bool


@dataclass(frozen=True)
class Failure:
    """An error in place of a completion, and how to react to it."""

    text: str
    #: It may pass: the same question may be put again.
    passing: bool = False
    #: Parameters without which the question may be put again at once.
    refused: frozenset[str] = frozenset()
    hopeless: bool = False
    #: The server may have done the work all the same.
    may_be_charged: bool = False
    #: Seconds that the server asks to be left alone.
    asked_wait: float | None = None


def requested_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or a date; None without a good one."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())
