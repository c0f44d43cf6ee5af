"""Batched generation: the answers of `transformers`, whatever the batch, the prefix and the end."""

from __future__ import annotations

from typing import Any

import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.compute.tokens import chat_ids, load_tokenizer
from vox_assets.contract.rows import Message
from vox_assets_tests.families import tiny_model

LIMIT = 12
QUESTIONS = ("Add.", "Write a longer thing for me, please.", "Return the sum of two numbers.", "Go")


def asked(*questions: str) -> list[list[Message]]:
    return [[{"role": "user", "content": question}] for question in questions]


@pytest.fixture(scope="module")
def tokenizer(tiny_base: LocalModel) -> Any:
    return load_tokenizer(tiny_base.path)


@pytest.fixture(scope="module")
def model(tiny_base: LocalModel) -> Any:
    """Return the tiny model in float32, in which batches differ by less than two tokens do.

    With its tied head it would repeat the last token of the prompt, a special one.
    """
    import torch
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(tiny_base.path, dtype="float32").eval()
    torch.manual_seed(3)
    network.lm_head.weight = torch.nn.Parameter(torch.randn_like(network.lm_head.weight))
    return network


def by_library(model: Any, prompt: list[int], stop: list[int]) -> list[int]:
    """Return the tokens that `transformers` generates for one prompt, without the end token."""
    import torch

    ids = torch.tensor([prompt])
    made = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=LIMIT,
        do_sample=False,
        eos_token_id=stop,
        pad_token_id=0,
    )[0, len(prompt) :].tolist()
    return [token for token in made if token not in stop]


@pytest.mark.parametrize(
    "family", ["llama", "qwen3", "gpt2", "phi3", "mistral", "gemma2", "falcon", "mamba"]
)
def test_every_family_gives_the_greedy_tokens_of_transformers(family: str) -> None:
    import torch

    from vox_assets.compute import generate

    network = tiny_model(family)
    prompts = [[5, 9, 33], [5, 9, 71, 8, 40, 12], [5, 44, 20, 21, 22, 23, 24]]
    with torch.inference_mode():
        if generate._covers(network):
            steps = generate._decode(network, {2}, prompts, LIMIT, None, None)
            ours = [tokens for tokens, _ in generate._collect(steps, len(prompts))]
        else:
            ours = [
                tokens for tokens, _ in generate._by_library(network, 0, {2}, prompts, LIMIT, None)
            ]
    assert ours == [by_library(network, prompt, [2]) for prompt in prompts]


@pytest.mark.parametrize(
    ("family", "covered"),
    [("llama", True), ("qwen2", True), ("granite", True), ("gemma2", False), ("falcon", False)],
)
def test_only_models_with_plain_attention_are_covered(family: str, covered: bool) -> None:
    import torch

    from vox_assets.compute.generate import _covers

    with torch.inference_mode():
        assert _covers(tiny_model(family)) is covered


def test_a_model_that_changes_its_scores_is_not_covered() -> None:
    import torch

    from vox_assets.compute.generate import _covers

    network = tiny_model("llama")
    layer = network.model.layers[0].self_attn
    # A scale per position that no configuration names.
    forward = layer.forward
    layer.forward = lambda hidden_states, **rest: forward(
        hidden_states * (1 + hidden_states.shape[1]), **rest
    )
    with torch.inference_mode():
        assert not _covers(network)


def test_an_answer_does_not_depend_on_its_batch(model: Any, tokenizer: Any) -> None:
    from vox_assets.compute.generate import generate

    together = generate(model, tokenizer, asked(*QUESTIONS), LIMIT)
    alone = [generate(model, tokenizer, asked(question), LIMIT)[0] for question in QUESTIONS]
    assert together == alone
    assert len({answer.text for answer in together}) == len(QUESTIONS)


def test_a_shared_prefix_changes_no_answer(model: Any, tokenizer: Any) -> None:
    from vox_assets.compute import generate

    sheet = "A function adds two numbers. " * 12
    prompts = asked(*(sheet + question for question in QUESTIONS))
    shared = generate._read_prefix(
        model, [chat_ids(tokenizer, prompt, asking=True) for prompt in prompts]
    )
    assert shared is not None and shared.get_seq_length() >= generate.SHARED_TOKENS
    together = generate.generate(model, tokenizer, prompts, LIMIT)
    alone = [generate.generate(model, tokenizer, [prompt], LIMIT)[0] for prompt in prompts]
    assert together == alone
    # The model is as before: without the attention that reads a prefix.
    assert model.config._attn_implementation == "sdpa"


def test_a_row_that_ends_leaves_the_others_as_they_are(model: Any, tokenizer: Any) -> None:
    import torch

    from vox_assets.compute import generate

    prompts = sorted((chat_ids(tokenizer, p, asking=True) for p in asked(*QUESTIONS)), key=len)

    def answers(stop: set[int]) -> list[tuple[list[int], bool]]:
        with torch.inference_mode():
            steps = generate._decode(model, stop, prompts, LIMIT, None, None)
            return generate._collect(steps, len(prompts))

    whole = [tokens for tokens, _ in answers(set())]
    assert all(len(tokens) == LIMIT for tokens in whole)
    # A token of the first answer's middle ends it, and perhaps others at other places.
    end = whole[0][LIMIT // 2]
    for (tokens, ended), before in zip(answers({end}), whole, strict=True):
        assert ended == (end in before)
        assert tokens == (before[: before.index(end)] if ended else before)


def test_the_answers_of_each_batch_are_reported(
    model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vox_assets.compute import generate

    monkeypatch.setattr(generate, "CPU_ROWS", 3)
    batches: list[dict[int, Any]] = []
    answers = generate.generate(model, tokenizer, asked(*QUESTIONS), LIMIT, done=batches.append)
    assert [len(batch) for batch in batches] == [3, 1]
    assert {**batches[0], **batches[1]} == dict(enumerate(answers))
    assert generate.generate(model, tokenizer, [], LIMIT) == []


def test_samples_follow_their_seed_and_not_their_batch(model: Any, tokenizer: Any) -> None:
    from vox_assets.compute.generate import Sampling, generate

    def sample(seed: int, *questions: str) -> list[Any]:
        return generate(model, tokenizer, asked(*questions), LIMIT, Sampling(1.0, seed))

    first = sample(1, *QUESTIONS)
    assert first == sample(1, *QUESTIONS)
    assert first == [sample(1, question)[0] for question in QUESTIONS]
    assert first != sample(2, *QUESTIONS)


def test_tokens_are_drawn_by_their_probability() -> None:
    import torch

    from vox_assets.compute.generate import _draw

    logits = torch.log(torch.tensor([0.5, 0.0, 0.3, 0.2])).expand(1000, -1)
    numbers = (torch.arange(1000) + 0.5) / 1000
    counts = torch.bincount(_draw(logits, 1.0, numbers), minlength=4).tolist()
    assert counts == [500, 0, 300, 200]
    # A low temperature leaves the most probable token alone.
    assert _draw(logits, 0.05, numbers).eq(0).float().mean() > 0.99


def test_a_stream_gives_the_greedy_answer_in_parts(model: Any, tokenizer: Any) -> None:
    from vox_assets.compute.generate import generate, stream

    parts: list[str] = []
    [prompt] = asked(QUESTIONS[1])
    answer = stream(model, tokenizer, prompt, LIMIT, parts.append)
    assert [answer] == generate(model, tokenizer, [prompt], LIMIT)
    assert "".join(parts) == answer.text
    assert len([part for part in parts if part]) > 2
