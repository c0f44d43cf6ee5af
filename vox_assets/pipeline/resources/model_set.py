"""Provides the models of a deployment and resolves each at its first use."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from vox_assets.compute.models import (
    LocalModel,
    resolve_base_model,
    resolve_embedding_model,
    resolve_reward_model,
)
from vox_assets.curate.evaluators import Evaluator
from vox_assets.curate.judge import ModelJudge
from vox_assets.curate.meter import Meter
from vox_assets.curate.reward import RewardModel
from vox_assets.endpoint.client import Endpoint
from vox_assets.pipeline.resources.engine import engine
from vox_assets.settings import Settings
from vox_assets.store.cache import BlobCache, VectorCache
from vox_assets.store.progress import Log
from vox_assets.training.evaluation.exam_arms import ANSWERS_CACHE


@dataclass(frozen=True)
class Models:
    """Holds the base model, the embedder, the endpoint, and the caches of their results."""

    settings: Settings

    @cached_property
    def base(self) -> LocalModel:
        return resolve_base_model(self.settings.base_model, self.settings.cache_dir)

    @cached_property
    def embedder(self) -> LocalModel:
        return resolve_embedding_model(self.settings.embedding_model)

    @cached_property
    def store(self) -> VectorCache:
        return VectorCache(self.settings.cache_dir / "vectors.sqlite", self.settings.cache_limit)

    @cached_property
    def answers(self) -> BlobCache:
        """Return the cache of the answers to the exam."""
        return BlobCache(self.settings.cache_dir / ANSWERS_CACHE, self.settings.cache_limit)

    @cached_property
    def endpoint(self) -> Endpoint | None:
        """Return the endpoint that writes and judges rows, or None if none is configured."""
        remote = self.settings.language_model
        if remote is None:
            return None
        answers = BlobCache(self.settings.cache_dir / "endpoint.sqlite", self.settings.cache_limit)
        return Endpoint(remote, answers, engine=engine(self.settings))

    def second_opinions(self, log: Log) -> list[Evaluator]:
        """Create the configured evaluators, without the local one."""
        evaluators: list[Evaluator] = []
        if self.endpoint is not None:
            evaluators.append(ModelJudge(self.endpoint, self.settings.profile.judge.budget, log))
        if self.settings.reward_model is not None:
            model = resolve_reward_model(self.settings.reward_model)
            evaluators.append(RewardModel(model, self.store, log, engine(self.settings)))
        return evaluators

    def meter(self, log: Log, *, with_models: bool = True) -> Meter:
        """Create the meter that measures features; it logs its progress to `log`."""
        return Meter(
            base_model=self.base if with_models else None,
            embedding_model=self.embedder if with_models else None,
            store=self.store,
            model_tokens=self.settings.profile.scoring.model_tokens,
            log=log,
            engine=engine(self.settings),
        )
