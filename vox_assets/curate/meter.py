"""Measures the features of whole tables, with and without models."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from vox_assets.compute.batches import HERE, Engine
from vox_assets.compute.models import LocalModel
from vox_assets.contract.rows import (
    ROWS_AT_ONCE,
    Message,
    each_dialogue,
    embedding_matrix,
    in_hash_order,
    turns,
)
from vox_assets.curate import artefacts, features
from vox_assets.curate.embedding import embed
from vox_assets.curate.perplexity import answer_nll
from vox_assets.curate.similarity import neighbour_distance
from vox_assets.curate.vocabulary import Vocabulary
from vox_assets.store.cache import VectorCache
from vox_assets.store.progress import Log, silent

#: Answers of each language that a prompt is compared with: their share is known to 2 %.
REFERENCE_ANSWERS = 400


@dataclass(frozen=True)
class Corpus:
    """What rows are compared with: the words of their corpus, and some of its answers.

    `answers` has unit vectors (float32, at most REFERENCE_ANSWERS rows) by language.
    """

    vocabulary: Vocabulary
    answers: Mapping[str, np.ndarray]
    #: The identifiers of the workspace; None where no source tree is known.
    names: Collection[str] | None = None

    def closer_answers(self, prompts: np.ndarray, own: np.ndarray, language: str) -> np.ndarray:
        """Return the share of the corpus' answers that are closer to each prompt than its own."""
        others = self.answers.get(language)
        if others is None or not len(others):
            return np.zeros(len(prompts))
        alignment = (prompts * own).sum(axis=1)
        # The own answer can be among the others: rounding must not make it closer than itself.
        return ((prompts @ others.T) > alignment[:, None] + 1e-4).mean(axis=1).astype(np.float64)


@dataclass(frozen=True)
class Meter:
    """Measures features with the models and the cache of a deployment.

    Without a model, the features that need it are not measured.
    """

    base_model: LocalModel | None
    embedding_model: LocalModel | None
    store: VectorCache
    #: Tokens of prompt plus answer that the language model reads of a row.
    model_tokens: int
    log: Log = silent
    #: Where the models run.
    engine: Engine = HERE
    #: `names` of each corpus that this meter describes.
    names: Collection[str] | None = None

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Return the features that this meter cannot measure, because it has no model for them."""
        return (
            *(features.EMBEDDED_FEATURES if self.embedding_model is None else ()),
            *(features.MODEL_FEATURES if self.base_model is None else ()),
        )

    def cheap(self, rows: pl.DataFrame, corpus: Corpus | None = None) -> pl.DataFrame:
        """Measure all features but the language model's.

        A dialogue is measured as a whole: all its questions, and all its answers. Needs `language`
        and either `messages` or `prompt` and `response`; a column `embedding` is used as the
        embedding of the answers. `corpus` is what the rows are compared with, by default
        the rows themselves. Without an embedding model, the columns that need it are null.
        """
        corpus = corpus or self.corpus_of(rows)
        table = pl.concat(
            _cheap_features(part, corpus.vocabulary, corpus.names)
            for part in rows.iter_slices(ROWS_AT_ONCE)
        )
        undated = pl.Series([None] * len(rows), dtype=pl.String)
        dates = rows["source_date"] if "source_date" in rows.columns else undated
        return table.with_columns(
            pl.Series("freshness", features.freshness(dates)),
            *self._embedded_features(rows, corpus),
        )

    def _embedded_features(self, rows: pl.DataFrame, corpus: Corpus) -> list[pl.Series]:
        """Measure the features that need embeddings; nulls where there is no model."""
        if self.embedding_model is None:
            return [
                pl.Series(name, [None] * len(rows), pl.Float64)
                for name in features.EMBEDDED_FEATURES
            ]
        questions = pl.Series([turns_by(dialogue, "user") for dialogue in dialogues(rows)])
        if "embedding" in rows.columns:
            answer_vectors = embedding_matrix(rows["embedding"])
        else:
            answers = [turns_by(dialogue, "assistant") for dialogue in dialogues(rows)]
            answer_vectors = self._embedded(pl.Series(answers))
        prompt_vectors = self._embedded(questions)
        closer = np.zeros(len(rows))
        for language in rows["language"].unique():
            chosen = (rows["language"] == language).to_numpy()
            closer[chosen] = corpus.closer_answers(
                prompt_vectors[chosen], answer_vectors[chosen], language
            )
        return [
            pl.Series("alignment", _products(prompt_vectors, answer_vectors), pl.Float64),
            pl.Series("closer_answers", closer, pl.Float64),
            pl.Series("neighbour_distance", neighbour_distance(answer_vectors), dtype=pl.Float64),
        ]

    def corpus_of(self, rows: pl.DataFrame) -> Corpus:
        """Describe a table as the corpus of its rows."""
        answers = {}
        parts = rows.partition_by("language", as_dict=True) if self.embedding_model else {}
        for (language,), group in parts.items():
            some = in_hash_order(group, "reference").head(REFERENCE_ANSWERS)
            if "embedding" in rows.columns:
                answers[language] = embedding_matrix(some["embedding"])
            else:
                texts = [turns_by(dialogue, "assistant") for dialogue in dialogues(some)]
                answers[language] = self._embedded(pl.Series(texts))
        words = Vocabulary.of(dialogues(rows), rows["language"].to_list())
        return Corpus(words, answers, self.names)

    def _embedded(self, texts: pl.Series) -> np.ndarray:
        model = _present(self.embedding_model)
        return embed(texts.to_list(), model, self.store, self.log, self.engine)

    def surprise(self, rows: pl.DataFrame, prompted: bool = True) -> np.ndarray:
        """Compute the language model's mean negative log-likelihood of each answer, in nats.

        Without `prompted`, the model reads the answer alone.
        """
        nll, _ = answer_nll(
            dialogues(rows),
            _present(self.base_model),
            self.model_tokens,
            self.store,
            self.log,
            prompted,
            self.engine,
        )
        return nll

    def everything(self, rows: pl.DataFrame, corpus: Corpus) -> np.ndarray:
        """Measure all features: float64, (rows, features) in the order of `FEATURES`."""
        surprise = self.surprise(rows)
        ifd, gain = features.guidance(surprise, self.surprise(rows, prompted=False))
        measured = self.cheap(rows, corpus).with_columns(
            pl.Series("surprise", surprise), pl.Series("ifd", ifd), pl.Series("model_gain", gain)
        )
        return measured.select(*features.FEATURES).to_numpy()


def _present(model: LocalModel | None) -> LocalModel:
    if model is None:
        raise ValueError("this meter has no model: expected a caller that reads `unmeasured`")
    return model


def _cheap_features(
    rows: pl.DataFrame, vocabulary: Vocabulary, names: Collection[str] | None
) -> pl.DataFrame:
    """Measure the features that need no model and no other row: one float64 column each."""
    return pl.DataFrame(
        [
            features.measure(turns_by(dialogue, "user"), turns_by(dialogue, "assistant"), language)
            | {
                "unknown_words": vocabulary.unknown_words(dialogue, language),
                "artefacts": len(artefacts.in_dialogue(dialogue, language, names)),
            }
            for dialogue, language in zip(dialogues(rows), rows["language"], strict=True)
        ]
    ).cast(pl.Float64)


def turns_by(dialogue: Sequence[Message], role: str) -> str:
    """Return the turns of one role as one text."""
    return "\n\n".join(turn["content"] for turn in dialogue if turn["role"] == role)


def _products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Compute the scalar product of each two rows, without a third matrix of their size."""
    starts = range(0, len(left), ROWS_AT_ONCE)
    parts = (slice(start, start + ROWS_AT_ONCE) for start in starts)
    return np.concatenate([(left[part] * right[part]).sum(axis=1) for part in parts])


def to_read(rows: pl.DataFrame, chosen: np.ndarray) -> pl.DataFrame:
    """Select rows, with the columns that `dialogues` needs."""
    columns = ["messages"] if "messages" in rows.columns else ["prompt", "response"]
    return rows.select(columns).filter(pl.Series(chosen))


def dialogues(rows: pl.DataFrame) -> Iterator[list[Message]]:
    """Yield each row's turns; prompt and response where the table has no `messages`."""
    if "messages" in rows.columns:
        return each_dialogue(rows)
    return (list(turns(*pair)) for pair in rows.select("prompt", "response").iter_rows())
