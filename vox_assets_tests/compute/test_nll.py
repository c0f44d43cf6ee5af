"""The kernel computes the loss and gradient of the model itself, for packed and padded rows."""

from __future__ import annotations

from typing import Any

import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.compute.tokens import MASKED, TokenRow, load_tokenizer, tokenise
from vox_assets.contract.rows import turns
from vox_assets_tests.families import tiny_model


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


def reference_loss(model: Any, row: TokenRow) -> float:
    """Compute the summed loss of a row from the logits of the model."""
    import torch

    ids, labels = torch.tensor([row.input_ids]), torch.tensor([row.labels])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, :-1]
    return float(
        torch.nn.functional.cross_entropy(
            logits, labels[0, 1:], ignore_index=MASKED, reduction="sum"
        )
    )


def test_scores_equal_the_loss_of_the_model(model: Any, token_rows: list[TokenRow]) -> None:
    from vox_assets.compute.nll import score_rows, token_weighted

    scores = score_rows(model, token_rows)
    assert [score.pair_id for score in scores] == [row.pair_id for row in token_rows]
    for score, row in zip(scores, token_rows, strict=True):
        assert score.nll == pytest.approx(reference_loss(model, row), rel=1e-4)
        assert score.tokens == row.answer_tokens
    total = sum(reference_loss(model, row) for row in token_rows)
    assert token_weighted(scores) == pytest.approx(
        total / sum(row.answer_tokens for row in token_rows), rel=1e-4
    )


def test_packed_blocks_have_the_loss_of_the_separate_rows(
    model: Any, token_rows: list[TokenRow]
) -> None:
    import torch

    from vox_assets.training.program.blocks import as_block, packed_batch

    batch = packed_batch([as_block(token_rows[:4]), as_block(token_rows[4:])], 0)
    with torch.no_grad():
        packed = float(model(**batch, answer_nll=True).sum())
    assert packed == pytest.approx(sum(reference_loss(model, row) for row in token_rows), rel=1e-4)


def test_the_gradient_equals_that_of_cross_entropy(model: Any, token_rows: list[TokenRow]) -> None:
    import torch

    from vox_assets.compute.nll import pad

    ids, labels, mask = pad(token_rows, "cpu")
    weight = model.model.layers[0].mlp.up_proj.weight
    head = model.lm_head.weight.requires_grad_(False)
    model(input_ids=ids, attention_mask=mask, labels=labels, answer_nll=True).sum().backward()
    gradient, weight.grad = weight.grad.clone(), None
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].reshape(-1, head.shape[0])
    targets = labels[:, 1:].reshape(-1)
    torch.nn.functional.cross_entropy(
        logits, targets, ignore_index=MASKED, reduction="sum"
    ).backward()
    assert torch.allclose(gradient, weight.grad, rtol=1e-3, atol=1e-5)


def test_four_bit_layers_stay_in_training_mode(tiny_base: LocalModel) -> None:
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


def headed(architecture: str) -> Any:
    """Build a random model whose large head weights expose a missing logit transform."""
    import torch

    model = tiny_model(architecture)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(40.0)
    return model


PLAIN_HEADS = (
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "falcon",
    "gpt2",
    "gpt_neox",
    "opt",
    "phi3",
    "stablelm",
    "olmo2",
    "mamba",
)
# Families whose logits are scaled, capped, cut, biased or computed by a second layer, or whose
# base_model attribute is the model itself (llama4_text).
OTHER_HEADS = (
    "gemma2",
    "granite",
    "cohere",
    "phi",
    "recurrent_gemma",
    "modernbert-decoder",
    "inkling_text",
    "hyperclovax",
    "llama4_text",
)
FAMILIES = PLAIN_HEADS + OTHER_HEADS


@pytest.mark.parametrize("family", FAMILIES)
def test_exactly_the_plain_heads_are_recognised(family: str) -> None:
    from vox_assets.compute.nll import has_plain_head

    model = headed(family)
    assert has_plain_head(model) == (family in PLAIN_HEADS)
    # The comparison does not change the mode of any module.
    model.train()
    has_plain_head(model)
    assert all(module.training for module in model.modules())


def test_a_bfloat16_head_on_float32_states_uses_the_logits_of_the_model() -> None:
    import torch

    from vox_assets.compute.nll import add_answer_nll

    model = headed("mamba").bfloat16()
    ids = torch.arange(3, 15)[None]
    with torch.no_grad():
        expected = float(model(input_ids=ids, labels=ids).loss)
        add_answer_nll(model)
        nll = model(input_ids=ids, labels=ids, answer_nll=True)
    assert float(nll.mean()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_kernel_computes_the_loss_of_the_model(family: str) -> None:
    import torch

    from vox_assets.compute.nll import add_answer_nll

    model = headed(family)
    ids = torch.randint(3, 80, (2, 12), generator=torch.Generator().manual_seed(3))
    labels = ids.clone()
    labels[:, :5] = MASKED
    with torch.no_grad():
        expected = float(model(input_ids=ids, labels=labels).loss)
    add_answer_nll(model)
    with torch.inference_mode():
        nll = model(input_ids=ids, labels=labels, answer_nll=True)
    assert len(nll) == 14
    assert float(nll.mean()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_perplexity_of_an_answer_follows_from_the_loss_of_the_model(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np
    import torch

    from vox_assets.compute.nll import add_answer_nll
    from vox_assets.curate import perplexity

    model = headed(family)
    ids = [5, 9, 33, 71, 8, 40, 12]
    labels = torch.tensor([[MASKED] * 3 + ids[3:]])
    with torch.no_grad():
        expected = float(model(input_ids=torch.tensor([ids]), labels=labels).loss)
    add_answer_nll(model)
    monkeypatch.setattr(perplexity, "_network", lambda _model, _dtype: model)
    short = (np.array(ids[:4], np.int32), 2)
    result = perplexity._batch_nll([(np.array(ids, np.int32), 3), short], None, "float32")  # type: ignore[arg-type]
    assert result[0, 0] / result[0, 1] == pytest.approx(expected, rel=1e-4)
    assert result[:, 1].tolist() == [4.0, 2.0]


def test_a_confident_target_in_bfloat16_keeps_its_gradient() -> None:
    import torch

    from vox_assets.compute.nll import AnswerNll

    # Two tokens with the logits 7 and 0: the first has probability .99909, which bfloat16 rounds
    # to 1.
    hidden = torch.ones(1, 1, dtype=torch.bfloat16, requires_grad=True)
    head = torch.tensor([[7.0], [0.0]], dtype=torch.bfloat16)
    AnswerNll.apply(hidden, head, torch.tensor([0])).sum().backward()  # type: ignore[no-untyped-call]
    probability = float(torch.sigmoid(torch.tensor(7.0)))
    assert hidden.grad is not None
    assert float(hidden.grad) == pytest.approx(7 * (probability - 1), rel=0.01)


def test_the_kernel_reads_no_value_back_from_the_device() -> None:
    import torch

    from vox_assets.compute.nll import CHUNK_POSITIONS, AnswerNll

    # Tensors of this device have no values, so that a read fails: on a GPU it would wait.
    count = 3 * CHUNK_POSITIONS
    hidden = torch.empty(count, 16, device="meta", requires_grad=True)
    head = torch.empty(50, 16, device="meta")
    targets = torch.empty(count, dtype=torch.long, device="meta")
    with pytest.raises(RuntimeError, match="item"):
        bool(targets.any())
    AnswerNll.apply(hidden, head, targets).sum().backward()  # type: ignore[no-untyped-call]
    assert hidden.grad is not None and hidden.grad.shape == hidden.shape
