"""The kernel equals the model's own loss and gradient, packed or padded."""

from __future__ import annotations

from typing import Any

import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.compute.tokens import MASKED, TokenRow, load_tokenizer, tokenise
from vox_assets.contract.rows import turns


@pytest.fixture(scope="module")
def model(tiny_base: LocalModel) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    from vox_assets.compute.nll import add_answer_nll

    loaded = AutoModelForCausalLM.from_pretrained(tiny_base.path, dtype=torch.float32)
    add_answer_nll(loaded)
    return loaded


@pytest.fixture(scope="module")
def token_rows(tiny_base: LocalModel) -> list[TokenRow]:
    tokenizer = load_tokenizer(tiny_base.path)
    return [
        tokenise(
            tokenizer, f"r{n}", turns(f"Write {n}.", "fn f() {}\n" * (n + 1), "More.", "x" * n)
        )
        for n in range(1, 7)
    ]


def own_loss(model: Any, row: TokenRow) -> float:
    import torch

    ids, labels = torch.tensor([row.input_ids]), torch.tensor([row.labels])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, :-1]
    return float(
        torch.nn.functional.cross_entropy(
            logits, labels[0, 1:], ignore_index=MASKED, reduction="sum"
        )
    )


def test_scores_equal_the_models_own_loss(model: Any, token_rows: list[TokenRow]) -> None:
    from vox_assets.compute.nll import score_rows, token_weighted

    scores = score_rows(model, token_rows)
    assert [score.pair_id for score in scores] == [row.pair_id for row in token_rows]
    for score, row in zip(scores, token_rows, strict=True):
        assert score.nll == pytest.approx(own_loss(model, row), rel=1e-4)
        assert score.tokens == row.answer_tokens
    total = sum(own_loss(model, row) for row in token_rows)
    assert token_weighted(scores) == pytest.approx(
        total / sum(row.answer_tokens for row in token_rows), rel=1e-4
    )


def test_packed_blocks_lose_nothing_and_mix_nothing(model: Any, token_rows: list[TokenRow]) -> None:
    import torch

    from vox_assets.training.program.trainer import collate_blocks

    def block(rows: list[TokenRow]) -> dict[str, list[int]]:
        return {
            "input_ids": [token for row in rows for token in row.input_ids],
            "labels": [label for row in rows for label in row.labels],
            "seq_lengths": [len(row.input_ids) for row in rows],
        }

    batch = collate_blocks(0)([block(token_rows[:4]), block(token_rows[4:])])
    assert batch.pop("block_tokens").sum() == sum(len(row.input_ids) for row in token_rows)
    with torch.no_grad():
        packed = float(model(**batch, answer_nll=True).sum())
    assert packed == pytest.approx(sum(own_loss(model, row) for row in token_rows), rel=1e-4)


def test_the_gradient_is_that_of_cross_entropy(model: Any, token_rows: list[TokenRow]) -> None:
    import torch

    from vox_assets.compute.nll import pad

    ids, labels, mask = pad(token_rows, "cpu")
    weight = model.model.layers[0].mlp.up_proj.weight
    head = model.lm_head.weight.requires_grad_(False)
    model(input_ids=ids, attention_mask=mask, labels=labels, answer_nll=True).sum().backward()
    ours, weight.grad = weight.grad.clone(), None
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].reshape(-1, head.shape[0])
    targets = labels[:, 1:].reshape(-1)
    torch.nn.functional.cross_entropy(
        logits, targets, ignore_index=MASKED, reduction="sum"
    ).backward()
    assert torch.allclose(ours, weight.grad, rtol=1e-3, atol=1e-5)


def test_a_head_with_a_transform_takes_the_models_own_logits(tiny_base: LocalModel) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from vox_assets.compute.nll import has_plain_head

    loaded = AutoModelForCausalLM.from_pretrained(tiny_base.path, dtype=torch.float32)
    assert has_plain_head(loaded)
    loaded.config.final_logit_softcapping = 30.0
    assert not has_plain_head(loaded)


def test_four_bit_layers_never_leave_training_mode(tiny_base: LocalModel) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from vox_assets.compute.nll import evaluating
    from vox_assets.training.adapter.assemble import quantisation

    quantised = AutoModelForCausalLM.from_pretrained(
        tiny_base.path, dtype=torch.bfloat16, quantization_config=quantisation(torch.bfloat16)
    )
    quantised.train()
    with evaluating(quantised):
        assert not quantised.training
        layer = quantised.model.layers[0].mlp.up_proj
        assert type(layer).__name__ == "Linear4bit" and layer.training
    assert quantised.training and layer.training
