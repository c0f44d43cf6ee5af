"""Ask questions of a language model behind an OpenAI-compatible endpoint.

This package sends questions, limits their cost, handles server errors, and stores answers so that
none is paid for twice. The caller writes the questions and judges the answers.

An answer is plain text, or JSON of a given schema. A schema is sent as `response_format` and in the
prompt: a server that ignores the parameter still reads the prompt, and a question that a server
refuses because of the parameter is sent again without it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from vox_assets.compute.batches import HERE, Engine
from vox_assets.compute.models import RemoteModel
from vox_assets.endpoint.session import Session
from vox_assets.endpoint.wire import (
    REQUEST_LAYOUT,
    Answer,
    Choice,
    Completed,
    EndpointError,
    Patience,
    Question,
    Replies,
    Reply,
    Schema,
    Usage,
    WireCompletion,
    read_answer,
    read_text,
)
from vox_assets.profiles import Budget
from vox_assets.store.cache import BlobCache, content_key
from vox_assets.store.progress import Log, progress


@dataclass(frozen=True)
class Endpoint:
    """Asks questions of a remote model and stores its replies.

    Every reply is stored unchanged, even a useless one, because asking again would cost again.
    """

    model: RemoteModel
    store: BlobCache
    patience: Patience = field(default_factory=Patience)
    #: Sends the requests.
    engine: Engine = HERE

    def ask(
        self,
        questions: Sequence[Question],
        kind: type[Schema],
        *,
        answer_tokens: int,
        budget: Budget,
        label: str,
        log: Log,
    ) -> Replies[Schema]:
        """Ask for answers that are parsed as `kind`, a pydantic model with required fields.

        Otherwise like `complete`.
        """
        shape, name = kind.model_json_schema(), kind.__name__.lstrip("_")
        read = partial(read_answer, kind=kind)
        return self._replies(questions, shape, name, read, answer_tokens, budget, label, log)

    def complete(
        self,
        questions: Sequence[Question],
        *,
        answer_tokens: int,
        budget: Budget,
        label: str,
        log: Log,
    ) -> Replies[Completed]:
        """Ask the questions in order, as far as the budget allows, and wait for the replies.

        An answer has at most `answer_tokens` tokens. When the budget is spent or the server stops
        answering, the replies received so far are kept and the other questions get the reason
        `not asked`. Runs its own event loop. Raises EndpointError if the server refuses the key or
        the model.
        """
        return self._replies(questions, None, "", read_text, answer_tokens, budget, label, log)

    def _replies(
        self,
        questions: Sequence[Question],
        schema: Mapping[str, Any] | None,
        schema_name: str,
        read: Callable[[Choice], Reply[Answer]],
        answer_tokens: int,
        budget: Budget,
        label: str,
        log: Log,
    ) -> Replies[Answer]:
        keys = [self._key(question, schema, answer_tokens) for question in questions]
        known = {k: WireCompletion.model_validate_json(v) for k, v in self.store.get(keys).items()}
        missing = {key: q for key, q in zip(keys, questions, strict=True) if key not in known}
        usage = Usage(from_store=len(known))
        with progress(label, len(known) + len(missing), "questions", log) as advance:
            advance(usage.from_store)
            session = Session(
                model=self.model,
                patience=self.patience,
                budget=budget,
                answer_tokens=answer_tokens,
                schema_name=schema_name,
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
                read(known[key].choices[0])
                if key in known
                else Reply(why=session.unanswered[key], arrived=False)
                for key in keys
            ],
            usage,
        )

    def _key(self, question: Question, schema: Mapping[str, Any] | None, answer_tokens: int) -> str:
        """Compute the key of a question in the store, without the API key."""
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
