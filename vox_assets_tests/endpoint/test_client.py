"""The client asks each question once, keeps its budget, and survives a misbehaving server."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from vox_assets.compute.models import RemoteModel
from vox_assets.endpoint.client import Endpoint
from vox_assets.endpoint.session import SILENT_QUESTIONS
from vox_assets.endpoint.wire import (
    Choice,
    EndpointError,
    Patience,
    Question,
    Replies,
    _Said,
    read_answer,
)
from vox_assets.profiles import Budget
from vox_assets.store.cache import BlobCache
from vox_assets_tests.scripted_server import TOKENS, Act, Server, errs, says, serve

KEY = "vk-4f9a81c2e7d64b0f93aa"
AMPLE = Budget(requests=1000, tokens=10_000_000, concurrency=4)
#: Short waits for the tests; the conditions for waiting are unchanged.
HASTY = Patience(timeout=20.0, tries=3, first_wait=0.01, longest_wait=2.0)


class Sum(BaseModel):
    model_config = ConfigDict(extra="forbid")
    total: int


def answer_of(body: dict[str, Any]) -> str:
    """Compute the sum that the last message asks for."""
    return json.dumps({"total": sum(map(int, body["messages"][-1]["content"].split("+")))})


def well_behaved(_number: int, body: dict[str, Any]) -> Act:
    return says(answer_of(body))


QUESTIONS = [Question("Add the numbers.", f"{number}+1") for number in range(8)]
TOTALS = list(range(1, 9))


class Asker:
    """Asks a server questions, always with the same store, and records the log lines."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.lines: list[str] = []
        self.patience = HASTY

    def __call__(
        self,
        server: Server,
        questions: list[Question] = QUESTIONS,
        budget: Budget = AMPLE,
        key: str | None = KEY,
    ) -> Replies[Sum]:
        remote = RemoteModel(base_url=server.url, name="scripted", api_key=key)
        endpoint = Endpoint(remote, BlobCache(self.store), self.patience)
        return endpoint.ask(
            questions,
            Sum,
            answer_tokens=20,
            budget=budget,
            label="sums",
            log=self.lines.append,
        )


@pytest.fixture
def ask(tmp_path: Path) -> Asker:
    return Asker(tmp_path / "endpoint.sqlite")


def totals(replies: Replies[Sum]) -> list[int | None]:
    return [reply.answer.total if reply.answer else None for reply in replies.replies]


def reasons(replies: Replies[Sum]) -> list[str]:
    return [reply.reason for reply in replies.replies]


def test_replies_have_the_order_of_the_questions(ask: Asker) -> None:
    def slow_at_first(number: int, body: dict[str, Any]) -> Act:
        return says(answer_of(body), delay=0.1 if number == 0 else 0.0)

    with serve(slow_at_first) as server:
        replies = ask(server)
    assert totals(replies) == TOTALS
    assert (replies.usage.requests, replies.usage.tokens) == (8, 8 * TOKENS)


def test_a_question_carries_key_model_schema_and_limit(ask: Asker) -> None:
    with serve(well_behaved) as server:
        ask(server, QUESTIONS[:1])
    body, headers = server.bodies[0], server.headers[0]
    assert headers["authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("scripted", 20, 0.0)
    shape = body["response_format"]["json_schema"]
    assert shape["schema"]["required"] == ["total"]
    assert shape["strict"]
    assert json.dumps(shape["schema"], sort_keys=True) in body["messages"][0]["content"]


def test_keys_and_accounts_of_openai_are_not_sent(
    ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "openai-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with serve(well_behaved) as server:
        assert totals(ask(server, key=None)) == TOTALS
    assert not any("openai-secret" in value for value in server.headers[0].values())


@pytest.mark.parametrize("limit", [1, 3])
def test_the_budget_limits_the_number_of_concurrent_questions(ask: Asker, limit: int) -> None:
    def slow(_number: int, body: dict[str, Any]) -> Act:
        return says(answer_of(body), delay=0.05)

    budget = AMPLE.model_copy(update={"concurrency": limit})
    with serve(slow) as server:
        assert totals(ask(server, budget=budget)) == TOTALS
    assert server.most_at_once == limit


def test_a_second_run_asks_only_the_unanswered_questions(ask: Asker) -> None:
    with serve(well_behaved) as server:
        ask(server, QUESTIONS[:5])
        replies = ask(server)
        assert server.requests == 8
        again = ask(server)
    assert server.requests == 8
    assert totals(replies) == totals(again) == TOTALS
    assert (again.usage.from_store, again.usage.requests, again.usage.tokens) == (8, 0, 0)


def test_equal_questions_are_asked_once(ask: Asker) -> None:
    with serve(well_behaved) as server:
        replies = ask(server, [QUESTIONS[3]] * 4)
    assert totals(replies) == [4, 4, 4, 4]
    assert server.requests == 1


def test_only_a_damaged_answer_is_asked_for_again(ask: Asker) -> None:
    with serve(well_behaved) as server:
        ask(server)
        with sqlite3.connect(ask.store) as connection:
            connection.execute(
                "UPDATE blobs SET value = zeroblob(40) WHERE key = (SELECT min(key) FROM blobs)"
            )
        assert totals(ask(server)) == TOTALS
    assert server.requests == 9


def test_a_question_with_an_invalid_answer_is_not_asked_again(ask: Asker) -> None:
    with serve(lambda *_: says("I would rather not.")) as server:
        first, second = ask(server), ask(server)
    assert reasons(first) == reasons(second) == ["the answer is not JSON"] * 8
    assert server.requests == 8


def test_another_model_is_asked_every_question_again(ask: Asker) -> None:
    with serve(well_behaved) as server:
        ask(server)
        other = Endpoint(RemoteModel(server.url, "other"), BlobCache(ask.store), HASTY)
        other.ask(QUESTIONS, Sum, answer_tokens=20, budget=AMPLE, label="sums", log=print)
    assert server.requests == 16


def test_the_budget_of_requests_ends_a_run_and_the_next_run_continues(ask: Asker) -> None:
    budget = AMPLE.model_copy(update={"requests": 5})
    with serve(well_behaved) as server:
        first = ask(server, budget=budget)
        assert server.requests == 5
        second = ask(server, budget=budget)
    assert totals(first) == [*TOTALS[:5], *[None] * 3]
    assert all(reason.startswith("not asked: the budget") for reason in reasons(first)[5:])
    assert any("asks no more: the budget" in line for line in ask.lines)
    assert totals(second) == TOTALS
    assert server.requests == 8


def test_the_budget_of_tokens_is_never_exceeded(ask: Asker) -> None:
    budget = AMPLE.model_copy(update={"tokens": 9 * TOKENS})
    with serve(well_behaved) as server:
        replies = ask(server, budget=budget)
    # A question is sent if the budget covers its upper bound, a token per byte, about five hundred;
    # after the reply, its real cost is charged.
    assert 3 * TOKENS <= replies.usage.tokens <= budget.tokens
    assert server.requests < 8
    assert totals(replies) == [*TOTALS[: server.requests], *[None] * (8 - server.requests)]


@pytest.mark.parametrize("usage", [None, {}, {"total_tokens": 0}, {"total_tokens": -(10**9)}])
def test_unreported_tokens_are_charged_at_their_upper_bound(
    ask: Asker, usage: dict[str, int] | None
) -> None:
    def without_usage(_number: int, body: dict[str, Any]) -> Act:
        completion = json.loads(says(answer_of(body)).body)
        return Act(body=json.dumps({**completion, "usage": usage}))

    with serve(without_usage) as server:
        replies = ask(server, QUESTIONS[:1])
    assert replies.usage.tokens > len(server.asked(0))


def test_with_a_budget_of_zero_no_question_is_asked(ask: Asker) -> None:
    with serve(well_behaved) as server:
        replies = ask(server, budget=AMPLE.model_copy(update={"requests": 0}))
    assert server.requests == 0
    assert totals(replies) == [None] * 8


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_temporary_error_is_retried_and_counts_as_a_request(ask: Asker, status: int) -> None:
    def fail_once(number: int, body: dict[str, Any]) -> Act:
        return errs(status) if number == 0 else says(answer_of(body))

    with serve(fail_once) as server:
        replies = ask(server)
    assert totals(replies) == TOTALS
    assert replies.usage.requests == server.requests == 9


@pytest.mark.parametrize("as_date", [False, True])
def test_all_questions_wait_as_long_as_the_server_requests(ask: Asker, as_date: bool) -> None:
    def rate_limit_once(number: int, body: dict[str, Any]) -> Act:
        if number:
            return says(answer_of(body))
        # A date is rounded to seconds: two seconds give a wait of at least 1 s.
        value = formatdate(time.time() + 2, usegmt=True) if as_date else "1"
        return errs(429, retry_after=value)

    with serve(rate_limit_once) as server:
        replies = ask(server, budget=AMPLE.model_copy(update={"concurrency": 1}))
    assert totals(replies) == TOTALS
    assert server.times[1] - server.times[0] >= 0.9


def test_a_run_ends_when_the_server_requests_a_wait_of_a_day(ask: Asker) -> None:
    with serve(lambda *_: errs(429, retry_after="86400")) as server:
        replies = ask(server, budget=AMPLE.model_copy(update={"concurrency": 1}))
    assert server.requests == 1
    assert reasons(replies)[0].startswith("no answer: HTTP 429")
    assert reasons(replies)[1] == "not asked: the server asks to wait 86,400 s"


def test_a_question_that_times_out_is_retried_and_charged(ask: Asker) -> None:
    def delay_once(number: int, body: dict[str, Any]) -> Act:
        return says(answer_of(body), delay=2.0 if number == 0 else 0.0)

    ask.patience = replace(HASTY, timeout=1.0)
    with serve(delay_once) as server:
        replies = ask(server, QUESTIONS[:1])
    assert totals(replies) == [1]
    assert server.requests == 2
    assert replies.usage.tokens > TOKENS


def test_fewer_questions_are_asked_at_once_after_one_timed_out(ask: Asker) -> None:
    at_once, most = 0, 0

    def slow_at_first(number: int, body: dict[str, Any]) -> Act:
        nonlocal at_once, most
        if number < 4:
            return says(answer_of(body), delay=0.9)
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.05)
        at_once -= 1
        return says(answer_of(body))

    ask.patience = replace(HASTY, timeout=0.6)
    with serve(slow_at_first) as server:
        assert totals(ask(server)) == TOTALS
    assert most == 2
    [line] = [line for line in ask.lines if "at once" in line]
    assert line == "sums: no reply within 0.6 s with 4 questions at once: later 2 at once"


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (Act(400, '{"detail": "no such model"}'), 'HTTP 400 ({"detail": "no such model"})'),
        (Act(400, "no such\nmodel"), "HTTP 400 (no such model)"),
        (Act(400), "HTTP 400 (Bad Request)"),
    ],
)
def test_an_error_of_another_form_keeps_its_text(ask: Asker, act: Act, reason: str) -> None:
    with serve(lambda *_: act) as server:
        assert reasons(ask(server, QUESTIONS[:1])) == [f"no answer: {reason}"]


def test_a_run_ends_when_the_server_stops_answering_and_keeps_its_answers(ask: Asker) -> None:
    def fail_after_four(number: int, body: dict[str, Any]) -> Act:
        return says(answer_of(body)) if number < 4 else errs(500, "out of memory")

    with serve(fail_after_four) as server:
        replies = ask(server, budget=AMPLE.model_copy(update={"concurrency": 1}))
    assert totals(replies)[:4] == TOTALS[:4]
    assert server.requests == 4 + SILENT_QUESTIONS * HASTY.tries
    assert reasons(replies)[4] == "no answer: HTTP 500 (out of memory), 3 times"
    assert reasons(replies)[-1].startswith("not asked: the server does not answer")


def test_a_port_without_a_server_gives_a_reason_and_no_exception(ask: Asker) -> None:
    with serve(well_behaved) as server:
        pass
    replies = ask(server)
    assert totals(replies) == [None] * 8
    assert reasons(replies)[0].startswith("no answer: no connection")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_rejected_key_or_model_is_an_error_and_loses_no_answer(ask: Asker, status: int) -> None:
    def reject_after_three(number: int, body: dict[str, Any]) -> Act:
        return says(answer_of(body)) if number < 3 else errs(status, f"bad key {KEY}")

    with serve(reject_after_three) as server:
        with pytest.raises(EndpointError, match=f"HTTP {status}") as caught:
            ask(server, budget=AMPLE.model_copy(update={"concurrency": 1}))
        assert server.requests == 4
        server.script = well_behaved
        assert totals(ask(server)) == TOTALS
    assert server.requests == 4 + 5
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)


def rejects(*names: str) -> Any:
    """Script a server that rejects these parameters, one per request."""

    def script(_number: int, body: dict[str, Any]) -> Act:
        for name in names:
            if name in body:
                return errs(400, f"Unsupported parameter: '{name}'")
        return says(answer_of(body))

    return script


@pytest.mark.parametrize(
    "names", [("response_format",), ("max_tokens",), ("temperature", "response_format")]
)
def test_parameters_that_the_server_rejects_are_left_out(
    ask: Asker, names: tuple[str, ...]
) -> None:
    with serve(rejects(*names)) as server:
        replies = ask(server, budget=AMPLE.model_copy(update={"concurrency": 1}))
    assert totals(replies) == TOTALS
    assert server.requests == 8 + len(names)
    assert ("max_completion_tokens" in server.bodies[-1]) == ("max_tokens" in names)


def test_after_a_rejection_without_a_reason_the_schema_is_left_out(ask: Asker) -> None:
    def script(_number: int, body: dict[str, Any]) -> Act:
        return Act(422, "?") if "response_format" in body else says(answer_of(body))

    with serve(script) as server:
        assert totals(ask(server)) == TOTALS


def test_a_question_that_is_always_rejected_does_not_change_the_others(ask: Asker) -> None:
    def too_long(_number: int, body: dict[str, Any]) -> Act:
        if body["messages"][-1]["content"] == "0+1":
            return errs(400, "maximum context length is 4 tokens")
        return says(answer_of(body))

    with serve(too_long) as server:
        replies = ask(server, budget=AMPLE.model_copy(update={"concurrency": 1}))
    assert totals(replies) == [None, *TOTALS[1:]]
    assert "maximum context length" in reasons(replies)[0]
    assert all("response_format" in body for body in server.bodies[2:])


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (says('{"total": 1'), "the answer is not JSON"),
        (says("One."), "the answer is not JSON"),
        (says(""), "the answer is empty"),
        (says(None), "the answer is empty"),
        (says('{"sum": 1}'), "the answer has another schema: total: Field required"),
        (says('{"total": "many"}'), "the answer has another schema: total: Input should be"),
        (says('{"total": 1, "x": 2}'), "the answer has another schema: x: Extra inputs"),
        (says("[1]"), "the answer has another schema: answer: Input should be"),
        (says('{"total": 1}', "length"), "the answer was cut off at its limit of tokens"),
    ],
)
def test_an_invalid_answer_gives_a_reason_and_no_value(ask: Asker, act: Act, reason: str) -> None:
    with serve(lambda *_: act) as server:
        replies = ask(server, QUESTIONS[:1])
    assert totals(replies) == [None]
    assert reasons(replies)[0].startswith(reason)


@pytest.mark.parametrize("text", ['```json\n{"total": 4}\n```', '```\n{"total": 4}```'])
def test_an_answer_in_a_code_fence_is_parsed(ask: Asker, text: str) -> None:
    with serve(lambda *_: says(text)) as server:
        assert totals(ask(server, QUESTIONS[:1])) == [4]


@pytest.mark.parametrize(
    "body", ["", "<html>busy</html>", "[]", '{"choices": []}', '{"choices": [{}]}', '"x"', "{}"]
)
def test_a_reply_that_is_not_a_completion_is_retried(ask: Asker, body: str) -> None:
    def garble_once(number: int, request: dict[str, Any]) -> Act:
        return Act(body=body) if number == 0 else says(answer_of(request))

    with serve(garble_once) as server:
        assert totals(ask(server, QUESTIONS[:1])) == [1]
    assert server.requests == 2


def test_the_key_is_in_no_log_and_not_in_the_store(
    ask: Asker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def repeat_the_key(number: int, body: dict[str, Any]) -> Act:
        """Repeat the key in an error, in an invalid answer, and in a valid answer."""
        if number == 0:
            return errs(500, f"your key {KEY} made me stumble")
        return says(f"{KEY}!" if number == 1 else answer_of(body).replace("{", f'{{"{KEY}":0,', 1))

    with serve(repeat_the_key) as server:
        replies = ask(server)
    output = "\n".join([*ask.lines, *map(str, reasons(replies)), caplog.text])
    assert "sums: " in output
    assert KEY not in output
    stored = b"".join(path.read_bytes() for path in ask.store.parent.iterdir())
    assert b"total" in stored
    assert KEY.encode() not in stored
    assert KEY not in repr(RemoteModel(server.url, "scripted", KEY))


def test_the_log_reports_requests_and_tokens(ask: Asker) -> None:
    with serve(well_behaved) as server:
        ask(server)
        ask(server)
    assert "sums: 0 answers from the store; 8 requests, 800 tokens" in ask.lines
    assert "sums: 8 answers from the store; 0 requests, 0 tokens" in ask.lines


@given(st.text() | st.from_regex(r"\{[\[\]{}\",:0-9a-z ]*\}"))
def test_any_text_of_a_model_gives_either_an_answer_or_a_reason(text: str) -> None:
    reply = read_answer(Choice(message=_Said(content=text)), Sum)
    assert (reply.answer is None) == bool(reply.reason)
