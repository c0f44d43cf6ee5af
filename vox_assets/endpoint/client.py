"""Asking a language model behind an OpenAI-compatible endpoint.

What belongs here: how a question travels, what it may cost, what is done when the server errs, and
that no answer is paid for twice. What is asked, and what an answer is worth, the caller decides.

An answer is JSON of a given shape. The shape travels as `response_format` and in words: a server
that ignores the parameter still sees the words, and one that refuses it is asked again without.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from vox_assets.compute.batches import HERE, Engine
from vox_assets.compute.models import RemoteModel
from vox_assets.profiles import Budget
from vox_assets.store.cache import BlobCache, content_key
from vox_assets.store.progress import Log, progress, silent

if TYPE_CHECKING:
    import openai
    from openai import AsyncOpenAI

# Part of every cache key: raise it when the same question is put to the server in another way.
REQUEST_LAYOUT = "1"

#: What is asked again is answered alike, as far as the server can; variety comes from the facts.
TEMPERATURE = 0.0

#: Questions in a row that stay without an answer before the others are not asked: an endpoint that
#: is down would otherwise cost the time of all of them.
SILENT_QUESTIONS = 3

#: What frames a message in a chat template, in tokens: a few marks and the role.
_FRAME_TOKENS = 16

#: Characters of a server's complaint that are repeated: its first sentence, not its web page.
_COMPLAINT_CHARACTERS = 200

#: The key is wrong, the account is closed, or there is no such model: no question fares better.
_HOPELESS = {401, 403, 404}
#: The server may fare better later.
_PASSING = {408, 409, 425, 429}
#: What a server answers to a parameter that it does not know.
_MALFORMED = {400, 422, 501}
#: Parameters that an answer can be had without.
_OPTIONAL = ("max_tokens", "temperature", "response_format")

_FENCED = re.compile(r"\A```(?:json)?[ \t]*\n(.*?)\n?```\Z", re.DOTALL)


class EndpointError(RuntimeError):
    """An endpoint that can answer nothing as it is configured."""


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for. Times are seconds."""

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
    """What is asked once: the caller's instructions, and content that may be anybody's text."""

    instructions: str
    content: str


Answer = TypeVar("Answer", bound=BaseModel)


@dataclass(frozen=True)
class Reply(Generic[Answer]):
    """An answer, or the reason why there is none: its kind, and after a colon its particulars."""

    answer: Answer | None = None
    reason: str = ""


@dataclass
class Usage:
    """What a run of questions came to."""

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


class _Completion(_Foreign):
    choices: list[_Choice]
    usage: _Spent | None = None


@dataclass(frozen=True)
class Endpoint:
    """A remote model and the store of what it has answered.

    A reply that came is stored as it is, useless ones too: to ask again would cost again.
    """

    model: RemoteModel
    store: BlobCache
    patience: Patience = Patience()
    #: Where requests start from.
    engine: Engine = HERE

    def ask(
        self,
        questions: Sequence[Question],
        kind: type[Answer],
        *,
        answer_tokens: int,
        budget: Budget,
        label: str,
        log: Log,
    ) -> Replies[Answer]:
        """Put every question that the budget allows, in order, and wait for the replies.

        An answer is read as `kind`, a model whose fields are all required. `answer_tokens` is the
        most that one may have. When the budget is spent or the server falls silent, replies that
        came are kept and the other questions have `not asked` as their reason. Runs an event loop
        of its own. Raises EndpointError when the server refuses key or model.
        """
        schema = kind.model_json_schema()
        keys = [self._key(question, schema, answer_tokens) for question in questions]
        known = {k: _Completion.model_validate_json(v) for k, v in self.store.get(keys).items()}
        missing = {key: q for key, q in zip(keys, questions, strict=True) if key not in known}
        usage = Usage(from_store=len(known))
        with progress(label, len(known) + len(missing), "questions", log) as advance:
            advance(usage.from_store)
            session = _Session(
                model=self.model,
                patience=self.patience,
                budget=budget,
                answer_tokens=answer_tokens,
                schema_name=kind.__name__.lstrip("_"),
                schema=schema,
                keep=lambda key, value: self.store.put({key: value.model_dump_json().encode()}),
                usage=usage,
                log=lambda line: log(f"{label}: {line}"),
                advance=advance,
            )
            if missing and self.engine.spreads:
                missing = session.spread(missing, self.engine)
            if missing:
                asyncio.run(session.run(missing))
        log(
            f"{label}: {usage.from_store:,} answers from the store; "
            f"{usage.requests:,} requests, {usage.tokens:,} tokens"
        )
        if session.hopeless:
            raise EndpointError(session.hopeless)
        known |= session.answered
        return Replies(
            [
                read_answer(known[key].choices[0], kind)
                if key in known
                else Reply(reason=session.unanswered[key])
                for key in keys
            ],
            usage,
        )

    def _key(self, question: Question, schema: Mapping[str, Any], answer_tokens: int) -> str:
        """The name of a question in the store. The API key is no part of it."""
        return content_key(
            "endpoint",
            REQUEST_LAYOUT,
            self.model.base_url,
            self.model.name,
            question.instructions,
            question.content,
            json.dumps(schema, sort_keys=True),
            str(answer_tokens),
        )


def read_answer(choice: _Choice, kind: type[Answer]) -> Reply[Answer]:
    """The answer in a choice, as `kind`, or what is wrong with it."""
    if choice.message.refusal:
        return Reply(reason="the model declined")
    text = (choice.message.content or "").strip()
    if choice.finish_reason == "length":
        return Reply(reason="the answer was cut off at its limit of tokens")
    if not text:
        return Reply(reason="the answer is empty")
    fenced = _FENCED.match(text)
    try:
        return Reply(answer=kind.model_validate_json(fenced.group(1) if fenced else text))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            return Reply(reason="the answer is not JSON")
        where = ".".join(str(part) for part in first["loc"]) or "answer"
        return Reply(reason=f"the answer has another schema: {where}: {first['msg']}")


@dataclass
class _Session:
    """One run of questions: what is under way, what was spent, and why it stopped."""

    model: RemoteModel
    patience: Patience
    budget: Budget
    answer_tokens: int
    schema_name: str
    schema: Mapping[str, Any]
    keep: Callable[[str, _Completion], None]
    usage: Usage
    log: Log
    advance: Callable[[int], None]

    answered: dict[str, _Completion] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)
    hopeless: str | None = None

    _stopped: str | None = None
    _reserved: int = 0
    _under_way: int = 0
    _silent: int = 0
    #: By the monotonic clock: a server that asks for a pause gets it from all questions.
    _not_before: float = 0.0
    #: Parameters that this server has refused.
    _given_up: set[str] = field(default_factory=set)

    def spread(self, questions: Mapping[str, Question], engine: Engine) -> dict[str, Question]:
        """Ask, from many machines, what the budget pays for whatever happens; return the others.

        The account stays here: no machine has more to spend than the worst case of its question.
        Which questions are asked is therefore as in `run`, to which the end of a budget is left.
        """
        left = dict(questions)
        while not self._stopped and (sure := self._sure(left)):
            ask = partial(
                _ask_alone,
                model=self.model,
                patience=self.patience,
                answer_tokens=self.answer_tokens,
                schema_name=self.schema_name,
                schema=self.schema,
                given_up=frozenset(self._given_up),
            )
            batches = [(left[key], budget) for key, budget in sure.items()]
            told = engine.map(ask, batches, at_once=self.budget.concurrency)
            with closing(told):
                keys = list(sure)
                for place, outcome in told:
                    del left[keys[place]]
                    self._record(keys[place], outcome)
                    if self._stopped:
                        break
        return left

    def _sure(self, questions: Mapping[str, Question]) -> dict[str, Budget]:
        """The first questions whose every try the budget covers, and what each may take."""
        requests = self.patience.tries + len(_OPTIONAL)
        left = self.budget.requests - self.usage.requests
        tokens = self.budget.tokens - self.usage.tokens
        found: dict[str, Budget] = {}
        for key, question in questions.items():
            most = self._bound(question) * self.patience.tries
            left -= requests
            tokens -= most
            if left < 0 or tokens < 0:
                break
            found[key] = Budget(requests=requests, tokens=most, concurrency=1)
        return found

    def _record(self, key: str, told: _Told) -> None:
        self.usage.requests += told.usage.requests
        self.usage.tokens += told.usage.tokens
        self._give_up(told.given_up)
        if told.completion is not None:
            self._silent = 0
            self.keep(key, told.completion)
            self.answered[key] = told.completion
        else:
            self.unanswered[key] = told.reason
        if told.silent:
            self._fall_silent(told.reason)
        self.hopeless = self.hopeless or told.hopeless
        if told.stopped:
            self._stop(told.stopped)
        self.advance(1)

    def alone(self, question: Question, given_up: Collection[str]) -> _Told:
        """Put one question, in the form that the server is known to take."""
        self._given_up |= set(given_up)
        asyncio.run(self.run({"": question}))
        return _Told(
            completion=self.answered.get(""),
            reason=self.unanswered.get("", ""),
            usage=self.usage,
            given_up=frozenset(self._given_up),
            hopeless=self.hopeless,
            stopped=self._stopped,
            silent=self._silent > 0,
        )

    async def run(self, questions: Mapping[str, Question]) -> None:
        """Start the questions in order, as many at once as the budget says."""
        from openai import AsyncOpenAI

        settled = asyncio.Event()
        async with (
            AsyncOpenAI(
                base_url=self.model.base_url,
                # Values that are not given are taken from OPENAI_* variables, which are meant for
                # another server.
                api_key=self.model.api_key or "unset",
                admin_api_key="",
                organization="",
                project="",
                timeout=self.patience.timeout,
                # Repeated requests count against the budget, so they are made here.
                max_retries=0,
            ) as client,
            asyncio.TaskGroup() as tasks,
        ):
            for key, question in questions.items():
                cost = self._bound(question)
                # A question is refused only when no answer is out whose true cost could make room:
                # which questions are asked then depends on their order and not on time.
                while self._under_way and (
                    self._under_way >= self.budget.concurrency or not self._affords(cost)
                ):
                    settled.clear()
                    await settled.wait()
                if not self._affords(cost):
                    self._stop(self._spent())
                if self._stopped:
                    self.unanswered[key] = f"not asked: {self._stopped}"
                    continue
                self._under_way += 1
                self._reserved += cost
                self.usage.requests += 1
                tasks.create_task(self._settle(client, key, question, cost, settled))

    async def _settle(
        self, client: AsyncOpenAI, key: str, question: Question, cost: int, settled: asyncio.Event
    ) -> None:
        try:
            outcome = await self._exchange(client, question, cost)
        finally:
            self._under_way -= 1
            self._reserved -= cost
            settled.set()
        if isinstance(outcome, _Completion):
            spent = outcome.usage.total_tokens if outcome.usage else None
            # A server that does not tell, or tells nonsense, is taken to have spent what it may.
            self.usage.tokens += spent if spent is not None and spent > 0 else cost
            self.keep(key, outcome)
            self.answered[key] = outcome
        else:
            self.unanswered[key] = f"no answer: {outcome}"
        self.advance(1)

    async def _exchange(
        self, client: AsyncOpenAI, question: Question, cost: int
    ) -> _Completion | str:
        """One question, again where that may help; or what came instead of an answer."""
        wait = self.patience.first_wait
        tries = 0
        without: frozenset[str] = frozenset()
        while True:
            while (pause := self._not_before - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            sent = self._parameters(without)
            outcome = await self._send(client, question, sent)
            if isinstance(outcome, _Completion):
                self._silent = 0
                self._give_up(without)
                return outcome
            if outcome.may_be_charged:
                self.usage.tokens += cost
            if outcome.hopeless:
                self.hopeless = (
                    f"the endpoint {self.model.base_url} refuses the model {self.model.name!r} "
                    f"or its key: {outcome.text}"
                )
                self._stop(outcome.text)
            if outcome.refused & sent.keys():
                without |= outcome.refused
            else:
                tries += 1
                if not outcome.passing:
                    return outcome.text
                if tries >= self.patience.tries:
                    self._fall_silent(outcome.text)
                    return f"{outcome.text}, {tries} times"
                if outcome.asked_wait is None:
                    await asyncio.sleep(wait)
                    wait = min(2 * wait, self.patience.longest_wait)
                elif outcome.asked_wait <= self.patience.longest_wait:
                    self._not_before = max(self._not_before, time.monotonic() + outcome.asked_wait)
                else:
                    self._stop(f"the server asks to wait {outcome.asked_wait:,.0f} s")
            if not self._affords(0):
                self._stop(self._spent())
            if self._stopped:
                return outcome.text
            self.usage.requests += 1

    async def _send(
        self, client: AsyncOpenAI, question: Question, sent: Mapping[str, Any]
    ) -> _Completion | _Trouble:
        import openai

        try:
            async with asyncio.timeout(self.patience.timeout):
                raw = await client.chat.completions.with_raw_response.create(
                    model=self.model.name, messages=self._messages(question), **sent
                )
                text = self._redacted(raw.text)
        except (TimeoutError, openai.APITimeoutError):
            return _Trouble(
                f"no reply within {self.patience.timeout:g} s", passing=True, may_be_charged=True
            )
        except openai.APIConnectionError as error:
            return _Trouble(
                f"no connection ({self._brief(error.__cause__ or error)})", passing=True
            )
        except openai.APIStatusError as error:
            return self._judge(error)
        try:
            completion = _Completion.model_validate_json(text)
        except ValidationError:
            completion = _Completion(choices=[])
        if not completion.choices:
            return _Trouble("the reply is no chat completion", passing=True, may_be_charged=True)
        return completion

    def _judge(self, error: openai.APIStatusError) -> _Trouble:
        """What an HTTP error means for the question and for those that follow."""
        status = error.status_code
        complaint = self._brief(error).removeprefix(f"Error code: {status} - ")
        text = f"HTTP {status} ({complaint})"
        if status in _HOPELESS:
            return _Trouble(text, hopeless=True)
        if status in _MALFORMED:
            named = {name for name in _OPTIONAL if name in error.response.text}
            # A server that does not say what it dislikes most likely knows no schemas.
            return _Trouble(text, refused=frozenset(named or {"response_format"}))
        return _Trouble(
            text,
            passing=status in _PASSING or status >= 500,
            asked_wait=_asked_wait(error.response.headers),
        )

    def _parameters(self, without: frozenset[str]) -> dict[str, Any]:
        """What goes beside model and messages, as far as the server is known to know it."""
        schema = {"name": self.schema_name, "schema": self.schema, "strict": True}
        wanted = {
            "max_tokens": self.answer_tokens,
            "temperature": TEMPERATURE,
            "response_format": {"type": "json_schema", "json_schema": schema},
        }
        unknown = without | self._given_up
        sent = {name: value for name, value in wanted.items() if name not in unknown}
        if "max_tokens" in unknown:
            # The name that it has where models think before they answer.
            sent["max_completion_tokens"] = self.answer_tokens
        return sent

    def _give_up(self, without: frozenset[str]) -> None:
        """Ask the other questions in the form that this server has answered, too."""
        if fresh := without - self._given_up:
            self._given_up |= fresh
            self.log(f"the server refuses {', '.join(sorted(fresh))}, and is asked without")

    def _messages(self, question: Question) -> list[Any]:
        shape = json.dumps(self.schema, sort_keys=True)
        return [
            {
                "role": "system",
                "content": f"{question.instructions}\n\nAnswer with one JSON object and nothing "
                f"else, of this JSON Schema:\n{shape}",
            },
            {"role": "user", "content": question.content},
        ]

    def _bound(self, question: Question) -> int:
        """Tokens that a question costs at most: no tokeniser makes more tokens than bytes."""
        prompt = sum(
            len(one["content"].encode()) + _FRAME_TOKENS for one in self._messages(question)
        )
        return prompt + self.answer_tokens

    def _affords(self, tokens: int) -> bool:
        return (
            self.usage.requests < self.budget.requests
            and self.usage.tokens + self._reserved + tokens <= self.budget.tokens
        )

    def _spent(self) -> str:
        return (
            f"the budget of {self.budget.requests:,} requests and {self.budget.tokens:,} tokens "
            f"is spent"
        )

    def _fall_silent(self, reason: str) -> None:
        self._silent += 1
        if self._silent >= SILENT_QUESTIONS:
            self._stop(f"the server does not answer: {reason}")

    def _stop(self, reason: str) -> None:
        if self._stopped is None:
            self._stopped = reason
            self.log(f"asks no more: {reason}")

    def _redacted(self, text: str) -> str:
        """What the server says, without the key, should it repeat what it was sent."""
        return text.replace(self.model.api_key, "***") if self.model.api_key else text

    def _brief(self, error: BaseException) -> str:
        line = self._redacted(" ".join(str(error).split()))
        return line[:_COMPLAINT_CHARACTERS] or type(error).__name__


@dataclass(frozen=True)
class _Told:
    """What became of a question that was asked by itself."""

    completion: _Completion | None
    reason: str
    usage: Usage
    given_up: frozenset[str]
    #: As in a session: why no question fares better, and why no other one is to be asked.
    hopeless: str | None
    stopped: str | None
    silent: bool


def _ask_alone(batch: tuple[Question, Budget], given_up: frozenset[str], **terms: Any) -> _Told:
    """Put one question, within a budget that covers all its tries; `terms` are a session's."""
    question, budget = batch
    session = _Session(
        **terms,
        budget=budget,
        keep=lambda key, value: None,
        usage=Usage(),
        log=silent,
        advance=lambda count: None,
    )
    return session.alone(question, given_up)


@dataclass(frozen=True)
class _Trouble:
    """What came in place of a completion, and what to do about it."""

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


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or a date; None without a good one."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())
