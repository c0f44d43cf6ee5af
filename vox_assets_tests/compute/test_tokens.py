"""Only answers are in the loss, and rows that a trainer would truncate or skip are refused."""

from __future__ import annotations

from typing import Any

import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.compute.tokens import (
    MASKED,
    TemplateError,
    chat_ids,
    end_of_turn,
    load_tokenizer,
    render,
    split_answer,
    stop_tokens,
    token_counter,
    tokenise,
)
from vox_assets.contract.rows import turns
from vox_assets.training.plan.preflight import preflight
from vox_assets.training.plan.spec import TrainingRefusedError
from vox_assets_tests.families import FAMILIES, make_tokenizer, tokenizer_of

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


DIALOGUE = turns("Write f.", "fn f() {}", "Rename it.", "fn g() {}")


@pytest.mark.parametrize("name", FAMILIES)
def test_the_template_of_each_family_ends_an_answer_with_its_own_token(name: str) -> None:
    tokenizer, family = tokenizer_of(name), FAMILIES[name]
    assert tokenizer.convert_ids_to_tokens(end_of_turn(tokenizer)) == family.end_of_turn
    # A base model may end the text where a tuned model ends the turn.
    expected = dict.fromkeys([family.end_of_turn, family.eos])
    assert tokenizer.convert_ids_to_tokens(stop_tokens(tokenizer)) == list(expected)


@pytest.mark.parametrize("caller", [{}, {"enable_thinking": True}])
@pytest.mark.parametrize("name", ["qwen3", "smollm3"])
def test_a_saved_template_asks_for_no_thoughts_as_in_training(
    name: str, caller: dict[str, bool], tmp_path: Any
) -> None:
    from transformers import AutoTokenizer

    tokenizer = tokenizer_of(name)
    tokenizer.save_pretrained(tmp_path)
    saved = AutoTokenizer.from_pretrained(tmp_path)
    ids = saved.apply_chat_template(
        DIALOGUE[:-1], add_generation_prompt=True, return_dict=False, **caller
    )
    assert ids == chat_ids(tokenizer, DIALOGUE[:-1], asking=True)


@pytest.mark.parametrize("name", FAMILIES)
def test_in_each_family_the_answers_through_their_end_are_in_the_loss(name: str) -> None:
    tokenizer, family = tokenizer_of(name), FAMILIES[name]
    [row] = preflight([("a", DIALOGUE)], tokenizer, 512)
    # Qwen3 writes an empty thought before the last answer alone, so an earlier answer has another
    # prompt when it is generated than in the history.
    answers = ["fn f() {}", "fn g() {}"] if name != "qwen3" else ["fn g() {}"]
    text = trained_text(tokenizer, row)
    assert text.replace(f"{family.end_of_turn} ", family.end_of_turn).lstrip() == "".join(
        answer + family.end_of_turn for answer in answers
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_the_measured_answer_of_a_row_has_the_tokens_of_its_training(name: str) -> None:
    tokenizer = tokenizer_of(name)
    prompt, answer = split_answer(tokenizer, DIALOGUE)
    row = tokenise(tokenizer, "a", DIALOGUE)
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, answer)]
    assert ids[0] == chat_ids(tokenizer, DIALOGUE[:-1], asking=True)
    trained = [label for label in row.labels if label != MASKED]
    assert ids[1] == trained[-len(ids[1]) :]


@pytest.mark.parametrize("name", ["llama3_2", "granite", "smollm3"])
def test_a_template_that_writes_the_date_writes_the_same_one_every_day(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import datetime

    from transformers.utils import chat_template_utils

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Tomorrow:
            return cls(2031, 5, 9)

    monkeypatch.setattr(chat_template_utils, "datetime", Tomorrow)
    tokenizer = tokenizer_of(name)
    assert "2031" in render(make_tokenizer(FAMILIES[name]), DIALOGUE)
    text = render(tokenizer, DIALOGUE)
    assert "2031" not in text and "2024" in text and "%" not in text


def test_the_saved_template_keeps_the_date_and_is_pinned_once(tmp_path: Any) -> None:
    make_tokenizer(FAMILIES["llama3_2"]).save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert "Today Date: 26 Jul 2024" in render(load_tokenizer(tmp_path), DIALOGUE)
    assert load_tokenizer(tmp_path).chat_template == tokenizer.chat_template


@pytest.mark.parametrize(
    ("name", "roles", "words"),
    [
        ("gemma2", ("system", "user", "assistant"), "System role not supported"),
        ("mistral", ("user", "user", "assistant"), "must alternate"),
    ],
)
def test_roles_that_a_template_refuses_are_a_named_refusal(
    name: str, roles: tuple[str, ...], words: str
) -> None:
    messages: Any = [{"role": role, "content": "x"} for role in roles]
    expected = f"1 rows: the chat template refuses the roles {', '.join(roles)}: .*{words}.*: bad"
    with pytest.raises(TrainingRefusedError, match=expected):
        preflight([("bad", messages), ("good", DIALOGUE)], tokenizer_of(name), 512)


def test_a_template_that_opens_a_thought_is_refused_by_training_and_by_curation() -> None:
    import importlib.resources

    r1 = importlib.resources.files("trl") / "chat_templates" / "deepseekv3.jinja"
    tokenizer = make_tokenizer(FAMILIES["deepseek"])
    tokenizer.chat_template = r1.read_text(encoding="utf-8")
    with pytest.raises(TrainingRefusedError, match="opens a thought"):
        preflight([("a", DIALOGUE)], tokenizer, 512)
    with pytest.raises(TemplateError, match="opens a thought"):
        split_answer(tokenizer, DIALOGUE)
