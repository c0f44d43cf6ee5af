"""The command `exam`: lets an adapter or a served model sit the exam, or grades a file."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vox_assets.cli.command import Commands, log
from vox_assets.cli.ids import UsageError, adapter_directory
from vox_assets.cli.tables import STANDARD
from vox_assets.extras import require
from vox_assets.settings import Settings, load_settings, remote_model

if TYPE_CHECKING:
    import polars as pl

    from vox_assets.contract.verdict import Verdict
    from vox_assets.exam.task import Task
    from vox_assets.profiles import Exam
    from vox_assets.store.lake import Lake


def add(commands: Commands) -> None:
    """Add the command."""
    exam = commands.add(
        "exam",
        sit_exam,
        "let an adapter or a served model sit the exam of the last build, and print its ladder",
        examples=[
            "exam",
            "exam 51a0 --json",
            "exam --endpoint http://127.0.0.1:8000/v1 --model my-model",
            "exam --answers answers.jsonl",
        ],
        codes={
            0: "the adapter is better than its base model, with and without help; of a served "
            "model or a file, it answered",
            1: "it is not, or too few tasks can tell, or not all tasks were answered",
        },
    )
    exam.add_argument(
        "digest",
        metavar="DIGEST",
        nargs="?",
        help="digest of the adapter, or its first characters; default: the adapter of the last "
        "build",
    )
    others = exam.add_mutually_exclusive_group()
    others.add_argument(
        "--endpoint",
        metavar="URL",
        help="let the model of an OpenAI-compatible server answer; VOX_LLM_API_KEY has its key",
    )
    others.add_argument(
        "--answers",
        type=Path,
        metavar="FILE",
        help="grade the answers that another runner collected: JSON lines with `task_id` and "
        "`answer`, and `ended`, which is false for a cut answer; - is standard input",
    )
    exam.add_argument("--model", metavar="NAME", help="name of the model behind --endpoint")
    exam.add_argument("--json", action="store_true", help="print one JSON object with all figures")


def sit_exam(options: argparse.Namespace) -> int:
    """Collect, grade and print the answers to the tasks of the lake."""
    by_adapter = options.endpoint is None and options.answers is None
    require("pipeline", *(["train"] if by_adapter else ["llm"] if options.endpoint else []))
    from vox_assets.exam.results import figures, shares
    from vox_assets.exam.task import from_frame
    from vox_assets.publish.exam_report import ladder_lines, sample_lines
    from vox_assets.store.lake import Lake

    if (options.endpoint is None) != (options.model is None):
        raise UsageError("--endpoint and --model: expected both or neither")
    if options.digest is not None and (options.endpoint or options.answers) is not None:
        raise UsageError("DIGEST, --endpoint and --answers: expected one of them")
    settings = load_settings()
    lake = Lake(settings.lake_uri)
    try:
        tasks = from_frame(lake.read("exam_tasks"))
    except ValueError as error:
        raise UsageError(f"{error}: expected tasks of this version: build exam_tasks") from error
    if not tasks:
        raise UsageError("exam_tasks: has no tasks: expected a profile whose exam has some")
    policy = settings.profile.exam
    verdict = None
    if options.endpoint is not None:
        answers = _of_endpoint(options, settings, tasks)
    elif options.answers is not None:
        answers = _of_file(options.answers, settings, tasks)
    else:
        answers = _of_adapter(options, settings, lake, tasks)
        verdict = _verdict(answers, policy)
    found = figures(answers, policy.rungs)
    if options.json:
        if verdict is not None:
            found["verdict"] = {"outcome": verdict.outcome, "reason": verdict.summary}
        print(json.dumps(found, indent=1, sort_keys=True))
    else:
        print("\n".join(ladder_lines(shares(answers))))
        print("\n".join(["", *ladder_lines(shares(answers, "kind"), by="kind")]))
        if found["pass_at"]:
            print("\n".join(["", *sample_lines(found["pass_at"])]))
        if verdict is not None:
            print(f"\nbetter than the base model: {verdict.outcome}: {verdict.summary}")
    return 0 if verdict is None or verdict.passed else 1


def _verdict(answers: pl.DataFrame, policy: Exam) -> Verdict:
    from vox_assets.exam.decide import beats_untrained
    from vox_assets.exam.results import differences

    return beats_untrained(differences(answers, policy.rungs), policy)


def _of_adapter(
    options: argparse.Namespace, settings: Settings, lake: Lake, tasks: list[Task]
) -> pl.DataFrame:
    from vox_assets.compute.models import resolve_base_model
    from vox_assets.mix.schema import TRAIN
    from vox_assets.store.cache import BlobCache
    from vox_assets.store.progress import quiet_libraries
    from vox_assets.training.evaluation.exam_arms import ANSWERS_CACHE, answer_exam
    from vox_assets.training.promote import PromotionError, current

    quiet_libraries()
    root = settings.adapters_dir
    base = resolve_base_model(settings.base_model, settings.cache_dir)
    digest = options.digest
    if digest is None:
        digest = lake.read("qlora_adapter")["digest"].item()
    adapter = adapter_directory(digest, root, base)
    try:
        promoted = current(root)
    except PromotionError as error:
        raise UsageError(str(error)) from error
    return answer_exam(
        tasks,
        settings.profile.exam,
        settings.profile.dedup,
        base=base,
        adapter=adapter,
        serving=root / promoted["digest"] if promoted else None,
        examples=lake.read("training_mix").filter(split=TRAIN),
        checks=_checks(settings),
        store=BlobCache(settings.cache_dir / ANSWERS_CACHE, settings.cache_limit),
        log=log,
    )


def _of_endpoint(
    options: argparse.Namespace, settings: Settings, tasks: list[Task]
) -> pl.DataFrame:
    from vox_assets.endpoint.client import Endpoint
    from vox_assets.endpoint.wire import EndpointError
    from vox_assets.store.cache import BlobCache
    from vox_assets.training.evaluation.exam_arms import answer_by_endpoint

    key = os.environ.get("VOX_LLM_API_KEY") or None
    remote = remote_model(options.endpoint, options.model, key, "--endpoint")
    replies = BlobCache(settings.cache_dir / "endpoint.sqlite", settings.cache_limit)
    try:
        return answer_by_endpoint(
            tasks,
            settings.profile.exam,
            Endpoint(remote, replies),
            settings.profile.judge.budget,
            _checks(settings),
            log,
        )
    except EndpointError as error:
        raise UsageError(f"--endpoint: {error}") from error


def _of_file(path: Path, settings: Settings, tasks: list[Task]) -> pl.DataFrame:
    from vox_assets.exam.sit import graded, read_answers

    try:
        content = sys.stdin.buffer.read() if path == STANDARD else path.read_bytes()
        texts = read_answers(content.decode(), tasks)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    return graded(tasks, texts, arm="served", model=path.name, checks=_checks(settings))


def _checks(settings: Settings) -> Callable[[str], str | None] | None:
    """Return what asks the compiler of the settings, or None without one."""
    from vox_assets.vox_syntax.compiler import Compiler
    from vox_assets.vox_syntax.frontend import one_by_one

    if settings.compiler is None:
        return None
    return one_by_one(Compiler(settings.compiler, settings.search_path))
