"""Tests that the Modelfile has the chat template of the tokenizer, or none."""

from __future__ import annotations

import re
from datetime import date

import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.compute.tokens import load_tokenizer
from vox_assets.contract.rows import Message, turns
from vox_assets.training.adapter.modelfile import render_modelfile, turn_template
from vox_assets_tests.families import FAMILIES, tokenizer_of

#: A template like SmolLM2's, which adds a system turn if the dialogue has none.
WITH_SYSTEM = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are \"helpful\".<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
#: A template that rewrites earlier answers, so it is not made of fixed texts around the turns.
REWRITING = (
    "{% for message in messages %}{{ message['role'] + ':' }}"
    "{{ message['content'] if loop.last else message['content'] | upper }}"
    "{{ '<|im_end|>' }}{% endfor %}"
)
DIALOGUE = [*turns("One?", "1"), Message(role="user", content="Two?")]


@pytest.mark.parametrize("template", [None, WITH_SYSTEM])
def test_the_template_renders_the_same_text_as_the_tokenizer(
    tiny_base: LocalModel, template: str | None
) -> None:
    tokenizer = load_tokenizer(tiny_base.path)
    tokenizer.chat_template = template or tokenizer.chat_template
    derived = turn_template(tokenizer)
    assert derived is not None
    expected = tokenizer.apply_chat_template(DIALOGUE, tokenize=False, add_generation_prompt=True)
    assert derived.render(DIALOGUE) == expected
    # The literals of the Go template are the texts around the turns, in order.
    text = render_modelfile(tokenizer, "tests/tiny", "llama")
    quoted = re.findall(r'{{ "(.*?)" }}', text)
    literals = [literal.encode().decode("unicode_escape") for literal in quoted]
    parts = (derived.opening, derived.before_user, derived.before_answer, derived.after_answer)
    assert literals == [part for part in parts if part]


def test_a_template_that_rewrites_answers_is_left_out(tiny_base: LocalModel) -> None:
    tokenizer = load_tokenizer(tiny_base.path)
    tokenizer.chat_template = REWRITING
    assert turn_template(tokenizer) is None
    assert "TEMPLATE" not in render_modelfile(tokenizer, "b", "llama").replace("No TEMPLATE", "")


def test_architectures_that_ollama_cannot_convert_use_a_gguf_adapter(tiny_base: LocalModel) -> None:
    tokenizer = load_tokenizer(tiny_base.path)
    assert "\nADAPTER .\n" in render_modelfile(tokenizer, "b", "llama")
    assert "\nADAPTER ./adapter.gguf\n" in render_modelfile(tokenizer, "b", "qwen3")


@pytest.mark.parametrize("name", FAMILIES)
def test_generation_stops_where_the_template_of_a_family_ends_a_turn(name: str) -> None:
    family = FAMILIES[name]
    text = render_modelfile(tokenizer_of(name), "b", family.architecture)
    stops = re.findall(r'^PARAMETER stop "(.*)"$', text, re.MULTILINE)
    assert stops == list(dict.fromkeys([family.end_of_turn, family.eos]))
    # A template that writes the date is not frozen on the day of the training.
    assert str(date.today().year) not in text


@pytest.mark.parametrize("name", ["llama3", "gemma2", "gemma3"])
def test_the_template_leaves_out_the_first_token_that_the_server_adds(name: str) -> None:
    tokenizer = tokenizer_of(name)
    text = render_modelfile(tokenizer, "b", "llama")
    assert 'TEMPLATE """' in text and tokenizer.bos_token not in text
