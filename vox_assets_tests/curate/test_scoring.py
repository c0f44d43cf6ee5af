"""Scores separate real rows from mutants, on a stable scale and with reasons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from vox_assets.compute.models import LocalModel, preferred_dtype
from vox_assets.contract.rows import turns
from vox_assets.curate.calibrate import (
    DIRECTION,
    DROPPED_SHARE,
    fit,
    fit_forms,
    missing_intercept,
)
from vox_assets.curate.evaluators import RATINGS, Evaluator
from vox_assets.curate.features import EMBEDDED_FEATURES, FEATURES, MODEL_FEATURES
from vox_assets.curate.meter import Meter
from vox_assets.curate.perplexity import MIN_GROUP_ROWS, answer_nll, within_perplexity
from vox_assets.curate.scoring import Calibration, LocalEvaluator
from vox_assets.extract import extract_rust
from vox_assets.profiles import load
from vox_assets.store.cache import VectorCache

SAMPLE = Path("data/sample_workspace")


@pytest.fixture(scope="module")
def meter(
    base_model: LocalModel,
    embedding_model: LocalModel,
    tmp_path_factory: pytest.TempPathFactory,
) -> Meter:
    store = VectorCache(tmp_path_factory.mktemp("cache") / "vectors.sqlite")
    return Meter(base_model, embedding_model, store, model_tokens=64)


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """Extract the rows of one crate."""
    extracted = extract_rust(SAMPLE, load("sample"), commit=None).rows
    return extracted.filter(
        pl.col("source_path").str.contains("vox-units") & (pl.col("language") == "rust")
    )


@pytest.fixture(scope="module")
def evaluator(meter: Meter) -> LocalEvaluator:
    return LocalEvaluator(meter, Calibration.load(), load("sample").scoring)


@pytest.fixture(scope="module")
def scored(evaluator: LocalEvaluator, rows: pl.DataFrame) -> pl.DataFrame:
    return evaluator.score(rows)


def test_most_real_rows_are_kept_and_every_score_is_on_the_scale(scored: pl.DataFrame) -> None:
    assert scored["kept"].mean() > 0.7
    assert scored["score"].is_between(1, 10).all()
    assert scored.filter("kept")["score"].min() >= 7
    assert set(FEATURES) <= set(scored.columns)


def test_a_dropped_row_names_the_costliest_features(evaluator: LocalEvaluator) -> None:
    poor = pl.DataFrame(
        {
            "pair_id": ["a"],
            "prompt": ["Do something like the previous example."],
            "response": ["mod a;\nmod b;\nmod c;\nmod d;\n"],
            "lane": ["vox_codegen"],
            "language": ["rust"],
        }
    )
    row = evaluator.score(poor).row(0, named=True)
    assert not row["kept"]
    assert "boilerplate_share 1.00" in row["drop_reason"]
    assert row["drop_reason"].startswith(f"score below 7: {row['score']:.1f} by ")
    # No result of the language model could raise the row to the threshold, so it is not run.
    assert row["perplexity"] is None


def test_ratings_are_the_scores_and_the_reasons(
    evaluator: LocalEvaluator, rows: pl.DataFrame, scored: pl.DataFrame
) -> None:
    interface: Evaluator = evaluator
    ratings = interface.rate(rows)
    assert ratings.schema == RATINGS
    assert ratings["score"].equals(scored["score"])
    assert ratings["note"].to_list() == scored["drop_reason"].fill_null("").to_list()


def test_a_second_scoring_gives_the_same_table(
    evaluator: LocalEvaluator, rows: pl.DataFrame, scored: pl.DataFrame
) -> None:
    assert evaluator.score(rows).equals(scored)


def test_rows_without_a_model_pass_mostly_get_the_verdict_of_a_model_pass(
    evaluator: LocalEvaluator, meter: Meter, scored: pl.DataFrame
) -> None:
    unread = scored.filter(pl.col("perplexity").is_null()).head(30)
    assert unread.height == 30
    read = unread.with_columns(pl.Series("surprise", meter.surprise(unread)))
    scores, _ = evaluator.judge(read, read["language"])
    assert ((scores >= 7) == (unread["score"] >= 7).to_numpy()).mean() >= 0.9


def test_scoring_an_empty_table_gives_the_same_columns(
    evaluator: LocalEvaluator, rows: pl.DataFrame
) -> None:
    assert evaluator.score(rows.clear()).columns == evaluator.score(rows.head(1)).columns


def test_nll_equals_a_direct_computation_with_the_model(
    base_model: LocalModel, tmp_path: Path
) -> None:
    """Compare batched, chunked and cached values with a plain computation on one row."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dialogue = turns("What is the capital of France?", "The capital of France is Paris.")
    tokenizer = AutoTokenizer.from_pretrained(base_model.path)
    network = AutoModelForCausalLM.from_pretrained(
        base_model.path, dtype=getattr(torch, preferred_dtype())
    )
    prompt = tokenizer.apply_chat_template(
        list(dialogue[:1]), tokenize=False, add_generation_prompt=True
    )
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    after = tokenizer("The capital of France is Paris.<|im_end|>", add_special_tokens=False)
    ids = torch.tensor([before + after["input_ids"]])
    with torch.no_grad():
        logits = network(ids).logits[0, len(before) - 1 : -1].float()
    plain = torch.nn.functional.cross_entropy(logits, ids[0, len(before) :]).item()

    other = turns("Say a number.", "Seventeen, which is a prime, and odd, and not a square.")
    store = VectorCache(tmp_path / "v.sqlite")
    nll, counts = answer_nll([dialogue, other, dialogue], base_model, 256, store)
    # bfloat16 rounds differently in another batch.
    assert nll[0] == pytest.approx(plain, abs=0.03)
    assert counts[0] == len(after["input_ids"])
    assert nll[0] == nll[2]
    cached, _ = answer_nll([dialogue, other, dialogue], base_model, 256, store)
    assert (cached == nll).all()


def test_nonsense_has_a_higher_nll(base_model: LocalModel, tmp_path: Path) -> None:
    question = "What is the capital of France?"
    sense = turns(question, "The capital of France is Paris.")
    nonsense = turns(question, "Paris capital the is France of the of.")
    nll, _ = answer_nll([sense, nonsense], base_model, 64, VectorCache(tmp_path / "v.sqlite"))
    assert nll[0] < nll[1]


def test_the_hardest_share_is_dropped_per_lane_and_language() -> None:
    count = 2 * MIN_GROUP_ROWS
    rows = pl.DataFrame(
        {
            "pair_id": [f"{language}{i}" for language in ("rust", "vox") for i in range(count)],
            "lane": ["vox_codegen"] * 2 * count,
            "language": ["rust"] * count + ["vox"] * count,
            # All Vox is harder than any Rust; only the hardest of each may be dropped.
            "perplexity": [float(i) for i in range(count)] + [1000.0 + i for i in range(count)],
        }
    )
    kept = within_perplexity(rows, 0.98)
    dropped = set(rows["pair_id"]) - kept
    assert dropped
    assert {name.rstrip("0123456789") for name in dropped} == {"rust", "vox"}
    assert len(dropped) <= 0.02 * rows.height
    assert within_perplexity(rows.head(MIN_GROUP_ROWS - 1), 0.5) == set(
        rows["pair_id"][: MIN_GROUP_ROWS - 1]
    )


def test_a_row_with_an_artefact_is_dropped_with_the_text_that_shows_it(
    evaluator: LocalEvaluator, scored: pl.DataFrame
) -> None:
    good = scored.filter("kept").head(3).drop("messages")
    damaged = good.with_columns(response=pl.lit("Sure! ") + pl.col("response"))
    again = evaluator.score(damaged.select("pair_id", "prompt", "response", "lane", "language"))
    assert not again["kept"].any()
    assert again["score"].max() < 2
    assert set(again["drop_kind"]) == {"artefact"}
    assert all("chatter: Sure!" in detail for detail in again["drop_detail"])
    # Nothing that the model could say would save it, so the model is not asked.
    assert again["perplexity"].is_null().all()


def test_a_dialogue_is_scored_by_all_its_turns(
    evaluator: LocalEvaluator, rows: pl.DataFrame
) -> None:
    first, second = rows.head(2).select("prompt", "response").rows()
    dialogue = turns(*first, "Now do the same thing.", second[1])
    table = pl.DataFrame(
        {
            "pair_id": ["a"],
            "prompt": ["Now do the same thing."],
            "response": [second[1]],
            "messages": [list(dialogue)],
            "lane": ["vox_codegen"],
            "language": ["rust"],
        }
    )
    whole = evaluator.score(table).row(0, named=True)
    last = evaluator.score(table.drop("messages")).row(0, named=True)
    assert whole["prompt_specifics"] > last["prompt_specifics"]
    assert whole["score"] > last["score"]


def test_a_fit_keeps_the_stated_directions_and_weights_the_signal() -> None:
    rng = np.random.default_rng(2)
    names = list(FEATURES)
    matrix = rng.normal(size=(600, len(names)))
    # `parses` separates real rows from mutants; so does `repetition`, but against its direction.
    real = matrix[:, names.index("parses")] + matrix[:, names.index("repetition")] > 0
    form = fit(matrix, real, np.ones(600))
    assert form["weight"]["parses"] > 0.5
    assert form["weight"]["repetition"] == 0
    assert all(
        weight * DIRECTION[name] >= 0 and (weight == 0 or DIRECTION[name] != 0)
        for name, weight in form["weight"].items()
    )


def test_the_packaged_calibration_covers_every_feature() -> None:
    calibration = Calibration.load()
    assert {"rust", "vox", "markdown"} <= set(calibration.forms)
    for form in calibration.forms.values():
        assert set(form.weight) == set(FEATURES)
        assert form.weight["parses"] >= 0


def test_the_intercept_keeps_all_but_a_small_share_of_all_real_rows() -> None:
    """A few hundred rows do not show how low the lowest of ten thousand are."""
    rng = np.random.default_rng(2)
    rows = pl.DataFrame({name: rng.normal(0.0, 1.0, 20_000) for name in FEATURES}).with_columns(
        pl.lit(0.0).alias("artefacts")
    )
    form = {
        "intercept": 1.0,
        "center": dict.fromkeys(FEATURES, 0.0),
        "scale": dict.fromkeys(FEATURES, 1.0),
        "weight": {name: float(name == "information") for name in FEATURES},
    }
    policy = load("sample").scoring.model_copy(update={"weights": {}})
    form["intercept"] += missing_intercept(form, rows.drop(MODEL_FEATURES), policy)
    logits = form["intercept"] + np.clip(rows["information"].to_numpy(), -3, 3)
    dropped = (1 + 9 / (1 + np.exp(-logits)) < policy.threshold).mean()
    assert dropped == pytest.approx(DROPPED_SHARE, abs=1e-4)
    # A row with an artefact is dropped by a rule, and a form that keeps enough stays as it is.
    assert missing_intercept(form, rows.drop(MODEL_FEATURES), policy) == 0
    worse = rows.with_columns(pl.lit(-9.0).alias("information"), pl.lit(1.0).alias("artefacts"))
    assert missing_intercept(form, pl.concat([rows, worse]), policy) == 0


@pytest.mark.parametrize(("human_rows", "share"), [(300, 0.5), (900, 0.9)])
def test_at_least_half_of_the_rows_for_a_fit_are_written_by_people(
    human_rows: int, share: float
) -> None:
    count = 1000
    rows = pl.DataFrame(
        {
            "pair_id": [f"{n:032x}"[::-1] for n in range(count)],
            "prompt": [f"Write part {n}." for n in range(count)],
            "response": [f"fn part_{n}() {{\n    let a = {n};\n    a\n}}" for n in range(count)],
            "language": ["vox"] * count,
            "origin": ["human"] * human_rows + ["synthetic"] * (count - human_rows),
        }
    )
    measured: list[pl.DataFrame] = []

    def lengths(part: pl.DataFrame) -> np.ndarray:
        measured.append(part)
        matrix = np.tile(part["response"].str.len_chars().to_numpy()[:, None], len(FEATURES)) / 50
        matrix[:, list(FEATURES).index("artefacts")] = 0
        return matrix

    def cheap(part: pl.DataFrame) -> pl.DataFrame:
        return pl.DataFrame(dict.fromkeys(FEATURES, [0.0] * part.height)).drop(MODEL_FEATURES)

    assert set(fit_forms(rows, lengths, cheap, load("sample").scoring)) == {"vox"}
    real, mutants = measured
    assert (real["origin"] == "human").mean() == pytest.approx(share, abs=0.06)
    assert real["pair_id"].is_unique().all()
    assert mutants.height > real.height


def test_features_without_a_model_count_as_their_means(
    evaluator: LocalEvaluator, scored: pl.DataFrame, rows: pl.DataFrame
) -> None:
    bare = replace(evaluator, meter=replace(evaluator.meter, base_model=None, embedding_model=None))
    unread = bare.score(rows)
    absent = (*EMBEDDED_FEATURES, *MODEL_FEATURES)
    assert unread.select(*absent, "perplexity").null_count().row(0) == (len(rows),) * 7
    means = [
        pl.Series(name, [evaluator.calibration.form("rust").center[name]] * len(rows))
        for name in absent
    ]
    expected = evaluator.judge(scored.with_columns(means), rows["language"])[0]
    assert unread["score"].to_list() == pytest.approx(expected.tolist())


def test_without_a_model_only_the_features_that_need_it_are_absent(
    evaluator: LocalEvaluator, scored: pl.DataFrame, rows: pl.DataFrame
) -> None:
    unread = replace(evaluator, meter=replace(evaluator.meter, base_model=None)).score(rows)
    assert unread["alignment"].to_list() == pytest.approx(scored["alignment"].to_list())
    assert unread["surprise"].null_count() == len(rows)
