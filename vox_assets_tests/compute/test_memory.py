"""Batches follow from the free memory, which the processes of a machine share."""

from __future__ import annotations

import pytest


def test_the_tokens_of_a_batch_follow_from_the_memory_of_the_card() -> None:
    from transformers import AutoConfig

    from vox_assets.compute.memory import CPU_BATCH_TOKENS, GPU_BATCH_TOKENS, fitting_tokens

    # Qwen2.5-1.5B keeps 144 KB per token of a layer.
    config = AutoConfig.for_model("qwen2", hidden_size=1536, intermediate_size=8960)
    mib = 2**20
    found = [fitting_tokens(config, memory * mib) for memory in (1, 1024, 2048, 4096, 80 * 1024)]
    assert found == [CPU_BATCH_TOKENS, 2048, 4096, 8192, GPU_BATCH_TOKENS]
    # A few bytes more or less change no batch, and with it no rounding of a score.
    assert fitting_tokens(config, 1900 * mib) == fitting_tokens(config, 1910 * mib)


def test_the_processes_of_a_machine_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from vox_assets.compute.memory import free_bytes

    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    alone = free_bytes("cpu")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    # Other programs take and free memory meanwhile.
    assert free_bytes("cpu") == pytest.approx(alone / 4, rel=0.3)
