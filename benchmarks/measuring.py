"""What the models cost: embedding and reading rows, a rebuild after a change, and growth.

The references are the plain loops that the libraries' documentation shows, in float32 and in the
order in which rows arrive. Whether both sides come to the same result stands beside each.
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
from timing import Result, compared, in_turn

from vox_assets.compute.models import LocalModel
from vox_assets.curate import features
from vox_assets.curate.dedup import answers, deduplicate
from vox_assets.curate.embedding import MAX_TOKENS, embed
from vox_assets.curate.meter import Meter
from vox_assets.curate.scoring import Calibration, LocalEvaluator
from vox_assets.extract import extract_docs, extract_rust
from vox_assets.profiles import Profile
from vox_assets.settings import SAMPLE_WORKSPACE
from vox_assets.store.cache import VectorCache
from vox_assets.vox_syntax.parsers import vox_fault

#: Rows that the embedder reads, and that the language model reads; both loops take half a minute.
EMBEDDED_ROWS = 192
READ_ROWS = 32
#: Tokens of a row that the language model reads in both loops.
READ_TOKENS = 384
#: Crates and pages of the sample in the tree that is rebuilt: a cold build of it takes a minute.
REBUILT_CRATES = 1
REBUILT_PAGES = 6
#: Rows of the smaller side of the cheap path, and how many times as many the larger has.
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


def spread(rows: pl.DataFrame, wanted: int) -> pl.DataFrame:
    """So many rows, evenly from the whole table: every source and length takes part."""
    return rows.gather_every(max(1, rows.height // wanted)).head(wanted)


def embedding(rows: pl.DataFrame, model: LocalModel, scratch: Path) -> tuple[Result, str]:
    """Ours, with an empty cache, against plain `SentenceTransformer.encode`."""
    from sentence_transformers import SentenceTransformer

    texts = spread(rows, EMBEDDED_ROWS)["response"].to_list()
    plain = SentenceTransformer(str(model.path))
    plain.max_seq_length = MAX_TOKENS
    store = _fresh_stores(scratch)
    mine, others, ours, theirs = in_turn(
        lambda: embed(texts, model, store()),
        lambda: plain.encode(texts, show_progress_bar=False, normalize_embeddings=True),
    )
    agreement = (ours * theirs).sum(axis=1)
    reference = f"SentenceTransformer.encode, {len(texts)} rows"
    note = f"embedding: cosine to float32 {agreement.mean():.5f}, at least {agreement.min():.5f}"
    return compared("embedding", mine, reference, others, target=1.0), note


def surprise(rows: pl.DataFrame, meter: Meter, scratch: Path) -> tuple[Result, str]:
    """The language model's reading, cache empty, against a padded float32 loop of the same."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    chosen = spread(rows, READ_ROWS)
    tokenizer = AutoTokenizer.from_pretrained(meter.base_model.path)
    network = AutoModelForCausalLM.from_pretrained(
        meter.base_model.path, dtype=torch.float32
    ).eval()
    store = _fresh_stores(scratch)

    def ours() -> np.ndarray:
        return _with(meter, store()).surprise(chosen)

    def plain() -> np.ndarray:
        found = []
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
            found += (nll.sum(1) / (labels[:, 1:] != -100).sum(1)).tolist()
        return np.array(found)

    mine, others, quick, slow = in_turn(ours, plain)
    our_ranks, plain_ranks = (np.argsort(np.argsort(values)) for values in (quick, slow))
    agreement = float(np.corrcoef(our_ranks, plain_ranks)[0, 1])
    note = f"model features: rank correlation with float32 {agreement:.4f}"
    reference = f"padded float32 batches of {PLAIN_BATCH}, {chosen.height} rows"
    return compared("model features", mine, reference, others, target=0.5), note


#: Rows of a batch of the plain loop.
PLAIN_BATCH = 8


def _ids(tokenizer, turns) -> tuple[list[int], int]:  # type: ignore[no-untyped-def]
    """The tokens of a dialogue and where its answer starts, cut as ours cuts them."""
    from vox_assets.curate.perplexity import PROMPT_SHARE

    prompt = tokenizer.apply_chat_template(turns[:-1], tokenize=False, add_generation_prompt=True)
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    answer = turns[-1]["content"] + tokenizer.eos_token
    after = tokenizer(answer, add_special_tokens=False)["input_ids"]
    after = after[: READ_TOKENS - min(len(before), int(READ_TOKENS * PROMPT_SHARE))]
    before = before[-(READ_TOKENS - len(after)) :]
    return before + after, len(before)


def rebuild(profile: Profile, meter: Meter, scratch: Path) -> tuple[Result, str]:
    """Extraction, dedup and scoring after one function more, against the same from nothing.

    In one process, models loaded: what a process costs to start is the same on both sides, and
    Dagster's own build of a real tree, with it, is measured apart. The caches are the only thing
    that a warm build has and a cold one has not; its change is another one every time.
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
    warm_store = VectorCache(scratch / "warm.sqlite")
    fresh = _fresh_stores(scratch)
    numbers = count()

    def build(store: VectorCache) -> pl.DataFrame:
        live = _with(meter, store)
        rust = extract_rust(tree, profile, commit=None).rows
        docs = extract_docs(tree, profile, commit=None, check_vox=vox_fault).rows
        rows = pl.concat([rust, docs]).unique("pair_id", keep="first", maintain_order=True)
        vectors = embed(answers(rows), live.embedding_model, store)
        survivors = deduplicate(rows, vectors, profile.dedup).survivors
        return LocalEvaluator(live, Calibration.load(), profile.scoring).score(survivors)

    def warm() -> pl.DataFrame:
        change = CHANGE.replace("readings_above", f"readings_above_{next(numbers)}")
        changed.write_text(before + change, encoding="utf-8")
        return build(warm_store)

    build(warm_store)
    mine, others, scored, _ = in_turn(warm, lambda: build(fresh()), warm_up=False)
    note = f"rebuild: {scored.height:,} rows scored, one function of one file changed"
    reference = f"cold build of {scored.height:,} rows"
    return compared("rebuild, one file", mine, reference, others, target=0.1), note


def cheap_growth(rows: pl.DataFrame, profile: Profile) -> Result:
    """Dedup and the model-free features on four times the rows: 4 is linear.

    Unit vectors drawn at random stand for the embeddings, whose cost is the model's and linear.
    """
    many = spread(rows, CHEAP_ROWS * GROWTH)
    few = spread(many, CHEAP_ROWS)
    work: Callable[[pl.DataFrame], int] = partial(_cheap, profile=profile)
    mine, others, _, _ = in_turn(partial(work, many), partial(work, few))
    reference = f"{few.height:,} rows, not {many.height:,}"
    return compared("growth of the cheap path", mine, reference, others, target=4.8)


def _cheap(rows: pl.DataFrame, profile: Profile) -> int:
    vectors = np.random.default_rng(0).standard_normal((rows.height, 384), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    survivors = deduplicate(rows, vectors, profile.dedup).survivors
    for prompt, answer, language in survivors.select("prompt", "response", "language").iter_rows():
        features.measure(prompt, answer, language)
    return survivors.height


def _with(meter: Meter, store: VectorCache) -> Meter:
    return Meter(meter.base_model, meter.embedding_model, store, READ_TOKENS)


def _fresh_stores(scratch: Path) -> Callable[[], VectorCache]:
    """A maker of caches, each of them empty."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    numbers = count()
    return lambda: VectorCache(folder / f"{next(numbers)}.sqlite")
