"""Only answers are in the loss, and rows that a trainer would truncate or skip are refused."""

from __future__ import annotations

from typing import Any

import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.compute.tokens import MASKED, TemplateError, load_tokenizer, token_counter, tokenise
from vox_assets.contract.rows import turns
from vox_assets.training.plan.preflight import preflight
from vox_assets.training.plan.spec import TrainingRefusedError

#: Like Qwen3's template: only the last answer starts with a think block.
THINKING = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% if loop.last and m['role'] == 'assistant' %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)


@pytest.fixture
def tokenizer(tiny_base: LocalModel) -> Any:
    return load_tokenizer(tiny_base.path)


def trained_text(tokenizer: Any, row: Any) -> str:
    """Decode the tokens that are in the loss."""
    return tokenizer.decode([label for label in row.labels if label != MASKED])


def test_every_answer_with_its_end_token_is_in_the_loss_and_nothing_else(tokenizer: Any) -> None:
    row = tokenise(tokenizer, "a", turns("Write f.", "fn f() {}", "Rename it.", "fn g() {}"))
    assert trained_text(tokenizer, row) == "fn f() {}<|im_end|>fn g() {}<|im_end|>"
    assert len(row.input_ids) == len(row.labels)
    pairs = zip(row.labels, row.input_ids, strict=True)
    assert all(label in (MASKED, token) for label, token in pairs)
    assert row.answer_tokens == sum(label != MASKED for label in row.labels)


def test_with_a_template_that_rewrites_turns_only_the_last_answer_is_in_the_loss(
    tokenizer: Any,
) -> None:
    tokenizer.chat_template = THINKING
    row = tokenise(tokenizer, "a", turns("Write f.", "fn f() {}", "Rename it.", "fn g() {}"))
    assert trained_text(tokenizer, row) == "fn g() {}<|im_end|>"


def test_a_template_whose_prompt_is_not_a_prefix_is_an_error(tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ messages | length }}" + THINKING
    with pytest.raises(TemplateError, match="prefix"):
        tokenise(tokenizer, "a", turns("Write f.", "fn f() {}"))


def test_complete_rows_pass_the_preflight(tokenizer: Any) -> None:
    rows = preflight([("a", turns("Write f.", "fn f() {}"))], tokenizer, 64)
    assert [row.pair_id for row in rows] == ["a"]
    assert token_counter(tokenizer)(list(turns("Write f.", "fn f() {}"))) == len(rows[0].input_ids)


@pytest.mark.parametrize(
    ("answer", "template", "words"),
    [
        ("word " * 200, None, "longer than 64 tokens"),
        ("", None, "empty answer"),
        ("fn f() {}", "{{ messages[0]['content'] }}{{ messages[1]['content'] }}", "end token"),
        ("<think>\n\n</think>\nfn f() {}", None, "empty think block"),
    ],
)
def test_each_fault_is_refused_with_the_row_id(
    tokenizer: Any, answer: str, template: str | None, words: str
) -> None:
    if template is not None:
        tokenizer.chat_template = (
            "{{ messages[0]['content'] }}{% if messages|length > 1 %}"
            "{{ messages[1]['content'] }}{% endif %}"
        )
    good = ("good", turns("Write f.", "fn f() {}"))
    rows = [("bad", turns("Write it.", answer))] + ([] if template else [good])
    with pytest.raises(TrainingRefusedError, match=words) as refusal:
        preflight(rows, tokenizer, 64)
    assert "bad" in str(refusal.value) and "good" not in str(refusal.value)


def test_a_refusal_counts_the_rows_that_it_does_not_name(tokenizer: Any) -> None:
    rows = [(f"row{index}", turns("Write.", "")) for index in range(9)]
    with pytest.raises(TrainingRefusedError, match=r"9 rows: empty answer: row0.* and 4 more"):
        preflight(rows, tokenizer, 64)


def test_a_model_without_a_template_is_refused(tiny_base: LocalModel, tmp_path: Any) -> None:
    tokenizer = load_tokenizer(tiny_base.path)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(TemplateError, match="no chat template"):
        load_tokenizer(tmp_path)
