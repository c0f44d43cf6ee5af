"""Lets the arms of the exam answer: the base model, with and without help, and adapters."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from vox_assets.compute.models import LocalModel, preferred_dtype
from vox_assets.compute.tokens import load_tokenizer
from vox_assets.contract.answers import FENCE
from vox_assets.contract.rows import Message
from vox_assets.endpoint.client import Endpoint
from vox_assets.endpoint.wire import EndpointError, Question
from vox_assets.exam.answer import ANSWER_SCHEMA
from vox_assets.exam.decide import NAMES, Arm
from vox_assets.exam.help import helper
from vox_assets.exam.sealed import seen_tasks
from vox_assets.exam.sit import graded
from vox_assets.exam.task import Task
from vox_assets.profiles import Budget, Dedup
from vox_assets.profiles import Exam as Policy
from vox_assets.store.cache import BlobCache, content_key
from vox_assets.store.progress import Log, silent
from vox_assets.training.adapter.layout import ROWS, WEIGHTS
from vox_assets.training.adapter.manifest import read_manifest
from vox_assets.training.evaluation.load import load_for_answers, obstacle

if TYPE_CHECKING:
    from vox_assets.compute.generate import Answer, Sampling

Checks = Callable[[str], str | None]

#: Tokens that a chat template adds to a dialogue of a few turns.
TEMPLATE_TOKENS = 64
#: The file of the cache of answers.
ANSWERS_CACHE = "answers.sqlite"
#: Part of the cache key; changes when the way of answering changes.
CACHE_LAYOUT = "exam-answers-1"


@dataclass(frozen=True)
class _Candidate:
    """A model that answers: the base, or the base with an adapter."""

    arm: Arm
    #: The fingerprint of the base, or the digest of the adapter.
    model: str
    #: The directory of the adapter.
    adapter: Path | None
    tasks: Sequence[Task]
    #: Writes the turns that ask for an answer to a prompt.
    ask: Callable[[str], list[Message]]


def answer_exam(
    tasks: Sequence[Task],
    policy: Policy,
    dedup: Dedup,
    *,
    base: LocalModel,
    adapter: Path,
    serving: Path | None,
    examples: pl.DataFrame,
    checks: Checks | None,
    store: BlobCache,
    log: Log = silent,
) -> pl.DataFrame:
    """Collect and grade the answers of all arms; returns a table with the columns ANSWER_SCHEMA.

    `adapter` and `serving` are directories of adapters. They answer only tasks that their training
    did not see, and the promoted adapter does not answer if it is the same, damaged, or of another
    base.
    `examples` are the training rows that the help chooses from. `checks` returns why the compiler
    refuses a program, or None; it is None without a compiler. Answers are cached in `store`.
    """
    if not tasks:
        return pl.DataFrame(schema=ANSWER_SCHEMA)
    candidates = [
        _Candidate("base", base.fingerprint, None, tasks, _plainly),
        _Candidate(
            "base_with_help",
            base.fingerprint,
            None,
            tasks,
            _helped(tasks, examples, base, policy.answer_tokens),
        ),
        _Candidate("adapter", adapter.name, adapter, _unseen(tasks, adapter, dedup), _plainly),
    ]
    if serving is not None and serving.name != adapter.name:
        fault = obstacle(serving, base)
        if fault:
            log(f"the serving adapter {serving.name} does not answer: {fault}")
        else:
            new = _unseen(tasks, serving, dedup)
            candidates.append(_Candidate("serving", serving.name, serving, new, _plainly))
    answering = _Answering(base, store, policy.answer_tokens, log)
    parts = [
        _sit(candidate, answering, policy, checks, log)
        for candidate in candidates
        if candidate.tasks
    ]
    return pl.concat(parts)


def answer_by_endpoint(
    tasks: Sequence[Task],
    policy: Policy,
    endpoint: Endpoint,
    budget: Budget,
    checks: Checks | None,
    log: Log = silent,
) -> pl.DataFrame:
    """Let a served model answer as the arm `served`, with the prompts of the other arms.

    Raises EndpointError if the server refuses the key or the model, or leaves a task without a
    reply: a fault of a server is no answer of a model. The replies so far are in the store of
    `endpoint`, so that the next call asks only the other tasks.
    """
    asked = endpoint.complete(
        [Question("", task.prompt) for task in tasks],
        answer_tokens=policy.answer_tokens,
        budget=budget,
        label="exam",
        log=log,
    )
    texts = [
        (reply.answer.text, reply.answer.ended)
        for reply in asked.replies
        if reply.answer is not None
    ]
    if len(texts) < len(tasks):
        reason = next(reply.reason for reply in asked.replies if reply.answer is None)
        raise EndpointError(
            f"no reply to {len(tasks) - len(texts)} of {len(tasks)} tasks: {reason}: the same "
            f"command asks them again, and the others are stored"
        )
    fenced = sum(FENCE.search(text) is not None for text, _ in texts)
    if fenced:
        log(
            f"exam: {fenced} of {len(tasks)} answers have fences, so they are more than code: tell "
            f"the model in its system prompt to answer with code alone"
        )
    return graded(tasks, texts, arm="served", model=endpoint.model.name, checks=checks)


def _plainly(prompt: str) -> list[Message]:
    return [Message(role="user", content=prompt)]


def _helped(
    tasks: Sequence[Task], examples: pl.DataFrame, base: LocalModel, answer_tokens: int
) -> Callable[[str], list[Message]]:
    """Return what writes prompts with help, which fit into the context of the base model."""
    from transformers import AutoConfig

    tokenizer = load_tokenizer(base.path)

    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    context = getattr(AutoConfig.from_pretrained(str(base.path)), "max_position_embeddings", None)
    longest = max(count(task.prompt) for task in tasks)
    room = context and max(0, context - answer_tokens - longest - TEMPLATE_TOKENS)
    return helper(examples, count, room).dialogue


def _unseen(tasks: Sequence[Task], adapter: Path, dedup: Dedup) -> list[Task]:
    """Return the tasks that the training of an adapter did not see."""
    seen = seen_tasks(tasks, pl.read_ndjson(adapter / ROWS), dedup)
    return [task for task in tasks if task.task_id not in seen]


def _sit(
    candidate: _Candidate,
    answering: _Answering,
    policy: Policy,
    checks: Checks | None,
    log: Log,
) -> pl.DataFrame:
    from vox_assets.compute.generate import Sampling

    prompts = [candidate.ask(task.prompt) for task in candidate.tasks]
    samplings: list[Sampling | None] = [
        None,
        *(Sampling(policy.temperature, sample) for sample in range(1, policy.samples + 1)),
    ]
    parts = []
    for sample, sampling in enumerate(samplings):
        texts = answering.answers(candidate, prompts, sampling)
        parts.append(
            graded(
                candidate.tasks,
                texts,
                arm=candidate.arm,
                model=candidate.model,
                sample=sample,
                checks=checks,
            )
        )
    passed = parts[0]["passed"].sum()
    log(f"exam: {NAMES[candidate.arm]} passes {passed} of {len(candidate.tasks)} tasks")
    return pl.concat(parts)


class _Answering:
    """Answers prompts from the cache, and loads a model for those that it does not have.

    The last model stays loaded, because two arms use the base.
    """

    def __init__(self, base: LocalModel, store: BlobCache, max_tokens: int, log: Log) -> None:
        self._base = base
        self._store = store
        self._max_tokens = max_tokens
        self._log = log
        self._loaded: tuple[Path | None, Any, Any] | None = None

    def answers(
        self,
        candidate: _Candidate,
        prompts: Sequence[Sequence[Message]],
        sampling: Sampling | None,
    ) -> list[tuple[str, bool]]:
        """Return the text of each answer and whether it ended by itself."""
        keys = [self._key(candidate, prompt, sampling) for prompt in prompts]
        known = self._store.get(keys)
        missing = [index for index, key in enumerate(keys) if key not in known]
        if missing:
            known |= self._generate(candidate, prompts, keys, missing, sampling)
        return [
            (str(text), bool(ended)) for text, ended in (json.loads(known[key]) for key in keys)
        ]

    def _generate(
        self,
        candidate: _Candidate,
        prompts: Sequence[Sequence[Message]],
        keys: Sequence[str],
        missing: Sequence[int],
        sampling: Sampling | None,
    ) -> dict[str, bytes]:
        from vox_assets.compute.generate import generate

        model, tokenizer = self._model(candidate.adapter)
        made: dict[str, bytes] = {}

        def keep(answers: Mapping[int, Answer]) -> None:
            batch = {
                keys[missing[index]]: json.dumps([answer.text, answer.ended]).encode()
                for index, answer in answers.items()
            }
            self._store.put(batch)
            made.update(batch)
            self._log(f"exam: {NAMES[candidate.arm]}: {len(made)} of {len(missing)} answers")

        asked = [prompts[index] for index in missing]
        generate(model, tokenizer, asked, self._max_tokens, sampling, done=keep)
        return made

    def _key(
        self, candidate: _Candidate, prompt: Sequence[Message], sampling: Sampling | None
    ) -> str:
        return content_key(
            CACHE_LAYOUT,
            preferred_dtype(),
            self._base.fingerprint,
            _weights(candidate.adapter),
            str(self._max_tokens),
            repr(sampling),
            json.dumps(list(prompt), sort_keys=True),
        )

    def _model(self, adapter: Path | None) -> tuple[Any, Any]:
        if self._loaded is None or self._loaded[0] != adapter:
            # Two models need not be in memory at once.
            self._loaded = None
            tokenizer = load_tokenizer(adapter or self._base.path)
            self._loaded = (adapter, load_for_answers(self._base.path, adapter), tokenizer)
        return self._loaded[1], self._loaded[2]


def _weights(adapter: Path | None) -> str:
    """Return the digest of an adapter's weights: its own digest is that of its training plan."""
    return "" if adapter is None else str(read_manifest(adapter)["files"][WEIGHTS])
