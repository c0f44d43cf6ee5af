"""Asking a language model behind an OpenAI-compatible endpoint.

What belongs here: how a question travels, what it may cost, what is done when the server errs, and
that no answer is paid for twice. What is asked, and what an answer is worth, the caller decides.

An answer is JSON of a given shape. The shape travels as `response_format` and in words: a server
that ignores the parameter still sees the words, and one that refuses it is asked again without.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vox_assets.compute.batches import HERE, Engine
from vox_assets.compute.models import RemoteModel
from vox_assets.profiles import Budget
from vox_assets.store.cache import BlobCache, content_key
from vox_assets.store.progress import Log, progress

if TYPE_CHECKING:
    pass
from vox_assets.endpoint.session import Session
from vox_assets.endpoint.wire import (
    REQUEST_LAYOUT,
    Answer,
    EndpointError,
    Patience,
    Question,
    Replies,
    Reply,
    Usage,
    WireCompletion,
    read_answer,
)


@dataclass(frozen=True)
class Endpoint:
    """A remote model and the store of what it has answered.

    A reply that came is stored as it is, useless ones too: to ask again would cost again.
    """

    model: RemoteModel
    store: BlobCache
    patience: Patience = field(default_factory=Patience)
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
                else Reply(why=session.unanswered[key], arrived=False)
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
