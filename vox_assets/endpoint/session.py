"""Send the questions of one session: concurrency, retries and budget."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from vox_assets.compute.batches import Engine
from vox_assets.compute.models import RemoteModel
from vox_assets.contract.rows import Reason
from vox_assets.profiles import Budget
from vox_assets.store.progress import Log, silent

if TYPE_CHECKING:
    import openai
    from openai import AsyncOpenAI
from vox_assets.endpoint.wire import (
    COMPLAINT_CHARACTERS,
    FRAME_TOKENS,
    HOPELESS,
    MALFORMED,
    OPTIONAL,
    PASSING,
    TEMPERATURE,
    Failure,
    Patience,
    Question,
    Reported,
    Usage,
    WireCompletion,
    requested_wait,
)

#: Consecutive unanswered questions after which the session stops: an endpoint that is down would
#: otherwise cost the retries of all questions.
SILENT_QUESTIONS = 3


@dataclass
class Session:
    """Tracks the questions in progress, the budget spent, and the reason for stopping."""

    model: RemoteModel
    patience: Patience
    budget: Budget
    answer_tokens: int
    schema_name: str
    #: The JSON schema of an answer; None for plain text.
    schema: Mapping[str, Any] | None
    keep: Callable[[str, WireCompletion], None]
    usage: Usage
    log: Log
    advance: Callable[[int], None]

    answered: dict[str, WireCompletion] = field(default_factory=dict)
    unanswered: dict[str, Reason] = field(default_factory=dict)
    hopeless: str | None = None

    _stopped: str | None = None
    _reserved: int = 0
    _pending: int = 0
    _silent: int = 0
    #: Monotonic time before which nothing is sent: a requested pause holds for all questions.
    _not_before: float = 0.0
    #: Parameters that this server has refused.
    _given_up: set[str] = field(default_factory=set)
    #: Questions that are with the server, and the most of them at once.
    _sent: int = 0
    _at_once: int = 0
    _replied: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._at_once = self.budget.concurrency

    def spread(self, questions: Mapping[str, Question], engine: Engine) -> dict[str, Question]:
        """Ask questions on many machines while the budget covers their worst case.

        Returns the other questions, for `run`. A machine gets the worst case of its question as a
        budget, and this method adds up the real costs. Together, the two methods therefore ask the
        same questions as `run` alone.
        """
        left = dict(questions)
        while not self._stopped and (covered := self._covered(left)):
            ask = partial(
                _ask_alone,
                model=self.model,
                patience=self.patience,
                answer_tokens=self.answer_tokens,
                schema_name=self.schema_name,
                schema=self.schema,
                given_up=frozenset(self._given_up),
            )
            batches = [(left[key], budget) for key, budget in covered.items()]
            report = engine.map(ask, batches, at_once=self.budget.concurrency)
            with closing(report):
                keys = list(covered)
                for index, outcome in report:
                    del left[keys[index]]
                    self._record(keys[index], outcome)
                    if self._stopped:
                        break
        return left

    def _covered(self, questions: Mapping[str, Question]) -> dict[str, Budget]:
        """Select the first questions whose tries the budget covers, with a budget for each."""
        requests = self.patience.tries + len(OPTIONAL)
        left = self.budget.requests - self.usage.requests
        tokens = self.budget.tokens - self.usage.tokens
        covered: dict[str, Budget] = {}
        for key, question in questions.items():
            most = self._bound(question) * self.patience.tries
            left -= requests
            tokens -= most
            if left < 0 or tokens < 0:
                break
            covered[key] = Budget(requests=requests, tokens=most, concurrency=1)
        return covered

    def _record(self, key: str, report: Reported) -> None:
        self.usage.requests += report.usage.requests
        self.usage.tokens += report.usage.tokens
        self._give_up(report.given_up)
        if report.completion is not None:
            self._silent = 0
            self.keep(key, report.completion)
            self.answered[key] = report.completion
        else:
            self.unanswered[key] = report.why
        if report.silent:
            self._count_silence(report.why.text)
        self.hopeless = self.hopeless or report.hopeless
        if report.stopped:
            self._stop(report.stopped)
        self.advance(1)

    def alone(self, question: Question, given_up: Collection[str]) -> Reported:
        """Ask one question without the parameters that the server has refused."""
        self._given_up |= set(given_up)
        asyncio.run(self.run({"": question}))
        return Reported(
            completion=self.answered.get(""),
            why=self.unanswered.get("", Reason("")),
            usage=self.usage,
            given_up=frozenset(self._given_up),
            hopeless=self.hopeless,
            stopped=self._stopped,
            silent=self._silent > 0,
        )

    async def run(self, questions: Mapping[str, Question]) -> None:
        """Ask the questions in order, with the concurrency of the budget."""
        from openai import AsyncOpenAI

        settled = asyncio.Event()
        async with (
            AsyncOpenAI(
                base_url=self.model.base_url,
                # The client reads omitted values from OPENAI_* variables, which belong to another
                # server.
                api_key=self.model.api_key or "unset",
                admin_api_key="",
                organization="",
                project="",
                timeout=self.patience.timeout,
                # Retries count against the budget, so this class makes them.
                max_retries=0,
            ) as client,
            asyncio.TaskGroup() as tasks,
        ):
            for key, question in questions.items():
                cost = self._bound(question)
                # Wait for pending answers before refusing a question: they may cost less than was
                # reserved. Which questions are asked then depends on their order, not on timing.
                while self._pending and (
                    self._pending >= self.budget.concurrency or not self._affords(cost)
                ):
                    settled.clear()
                    await settled.wait()
                if not self._affords(cost):
                    self._stop(self._budget_message())
                if self._stopped:
                    self.unanswered[key] = Reason("not asked", str(self._stopped))
                    continue
                self._pending += 1
                self._reserved += cost
                self.usage.requests += 1
                tasks.create_task(self._settle(client, key, question, cost, settled))

    async def _settle(
        self, client: AsyncOpenAI, key: str, question: Question, cost: int, settled: asyncio.Event
    ) -> None:
        try:
            outcome = await self._exchange(client, question, cost)
        finally:
            self._pending -= 1
            self._reserved -= cost
            settled.set()
        if isinstance(outcome, WireCompletion):
            spent = outcome.usage.total_tokens if outcome.usage else None
            # If a server reports no usage or a wrong one, charge the maximum.
            self.usage.tokens += spent if spent is not None and spent > 0 else cost
            self.keep(key, outcome)
            self.answered[key] = outcome
        else:
            self.unanswered[key] = Reason("no answer", str(outcome))
        self.advance(1)

    async def _exchange(
        self, client: AsyncOpenAI, question: Question, cost: int
    ) -> WireCompletion | str:
        """Send one question, with retries; return the completion or the text of the failure."""
        wait = self.patience.first_wait
        tries = 0
        without: frozenset[str] = frozenset()
        while True:
            while (pause := self._not_before - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            while self._sent >= self._at_once:
                self._replied.clear()
                await self._replied.wait()
                if self._stopped:
                    return str(self._stopped)
            sent, at_once = self._parameters(without), self._at_once
            self._sent += 1
            try:
                outcome = await self._send(client, question, sent)
            finally:
                self._sent -= 1
                self._replied.set()
            if isinstance(outcome, WireCompletion):
                self._silent = 0
                self._give_up(without)
                return outcome
            if outcome.may_be_charged:
                self.usage.tokens += cost
            if outcome.timed_out:
                self._ask_fewer(at_once)
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
                    self._count_silence(outcome.text)
                    return f"{outcome.text}, {tries} times"
                if outcome.asked_wait is None:
                    await asyncio.sleep(wait)
                    wait = min(2 * wait, self.patience.longest_wait)
                elif outcome.asked_wait <= self.patience.longest_wait:
                    self._not_before = max(self._not_before, time.monotonic() + outcome.asked_wait)
                else:
                    self._stop(f"the server asks to wait {outcome.asked_wait:,.0f} s")
            if not self._affords(0):
                self._stop(self._budget_message())
            if self._stopped:
                return outcome.text
            self.usage.requests += 1

    async def _send(
        self, client: AsyncOpenAI, question: Question, sent: Mapping[str, Any]
    ) -> WireCompletion | Failure:
        import openai

        try:
            async with asyncio.timeout(self.patience.timeout):
                raw = await client.chat.completions.with_raw_response.create(
                    model=self.model.name, messages=self._messages(question), **sent
                )
                text = self._redacted(raw.text)
        except (TimeoutError, openai.APITimeoutError):
            return Failure(
                f"no reply within {self.patience.timeout:g} s",
                passing=True,
                may_be_charged=True,
                timed_out=True,
            )
        except openai.APIConnectionError as error:
            return Failure(f"no connection ({self._brief(error.__cause__ or error)})", passing=True)
        except openai.APIStatusError as error:
            return self._judge(error)
        try:
            completion = WireCompletion.model_validate_json(text)
        except ValidationError:
            completion = WireCompletion(choices=[])
        if not completion.choices:
            return Failure("the reply is not a chat completion", passing=True, may_be_charged=True)
        return completion

    def _judge(self, error: openai.APIStatusError) -> Failure:
        """Decide what an HTTP error means for this question and for later ones."""
        status = error.status_code
        complaint = str(error).removeprefix(f"Error code: {status}").removeprefix(" - ")
        # Only the errors of OpenAI's form have their text in the exception.
        complaint = complaint or error.response.text.strip() or error.response.reason_phrase
        text = f"HTTP {status} ({self._short(complaint)})"
        if status in HOPELESS:
            return Failure(text, hopeless=True)
        if status in MALFORMED:
            named = {name for name in OPTIONAL if name in error.response.text}
            # If a server gives no reason, it most likely does not support schemas.
            return Failure(text, refused=frozenset(named or {"response_format"}))
        return Failure(
            text,
            passing=status in PASSING or status >= 500,
            asked_wait=requested_wait(error.response.headers),
        )

    def _ask_fewer(self, at_once: int) -> None:
        """Halve the number of questions at once, if one timed out at the present number.

        A small server answers one after another, and the last of many waits longest.
        """
        if at_once == self._at_once > 1:
            self._at_once = at_once // 2
            self.log(
                f"no reply within {self.patience.timeout:g} s with {at_once} questions at once: "
                f"later {self._at_once} at once"
            )

    def _parameters(self, without: frozenset[str]) -> dict[str, Any]:
        """Build the request parameters besides model and messages, without the refused ones."""
        wanted: dict[str, Any] = {"max_tokens": self.answer_tokens, "temperature": TEMPERATURE}
        if self.schema is not None:
            schema = {"name": self.schema_name, "schema": self.schema, "strict": True}
            wanted["response_format"] = {"type": "json_schema", "json_schema": schema}
        unknown = without | self._given_up
        sent = {name: value for name, value in wanted.items() if name not in unknown}
        if "max_tokens" in unknown:
            # Endpoints of reasoning models use this name.
            sent["max_completion_tokens"] = self.answer_tokens
        return sent

    def _give_up(self, without: frozenset[str]) -> None:
        """Omit parameters that this server refuses from all later requests."""
        if fresh := without - self._given_up:
            self._given_up |= fresh
            self.log(f"the server refuses {', '.join(sorted(fresh))}: later requests omit these")

    def _messages(self, question: Question) -> list[Any]:
        instructions = question.instructions
        if self.schema is not None:
            shape = json.dumps(self.schema, sort_keys=True)
            instructions = (
                f"{instructions}\n\nAnswer with one JSON object and nothing else, of this JSON "
                f"Schema:\n{shape}"
            )
        asked = {"role": "user", "content": question.content}
        return [{"role": "system", "content": instructions}, asked] if instructions else [asked]

    def _bound(self, question: Question) -> int:
        """Bound the tokens of a question: no tokeniser makes more tokens than bytes."""
        prompt = sum(
            len(item["content"].encode()) + FRAME_TOKENS for item in self._messages(question)
        )
        return prompt + self.answer_tokens

    def _affords(self, tokens: int) -> bool:
        return (
            self.usage.requests < self.budget.requests
            and self.usage.tokens + self._reserved + tokens <= self.budget.tokens
        )

    def _budget_message(self) -> str:
        return (
            f"the budget of {self.budget.requests:,} requests and {self.budget.tokens:,} tokens "
            f"is spent"
        )

    def _count_silence(self, reason: str) -> None:
        self._silent += 1
        if self._silent >= SILENT_QUESTIONS:
            self._stop(f"the server does not answer: {reason}")

    def _stop(self, reason: str) -> None:
        if self._stopped is None:
            self._stopped = reason
            self.log(f"asks no more: {reason}")

    def _redacted(self, text: str) -> str:
        """Remove the key from a server's message, in case the server repeats it."""
        return text.replace(self.model.api_key, "***") if self.model.api_key else text

    def _brief(self, error: BaseException) -> str:
        return self._short(str(error)) or type(error).__name__

    def _short(self, text: str) -> str:
        return self._redacted(" ".join(text.split()))[:COMPLAINT_CHARACTERS]


def _ask_alone(batch: tuple[Question, Budget], given_up: frozenset[str], **terms: Any) -> Reported:
    """Ask one question within a budget that covers all its tries; `terms` are Session fields."""
    question, budget = batch
    session = Session(
        **terms,
        budget=budget,
        keep=lambda key, value: None,
        usage=Usage(),
        log=silent,
        advance=lambda count: None,
    )
    return session.alone(question, given_up)
