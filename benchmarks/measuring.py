"""Times the models: embedding, model features, a rebuild after a change, and growth.

The references are the plain loops of the libraries' documentation, in float32 and in the order of
the rows. The notes compare the results of both sides.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import polars as pl
from timing import Result, alternate_calls, compare_medians

from vox_assets.compute.models import LocalModel
from vox_assets.curate import features
from vox_assets.curate.compared import answers
from vox_assets.curate.dedup import deduplicate
from vox_assets.curate.embedding import MAX_TOKENS, embed
from vox_assets.curate.meter import Meter
from vox_assets.curate.scoring import Calibration, LocalEvaluator
from vox_assets.extract import extract_docs, extract_rust
from vox_assets.profiles import Profile
from vox_assets.settings import SAMPLE_WORKSPACE
from vox_assets.store.cache import VectorCache
from vox_assets.vox_syntax.parsers import vox_fault

#: Rows for the embedder and for the language model; each comparison takes half a minute.
EMBEDDED_ROWS = 192
READ_ROWS = 32
#: Tokens of a row that the language model reads on both sides.
READ_TOKENS = 384
#: Crates and pages of the rebuilt tree: a cold build takes a minute.
REBUILT_CRATES = 1
REBUILT_PAGES = 6
#: Rows of the smaller side of the growth without models, and the factor of the larger side.
CHEAP_ROWS = 1_000
GROWTH = 4

CHANGE = """
/// Counts how many of the given readings lie above the limit, and stops at the first gap.
pub fn readings_above(readings: &[Option<f64>], limit: f64) -> usize {
    let mut found = 0;
    for reading in readings {
        let Some(value) = reading else { break };
        if *value > limit {
            found += 1;
        }
    }
    found
}
"""


def sample_evenly(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """Select `count` rows at even distances, so that every source and length occurs."""
    return rows.gather_every(max(1, rows.height // count)).head(count)


def embedding(rows: pl.DataFrame, model: LocalModel, scratch: Path) -> tuple[Result, str]:
    """Compare our embedding, with an empty cache, with `SentenceTransformer.encode`."""
    from sentence_transformers import SentenceTransformer

    texts = sample_evenly(rows, EMBEDDED_ROWS)["response"].to_list()
    encoder = SentenceTransformer(str(model.path))
    encoder.max_seq_length = MAX_TOKENS
    new_cache = _empty_caches(scratch)
    our_times, their_times, ours, theirs = alternate_calls(
        lambda: embed(texts, model, new_cache()),
        lambda: encoder.encode(texts, show_progress_bar=False, normalize_embeddings=True),
    )
    agreement = (ours * theirs).sum(axis=1)
    reference = f"SentenceTransformer.encode, {len(texts)} rows"
    note = f"embedding: cosine to float32 {agreement.mean():.5f}, minimum {agreement.min():.5f}"
    return compare_medians("embedding", our_times, reference, their_times, target=1.0), note


def surprise(rows: pl.DataFrame, meter: Meter, scratch: Path) -> tuple[Result, str]:
    """Compare our model features, with an empty cache, with a padded float32 loop."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    chosen = sample_evenly(rows, READ_ROWS)
    assert meter.base_model is not None
    tokenizer = AutoTokenizer.from_pretrained(meter.base_model.path)
    network = AutoModelForCausalLM.from_pretrained(
        meter.base_model.path, dtype=torch.float32
    ).eval()
    new_cache = _empty_caches(scratch)

    def ours() -> np.ndarray:
        return _with_cache(meter, new_cache()).surprise(chosen)

    def plain() -> np.ndarray:
        losses = []
        dialogues = chosen["messages"].to_list()
        for first in range(0, len(dialogues), PLAIN_BATCH):
            batch = [_ids(tokenizer, turns) for turns in dialogues[first : first + PLAIN_BATCH]]
            longest = max(len(ids) for ids, _ in batch)
            ids = torch.zeros((len(batch), longest), dtype=torch.long)
            labels = torch.full((len(batch), longest), -100)
            for row, (tokens, start) in enumerate(batch):
                ids[row, : len(tokens)] = torch.tensor(tokens)
                labels[row, start : len(tokens)] = ids[row, start : len(tokens)]
            with torch.inference_mode():
                logits = network(ids).logits[:, :-1]
            nll = torch.nn.functional.cross_entropy(
                logits.transpose(1, 2), labels[:, 1:], reduction="none"
            )
            losses += (nll.sum(1) / (labels[:, 1:] != -100).sum(1)).tolist()
        return np.array(losses)

    our_times, their_times, our_losses, plain_losses = alternate_calls(ours, plain)
    our_ranks, plain_ranks = (
        np.argsort(np.argsort(values)) for values in (our_losses, plain_losses)
    )
    agreement = float(np.corrcoef(our_ranks, plain_ranks)[0, 1])
    note = f"model features: rank correlation with float32 {agreement:.4f}"
    reference = f"padded float32 batches of {PLAIN_BATCH}, {chosen.height} rows"
    return compare_medians("model features", our_times, reference, their_times, target=0.5), note


#: Rows per batch in the plain loop.
PLAIN_BATCH = 8


def _ids(tokenizer, turns) -> tuple[list[int], int]:  # type: ignore[no-untyped-def]
    """Return the tokens of a dialogue, truncated as ours are, and the start of its answer."""
    from vox_assets.curate.perplexity import PROMPT_SHARE

    prompt = tokenizer.apply_chat_template(turns[:-1], tokenize=False, add_generation_prompt=True)
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    answer = turns[-1]["content"] + tokenizer.eos_token
    after = tokenizer(answer, add_special_tokens=False)["input_ids"]
    after = after[: READ_TOKENS - min(len(before), int(READ_TOKENS * PROMPT_SHARE))]
    before = before[-(READ_TOKENS - len(after)) :]
    return before + after, len(before)


def rebuild(profile: Profile, meter: Meter, scratch: Path) -> tuple[Result, str]:
    """Compare extraction, dedup and scoring after adding a function with a build without caches.

    Both run in one process with loaded models, because the start of a process costs the same on
    both sides; Dagster builds of a real tree are measured separately. The caches are the only
    difference. Every warm build adds a different function.
    """
    tree = scratch / "rebuilt"
    crates = sorted((SAMPLE_WORKSPACE / "crates").iterdir())[:REBUILT_CRATES]
    for crate in crates:
        shutil.copytree(crate, tree / "crates" / crate.name)
    pages = sorted((SAMPLE_WORKSPACE / "docs" / "src").glob("*.md"))[:REBUILT_PAGES]
    (tree / "docs" / "src").mkdir(parents=True)
    for page in pages:
        shutil.copyfile(page, tree / "docs" / "src" / page.name)
    changed = next(iter(sorted(tree.glob("crates/*/src/lib.rs"))))
    before = changed.read_text(encoding="utf-8")
    warm_cache = VectorCache(scratch / "warm.sqlite")
    new_cache = _empty_caches(scratch)
    numbers = count()

    def build(cache: VectorCache) -> pl.DataFrame:
        cached = _with_cache(meter, cache)
        rust = extract_rust(tree, profile, commit=None).rows
        docs = extract_docs(tree, profile, commit=None, check_vox=vox_fault).rows
        rows = pl.concat([rust, docs]).unique("pair_id", keep="first", maintain_order=True)
        assert cached.embedding_model is not None
        vectors = embed(answers(rows), cached.embedding_model, cache)
        survivors = deduplicate(rows, vectors, profile.dedup).survivors
        return LocalEvaluator(cached, Calibration.load(), profile.scoring).score(survivors)

    def warm() -> pl.DataFrame:
        change = CHANGE.replace("readings_above", f"readings_above_{next(numbers)}")
        changed.write_text(before + change, encoding="utf-8")
        return build(warm_cache)

    build(warm_cache)
    warm_times, cold_times, scored, _ = alternate_calls(
        warm, lambda: build(new_cache()), warm_up=False
    )
    note = f"rebuild: {scored.height:,} rows scored, one function of one file changed"
    reference = f"cold build of {scored.height:,} rows"
    return compare_medians("rebuild, one file", warm_times, reference, cold_times, target=0.1), note


def cheap_growth(rows: pl.DataFrame, profile: Profile) -> Result:
    """Compare dedup and the features without a model on four times the rows: 4 is linear.

    Random unit vectors replace the embeddings, whose cost is linear.
    """
    many = sample_evenly(rows, CHEAP_ROWS * GROWTH)
    few = sample_evenly(many, CHEAP_ROWS)
    work: Callable[[pl.DataFrame], int] = partial(_work_without_models, profile=profile)
    many_times, few_times, _, _ = alternate_calls(partial(work, many), partial(work, few))
    reference = f"{few.height:,} rows, not {many.height:,}"
    return compare_medians("growth of the cheap path", many_times, reference, few_times, target=4.8)


def _work_without_models(rows: pl.DataFrame, profile: Profile) -> int:
    vectors = np.random.default_rng(0).standard_normal((rows.height, 384), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    survivors = deduplicate(rows, vectors, profile.dedup).survivors
    for prompt, answer, language in survivors.select("prompt", "response", "language").iter_rows():
        features.measure(prompt, answer, language)
    return survivors.height


def _with_cache(meter: Meter, cache: VectorCache) -> Meter:
    return Meter(meter.base_model, meter.embedding_model, cache, READ_TOKENS)


def _empty_caches(scratch: Path) -> Callable[[], VectorCache]:
    """Return a function that makes an empty cache at each call."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    numbers = count()
    return lambda: VectorCache(folder / f"{next(numbers)}.sqlite")
