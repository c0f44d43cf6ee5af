"""Times batched greedy generation against `transformers`' `generate` as evaluations used it before.

The reference answers in batches of eight, through NF4 with a LoRA adapter beside it, as QLoRA
training holds the model. Ours answers all prompts with the adapter merged into bfloat16 or float32
weights. The note compares the answers of both programs on the same float32 weights, because greedy
answers of differently rounded weights differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from measuring import sample_evenly
from timing import Result, alternate_calls, compare_medians

from vox_assets.compute.models import LocalModel, preferred_dtype
from vox_assets.contract.rows import Message

#: Prompts of our side, as many as the demo's exam has tasks, and of the reference: one batch.
PROMPTS = 40
REFERENCE_PROMPTS = 8
#: Largest number of tokens of an answer.
ANSWER_TOKENS = 64
#: Longest prompt: rows of the input may ask with a whole file.
PROMPT_CHARACTERS = 600
#: Prompts and tokens on which the answers are compared.
COMPARED_PROMPTS = 8
COMPARED_TOKENS = 24


def generation(rows: pl.DataFrame, model: LocalModel, scratch: Path) -> tuple[Result, str]:
    """Compare the seconds per thousand generated tokens."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from vox_assets.compute.generate import generate
    from vox_assets.compute.tokens import load_tokenizer
    from vox_assets.training.adapter.assemble import quantisation
    from vox_assets.training.evaluation.load import load_for_answers

    dtype = getattr(torch, preferred_dtype())
    tokenizer = load_tokenizer(model.path)
    short = rows.filter(pl.col("prompt").str.len_chars() <= PROMPT_CHARACTERS)
    prompts = [
        [Message(role="user", content=text)] for text in sample_evenly(short, PROMPTS)["prompt"]
    ]
    quantised = AutoModelForCausalLM.from_pretrained(
        model.path, dtype=dtype, quantization_config=quantisation(dtype)
    )
    adapted = get_peft_model(quantised, LoraConfig(r=16, target_modules="all-linear"))
    adapted.save_pretrained(scratch / "adapter")
    merged = load_for_answers(model.path, scratch / "adapter")
    ours, theirs, our_answers, their_answers = alternate_calls(
        lambda: [answer.text for answer in generate(merged, tokenizer, prompts, ANSWER_TOKENS)],
        lambda: _library(adapted, tokenizer, prompts[:REFERENCE_PROMPTS], ANSWER_TOKENS),
    )
    our_tokens, their_tokens = (
        sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)
        for texts in (our_answers, their_answers)
    )
    result = compare_medians(
        "generation",
        [seconds * 1000 / our_tokens for seconds in ours],
        f"transformers generate in NF4, seconds per thousand tokens, {len(prompts)} prompts",
        [seconds * 1000 / their_tokens for seconds in theirs],
        target=0.33,
    )
    plain = AutoModelForCausalLM.from_pretrained(model.path, dtype=torch.float32).eval()
    few = prompts[:COMPARED_PROMPTS]
    answers = [answer.text for answer in generate(plain, tokenizer, few, COMPARED_TOKENS)]
    others = _library(plain, tokenizer, few, COMPARED_TOKENS)
    equal = sum(answer == other for answer, other in zip(answers, others, strict=True))
    note = (
        f"generation: {1000 / result.ours_s:.0f} and {1000 / result.reference_s:.0f} tokens per "
        f"processor second; in float32, {equal} of {len(few)} answers equal those of transformers"
    )
    return result, note


def _library(
    model: Any, tokenizer: Any, prompts: list[list[Message]], max_tokens: int
) -> list[str]:
    """Answer in one batch as the documentation of `transformers` shows, padded on the left."""
    import torch

    from vox_assets.compute.nll import evaluating

    tokenizer.padding_side = "left"
    batch = tokenizer.apply_chat_template(
        prompts, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
    )
    with evaluating(model), torch.no_grad():
        made = model.generate(**batch, max_new_tokens=max_tokens, do_sample=False)
    texts = tokenizer.batch_decode(made[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return [text.strip() for text in texts]
