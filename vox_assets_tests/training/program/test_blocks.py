"""Packed rows do not see one another, and models whose layers cannot keep them apart are found."""

from __future__ import annotations

from typing import Any

import pytest

from vox_assets.compute.tokens import MASKED, TokenRow
from vox_assets_tests.families import FAMILIES, tiny_model

ATTENTION_ONLY = (*sorted({family.architecture for family in FAMILIES.values()}), "gpt2", "olmo2")
#: Recurrent or convolutional layers, and Falcon, whose attention ignores the positions.
MIXING = ("falcon", "falcon_h1", "lfm2", "mamba", "qwen3_next", "recurrent_gemma")


def rows(*sizes: int) -> list[TokenRow]:
    """Make rows of random tokens; the second half of each is the answer."""
    import torch

    generator = torch.Generator().manual_seed(3)
    made = []
    for number, size in enumerate(sizes):
        ids = torch.randint(3, 90, (size,), generator=generator).tolist()
        labels = [MASKED] * (size // 2) + ids[size // 2 :]
        made.append(TokenRow(str(number), ids, labels))
    return made


def prepared(architecture: str, dtype: str = "float32", **changes: Any) -> Any:
    import torch

    from vox_assets.compute.nll import add_answer_nll

    sizes = "n_positions" if architecture == "gpt2" else "max_position_embeddings"
    model = tiny_model(architecture, **{sizes: 128}, **changes).to(getattr(torch, dtype))
    add_answer_nll(model)
    return model


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("architecture", ATTENTION_ONLY)
def test_a_packed_row_has_the_logits_of_the_row_alone(
    architecture: str, implementation: str
) -> None:
    import torch

    from vox_assets.training.program.blocks import as_block, packed_batch

    if architecture == "gemma2" and implementation == "sdpa":
        pytest.skip("gemma2 caps its attention scores, so transformers does not load it with sdpa")
    model = prepared(architecture, attn_implementation=implementation)
    parts = rows(17, 23, 9)
    batch = packed_batch([as_block(parts), as_block(parts[1:])], 0)
    del batch["labels"]
    with torch.no_grad():
        packed = model(**batch, use_cache=False).logits
        start = 0
        for row in parts:
            alone = model(input_ids=torch.tensor([row.input_ids])).logits[0]
            inside = packed[0, start : start + len(row.input_ids)]
            assert torch.allclose(inside, alone, atol=1e-5), architecture
            start += len(row.input_ids)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("architecture", [*ATTENTION_ONLY, *MIXING])
def test_models_whose_packed_rows_mix_are_found(architecture: str, dtype: str) -> None:
    from vox_assets.training.program.blocks import rows_mix

    reason = rows_mix(prepared(architecture, dtype), rows(40, 70))
    assert (reason is not None) == (architecture in MIXING), reason


@pytest.mark.parametrize("architecture", ["llama", *MIXING])
def test_separate_rows_have_the_loss_of_each_row_alone(architecture: str) -> None:
    import torch

    from vox_assets.training.program.blocks import as_block, separate_batch

    model = prepared(architecture)
    parts = rows(17, 23, 9)
    batch = separate_batch([as_block(parts[:2]), as_block(parts[2:])], 0)
    assert batch["input_ids"].shape == (3, 23)
    with torch.no_grad():
        together = float(model(**batch, answer_nll=True).sum())
        alone = sum(
            float(
                model(
                    input_ids=torch.tensor([row.input_ids]),
                    labels=torch.tensor([row.labels]),
                    answer_nll=True,
                ).sum()
            )
            for row in parts
        )
    assert together == pytest.approx(alone, rel=1e-5)
