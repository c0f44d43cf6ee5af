"""The kernel computes the loss and gradient of the model itself, for packed and padded rows."""

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


def _tiny(family: str) -> Any:
    """Build a random model of two layers; large head weights expose a missing logit transform."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes: dict[str, Any] = {
        "vocab_size": 96,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    transforms: dict[str, dict[str, Any]] = {
        "gemma2": {"final_logit_softcapping": 5.0},
        "granite": {"logits_scaling": 8.0},
        "cohere": {"logit_scale": 0.0625},
        "opt": {"word_embed_proj_dim": 16, "ffn_dim": 64},
        "recurrent_gemma": {
            "logits_soft_cap": 5.0,
            "num_hidden_layers": 3,
            "lru_width": 32,
            "attention_window_size": 16,
        },
        "modernbert-decoder": {"decoder_bias": False, "cls_token_id": 1, "sep_token_id": 2},
        "inkling_text": {"unpadded_vocab_size": 80, "logits_mup_width_multiplier": 8.0},
        "hyperclovax": {"logits_scaling": 0.2},
        "mamba": {"state_size": 4},
    }
    if family == "gpt2":
        sizes = {k: sizes[k] for k in ("vocab_size", "bos_token_id", "eos_token_id")}
        sizes |= {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}
    if family == "falcon":
        del sizes["head_dim"]
    torch.manual_seed(7)
    config = AutoConfig.for_model(family, **sizes | transforms.get(family, {}))
    model = AutoModelForCausalLM.from_config(config).float().eval()
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

    model = _tiny(family)
    assert has_plain_head(model) == (family in PLAIN_HEADS)
    # The comparison does not change the mode of any module.
    model.train()
    has_plain_head(model)
    assert all(module.training for module in model.modules())


def test_a_bfloat16_head_on_float32_states_uses_the_logits_of_the_model() -> None:
    import torch

    from vox_assets.compute.nll import add_answer_nll

    model = _tiny("mamba").bfloat16()
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

    model = _tiny(family)
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

    model = _tiny(family)
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
