"""Assets of the exam: its tasks, and the answers of base, base with help, adapter and serving."""

import dagster as dg
import polars as pl

from vox_assets.contract.verdict import Verdict
from vox_assets.exam import discriminate, sealed
from vox_assets.exam.decide import NAMES
from vox_assets.exam.draw import template_tasks
from vox_assets.exam.live import live_tasks
from vox_assets.exam.results import PASSED, pass_rates, shares
from vox_assets.exam.task import KINDS, Task, from_frame, to_frame
from vox_assets.extract import reader_of
from vox_assets.extract.live_programs import golden_programs
from vox_assets.mix.schema import TRAIN
from vox_assets.pipeline.adapter import GPU_POOL
from vox_assets.pipeline.check_result import report
from vox_assets.pipeline.corpus import failed_checks
from vox_assets.pipeline.metadata import OWNERS, picture, summary, table
from vox_assets.pipeline.resources.model_set import Models
from vox_assets.publish.exam_figures import constructs_by_rung, ladders
from vox_assets.publish.exam_report import shown_answers
from vox_assets.settings import Settings
from vox_assets.training.evaluation.exam_arms import answer_exam
from vox_assets.training.promote import current
from vox_assets.vox_syntax.frontend import BuiltInGrammar, FrontEnd, one_by_one

GROUP = "adapter"


@dg.asset(
    group_name=GROUP,
    kinds={"polars", "deltalake"},
    owners=OWNERS,
    code_version="1",
)
def exam_tasks(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    front_end: dg.ResourceParam[FrontEnd],
    doc_qa_pairs: pl.DataFrame,
    training_mix: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """Draws the tasks of the exam, with hidden calls and structural facts that decide a grade.

    No task is trained: its domain, variant, template file or source file is reserved.
    """
    profile, vox_fault = settings.profile, one_by_one(front_end)
    golden = (
        (f"{root.prefix}{program.path}", program.text)
        for root in settings.source_roots
        for program in golden_programs(root.directory)
        if not program.is_ui_module
    )
    tasks = [
        *template_tasks(profile.exam, profile.synthesis.seed, vox_fault, profile.dedup),
        *live_tasks(
            doc_qa_pairs,
            training_mix,
            profile,
            reader_of(settings.source_roots),
            golden,
            vox_fault,
        ),
    ]
    drawn = to_frame(tasks)
    context.log.info(f"{len(tasks)} tasks: {_counts(tasks)}")
    return dg.MaterializeResult(
        value=drawn,
        metadata={
            **summary(
                context,
                settings,
                rows_in=f"templates that are reserved for the exam, {doc_qa_pairs.height:,} of "
                f"doc_qa_pairs, {training_mix.height:,} of training_mix",
                rows_out=drawn.height,
                drops=None,
                how_good=f"{_counts(tasks)}; hidden calls decide {_share_run(tasks):.0%} of the "
                "template tasks",
                next_step="When exam_sealed and exam_discriminates pass, exam_answers lets the "
                "models answer.",
            ),
            **{f"tasks/{kind}": sum(task.kind == kind for task in tasks) for kind in KINDS},
            "template_tasks_decided_by_running": _share_run(tasks),
            "kinds": table(
                drawn.group_by("kind", "decided_by").len("tasks").sort("kind", "decided_by")
            ),
            "constructs": table(
                drawn.group_by("construct", "decided_by").len("tasks").sort("construct")
            ),
        },
    )


def _counts(tasks: list[Task]) -> str:
    return ", ".join(
        f"{sum(task.kind == kind for task in tasks)} {kind.replace('_', ' ')}" for kind in KINDS
    )


def _share_run(tasks: list[Task]) -> float:
    """Return the share of template tasks that hidden calls decide."""
    templates = [task for task in tasks if task.kind != "live"]
    run = sum(task.decided_by == "running" for task in templates)
    return round(run / max(1, len(templates)), 3)


@dg.asset(
    group_name=GROUP,
    kinds={"pytorch", "huggingface"},
    owners=OWNERS,
    code_version="1",
    pool=GPU_POOL,
)
def exam_answers(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    models: dg.ResourceParam[Models],
    front_end: dg.ResourceParam[FrontEnd],
    exam_tasks: pl.DataFrame,
    training_mix: pl.DataFrame,
    qlora_adapter: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """Answers the exam: base model without and with help, this adapter and the promoted adapter.

    Refuses an exam that is not sealed against the training mix or does not discriminate.
    """
    refused = failed_checks(context.instance, CHECK_KEYS)
    sealed_now = _sealed(settings, exam_tasks, training_mix)
    if not sealed_now.passed:
        refused.append(f"exam_sealed: {sealed_now.summary}: draw exam_tasks again")
    if refused:
        raise dg.Failure(
            description="; ".join(refused), metadata={"refused": refused}, allow_retries=False
        )
    digest = qlora_adapter["digest"].item()
    promoted = current(settings.adapters_dir)
    answers = answer_exam(
        from_frame(exam_tasks),
        settings.profile.exam,
        settings.profile.dedup,
        base=models.base,
        adapter=settings.adapters_dir / digest,
        serving=settings.adapters_dir / promoted["digest"] if promoted else None,
        examples=training_mix.filter(split=TRAIN),
        # The built-in grammar decides the rung `parses`; only a compiler adds a rung.
        checks=None if isinstance(front_end, BuiltInGrammar) else one_by_one(front_end),
        store=models.answers,
        log=context.log.info,
    )
    found = shares(answers)
    constructs = shares(answers, "construct").filter(arm="adapter")
    return dg.MaterializeResult(
        value=answers,
        metadata={
            **summary(
                context,
                settings,
                rows_in=f"{exam_tasks.height:,} tasks of exam_tasks for "
                f"{answers['arm'].n_unique():,} arms",
                rows_out=answers.height,
                drops=None,
                how_good=_reached(found),
                next_step="adapter_eval compares the arms by task and decides whether the adapter "
                "is promoted.",
            ),
            **{
                f"passed/{arm}": share
                for arm, share in found.filter(rung=PASSED).select("arm", "share").iter_rows()
            },
            "digest": digest,
            "shares": table(found),
            "kinds": table(shares(answers, "kind").filter(rung=PASSED)),
            **({"samples": table(pl.DataFrame(rates))} if (rates := pass_rates(answers)) else {}),
            "ladders": picture(ladders(found, NAMES)),
            "constructs": picture(constructs_by_rung(constructs)),
            "answers": table(_shown(exam_tasks, answers)),
        },
    )


def _reached(found: pl.DataFrame) -> str:
    """Name the share of tasks that each arm parses and passes."""
    return "; ".join(
        f"{rung} {', '.join(f'{NAMES[arm]} {share:.0%}' for arm, share in lines)}"
        for rung in ("parses", PASSED)
        if (lines := found.filter(rung=rung).select("arm", "share").rows())
    )


def _shown(tasks: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """Return a few answers with their prompts and verdicts as a table."""
    return pl.DataFrame(
        [
            {
                "verdict": item["label"],
                "prompt": item["messages"][0]["content"],
                "answer": item["messages"][1]["content"],
            }
            for item in shown_answers(tasks, answers)
        ],
        schema={"verdict": pl.String, "prompt": pl.String, "answer": pl.String},
    )


@dg.asset_check(
    asset="exam_tasks", blocking=True, additional_ins={"training_mix": dg.AssetIn("training_mix")}
)
def exam_sealed(
    settings: dg.ResourceParam[Settings], exam_tasks: pl.DataFrame, training_mix: pl.DataFrame
) -> dg.AssetCheckResult:
    """No task of the exam, nor a near copy of its prompt or its reference, is in a training row."""
    return report(_sealed(settings, exam_tasks, training_mix))


def _sealed(settings: Settings, tasks: pl.DataFrame, mix: pl.DataFrame) -> Verdict:
    return sealed.exam_sealed(from_frame(tasks), mix.filter(split=TRAIN), settings.profile.dedup)


@dg.asset_check(asset="exam_tasks", blocking=True)
def exam_discriminates(exam_tasks: pl.DataFrame) -> dg.AssetCheckResult:
    """References and equivalent rewrites pass the exam, and wrong answers fail it."""
    return report(discriminate.exam_discriminates(from_frame(exam_tasks)))


CHECKS = [exam_sealed, exam_discriminates]

#: Checks that must pass before anybody answers.
CHECK_KEYS = tuple(
    dg.AssetCheckKey(dg.AssetKey("exam_tasks"), name)
    for name in ("exam_sealed", "exam_discriminates")
)
