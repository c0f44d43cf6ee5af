"""The command `ask`: an answer of an adapter or of the base model on this machine."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vox_assets.cli.command import Commands, log
from vox_assets.cli.ids import UsageError, adapter_directory
from vox_assets.cli.tables import STANDARD
from vox_assets.extras import require
from vox_assets.settings import load_settings

if TYPE_CHECKING:
    from vox_assets.compute.models import LocalModel

#: Largest number of tokens of an answer: some sixty lines, more than most answers in training.
ANSWER_TOKENS = 512

_LANGUAGES = {".vox": "vox", ".ui": "vox", ".rs": "rust", ".md": "markdown"}
_BACKTICKS = re.compile(r"`{3,}")


def add(commands: Commands) -> None:
    """Add the command."""
    ask = commands.add(
        "ask",
        _ask,
        "answer a prompt with the promoted adapter on this machine, and check the answer as a Vox "
        "program",
        examples=[
            'ask "Write a Vox function that adds two numbers."',
            'ask "Write a test for this function:" --file add.vox > test.vox',
            'ask "What is an actor in Vox?" --base',
        ],
        codes={0: "the model answered", 1: "no model can answer, or the prompt is too long"},
    )
    ask.add_argument("prompt", metavar="PROMPT", help="what is asked; standard output has the code")
    model = ask.add_mutually_exclusive_group()
    model.add_argument(
        "--adapter",
        metavar="DIGEST",
        help="digest of another adapter than the promoted one, or its first characters",
    )
    model.add_argument("--base", action="store_true", help="ask the base model without an adapter")
    ask.add_argument(
        "--file",
        type=Path,
        metavar="PATH",
        help="add this file to the end of the prompt, as a code block; - is standard input",
    )


def _ask(options: argparse.Namespace) -> int:
    require("train")
    from vox_assets.compute.models import resolve_base_model
    from vox_assets.contract.rows import Message
    from vox_assets.pipeline.resources.frontend import front_end
    from vox_assets.store.progress import quiet_libraries

    prompt = _prompt(options.prompt, options.file)
    settings = load_settings()
    base = resolve_base_model(settings.base_model, settings.cache_dir)
    adapter = None if options.base else _adapter(options.adapter, settings.adapters_dir, base)
    log(f"{base.name}{'' if adapter is None else f' with adapter {adapter.name}'}")

    from vox_assets.compute.generate import stream
    from vox_assets.compute.tokens import chat_ids, load_tokenizer
    from vox_assets.training.evaluation.load import load_for_answers

    quiet_libraries()
    tokenizer = load_tokenizer(adapter or base.path)
    dialogue = [Message(role="user", content=prompt)]
    tokens = len(chat_ids(tokenizer, dialogue, asking=True))
    model = load_for_answers(base.path, adapter)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if context is not None and tokens + ANSWER_TOKENS > context:
        raise UsageError(
            f"the prompt has {tokens:,} tokens: expected at most {context - ANSWER_TOKENS:,}, "
            f"because {base.name} reads {context:,} with its answer"
        )
    answer = stream(model, tokenizer, dialogue, ANSWER_TOKENS, _show)
    print()
    if not answer.ended:
        log(f"cut off: the answer did not end within {ANSWER_TOKENS:,} tokens")
    checker = front_end(settings)
    [fault] = checker.check([answer.text])
    verdict = "a valid Vox program" if fault is None else f"not a valid Vox program: {fault}"
    log(f"{verdict} ({checker.name})")
    return 0


def _show(part: str) -> None:
    sys.stdout.write(part)
    sys.stdout.flush()


def _prompt(text: str, path: Path | None) -> str:
    """Return the prompt with the file as a code block, in the form that training rows have."""
    if not text.strip():
        raise UsageError("PROMPT is empty: expected a question or a task")
    try:
        text.encode()
        if path is None:
            return text
        content = sys.stdin.buffer.read() if path == STANDARD else path.read_bytes()
        code = content.decode().rstrip("\n")
    except UnicodeEncodeError as error:
        raise UsageError("PROMPT cannot be read as text in UTF-8") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} cannot be read as text in UTF-8: {error.reason}") from error
    longest = max(map(len, _BACKTICKS.findall(code)), default=2)
    fence = "`" * (longest + 1)
    language = "vox" if path == STANDARD else _LANGUAGES.get(path.suffix, "")
    return f"{text}\n\n{fence}{language}\n{code}\n{fence}"


def _adapter(digest: str | None, root: Path, base: LocalModel) -> Path:
    """Return the directory of an adapter that can answer, by default the promoted one."""
    from vox_assets.training.promote import PromotionError, current, known_adapters

    if digest is None:
        try:
            promoted = current(root)
        except PromotionError as error:
            raise UsageError(str(error)) from error
        if promoted is None:
            raise UsageError(
                f"no adapter is promoted: expected --base, or --adapter with one of: "
                f"{', '.join(known_adapters(root)) or f'(none below {root})'}"
            )
        digest = str(promoted["digest"])
    return adapter_directory(digest, root, base)
