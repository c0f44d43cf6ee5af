"""`exam` lets adapters and served models sit the exam of a lake; its exit code is the verdict."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from vox_assets.cli import main
from vox_assets.compute.models import LocalModel, resolve_base_model
from vox_assets.endpoint.wire import Patience
from vox_assets.exam.task import Task, to_frame
from vox_assets.store.lake import Lake
from vox_assets.training.adapter import manifest
from vox_assets.training.plan.spec import TrainingSpec
from vox_assets_tests.exam.test_task import TASK
from vox_assets_tests.scripted_server import Act, errs, says, serve

#: Tasks of several template files: an interval is over files.
TASKS = [
    TASK,
    *(
        replace(
            TASK,
            prompt=f"Write `{name}(n: int) to int`.",
            reference=TASK.reference.replace("twice", name),
            declarations=(replace(TASK.declarations[0], name=name),),
            calls=(replace(TASK.calls[0], steps=(f"{name}(2)",)),),
            kind="live",
            source_path=f"docs/{name}.md",
        )
        for name in ("double", "doubled", "both", "again")
    ),
]
REFERENCES = {task.prompt: task.reference for task in TASKS}


@pytest.fixture
def data(
    tmp_path: Path, mixed: pl.DataFrame, tiny_base: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Write a lake with an exam and a mix; return the data directory."""
    monkeypatch.setenv("VOX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("VOX_BASE_MODEL", str(tiny_base.path))
    for name in ("VOX_PROFILE", "VOX_SOURCE_DIR", "VOX_LLM_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    # Short waits between tries; what is tried again is unchanged.
    monkeypatch.setattr(Patience.__init__, "__defaults__", (20.0, 2, 0.01, 2.0))
    write_tasks(tmp_path, TASKS)
    lake = Lake(str(tmp_path / "lake"))
    lake.write("training_mix", mixed)
    return tmp_path


def write_tasks(data: Path, tasks: list[Task]) -> None:
    Lake(str(data / "lake")).write("exam_tasks", to_frame(tasks))


@pytest.fixture
def adapter(data: Path, trained: TrainingSpec, tiny_base: LocalModel) -> Path:
    """Write an adapter of the base as that of the last build; return its folder."""
    folder = data / "adapters" / "ab12"
    shutil.copytree(trained.adapter_dir, folder)
    content = manifest.read_manifest(folder)
    found = resolve_base_model(str(tiny_base.path), data).fingerprint
    content["base_model"] |= {"fingerprint": found}
    manifest.write_manifest(folder, content | {"digest": "ab12"})
    Lake(str(data / "lake")).write("qlora_adapter", pl.DataFrame({"digest": ["ab12"]}))
    return folder


def test_an_adapter_that_is_not_better_fails_and_its_ladder_is_printed(
    adapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["exam"]) == 1
    printed = capsys.readouterr()
    rungs, kinds, verdict = printed.out.split("\n\n")
    assert rungs.splitlines()[0].split() == ["rung", *"base base with help adapter".split()]
    assert [line.split()[0] for line in rungs.splitlines()[1:]] == [
        *("ends", "code", "parses", "declares", "behaves", "passed")
    ]
    assert rungs.splitlines()[-1].count("of 5") == 3
    assert [line.split()[0] for line in kinds.splitlines()] == ["kind", "familiar", "live"]
    assert "of 1" in kinds.splitlines()[1] and "of 4" in kinds.splitlines()[2]
    assert verdict.startswith("better than the base model: ")
    assert "adapter passes 0 of 5 tasks" in printed.err
    assert "Loading weights" not in printed.err

    assert main(["exam", "ab", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["tasks"] == 5
    assert found["verdict"]["outcome"] in verdict
    assert {line["arm"] for line in found["shares"]} == {"base", "base_with_help", "adapter"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ee"], "ee: no such adapter below"),
        ([""], "the id of the adapter is empty"),
        (["ab12", "--endpoint", "http://127.0.0.1:9/v1", "--model", "m"], "expected one of them"),
        (["--endpoint", "http://127.0.0.1:9/v1"], "expected both or neither"),
        (["--model", "m"], "expected both or neither"),
        (["--endpoint", "127.0.0.1:9", "--model", "m"], "--endpoint: not an http or https URL"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(
    adapter: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["exam", *arguments]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err and printed.err.count("\n") == 1


def test_an_adapter_that_cannot_answer_is_refused_in_one_line(
    adapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (adapter.parent / "promoted.json").write_text("{")
    assert main(["exam"]) == 1
    assert "promoted.json cannot be read" in capsys.readouterr().err.splitlines()[-1]
    content = manifest.read_manifest(adapter)
    content["base_model"] |= {"fingerprint": "other"}
    manifest.write_manifest(adapter, content)
    assert main(["exam"]) == 1
    assert "adapter ab12 cannot answer: it was trained on" in capsys.readouterr().err
    shutil.rmtree(adapter)
    assert main(["exam"]) == 1
    assert "ab12: no such adapter below" in capsys.readouterr().err


def test_an_adapter_whose_training_saw_every_task_is_undecided(
    adapter: Path, mixed: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    path = mixed.filter(split="train")["source_path"][0]
    write_tasks(adapter.parents[1], [replace(task, source_path=path) for task in TASKS[1:]])
    assert main(["exam"]) == 1
    assert "better than the base model: undecided" in capsys.readouterr().out


def test_a_lake_without_an_exam_is_refused_in_one_line(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused() -> str:
        assert main(["exam"]) == 1
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err.count("\n") == 1
        return printed.err

    assert "qlora_adapter is not built yet" in refused()
    lake = Lake(str(data / "lake"))
    lake.write("exam_tasks", to_frame(TASKS).drop("facts"))
    assert "exam_tasks: has no column facts: expected tasks of this version" in refused()
    lake.write("exam_tasks", to_frame(TASKS).with_columns(pl.lit("x").alias("prompt")))
    assert f"exam task {TASKS[0].task_id}: its content has the digest" in refused()
    write_tasks(data, [])
    assert "exam_tasks: has no tasks" in refused()
    shutil.rmtree(data / "lake")
    assert "exam_tasks is not built yet" in refused()


def sat(url: str, *arguments: str) -> int:
    return main(["exam", "--endpoint", url, "--model", "scripted", *arguments])


def answering(answer: Callable[[str], str]) -> Callable[[int, dict[str, Any]], Act]:
    return lambda _, body: says(answer(body["messages"][-1]["content"]))


def test_a_served_model_gets_the_prompts_of_the_other_arms_and_its_ladder_is_printed(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOX_LLM_API_KEY", "vk-4f9a81c2e7d64b0f93aa")
    with serve(answering(REFERENCES.__getitem__)) as server:
        assert sat(server.url) == 0
        printed = capsys.readouterr()
        assert sat(server.url, "--json") == 0
    assert server.requests == 5
    body = server.bodies[0]
    assert body["messages"] == [{"role": "user", "content": TASK.prompt}]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("scripted", 0.0, 160)
    assert "response_format" not in body
    assert server.headers[0]["authorization"] == "Bearer vk-4f9a81c2e7d64b0f93aa"
    passed = next(line for line in printed.out.splitlines() if line.startswith("passed"))
    assert passed.split()[1:] == ["100%", "[57,", "100]", "of", "5"]
    assert "better than" not in printed.out and "fences" not in printed.err
    found = json.loads(capsys.readouterr().out)
    assert "verdict" not in found
    assert found["shares"][-1]["arm"] == "served" and found["shares"][-1]["share"] == 1.0


@pytest.mark.parametrize(
    ("wrap", "reached", "line"),
    [
        ("```vox\n{}\n```", "ends", "5 of 5 answers have fences"),
        ('{{"code": "{}"}}', "code only", ""),
        ("Here is the program that you want:\n{}", "ends", ""),
    ],
)
def test_a_served_answer_with_more_than_code_reaches_the_rung_that_it_reaches_elsewhere(
    data: Path, capsys: pytest.CaptureFixture[str], wrap: str, reached: str, line: str
) -> None:
    with serve(answering(lambda prompt: wrap.format(REFERENCES[prompt]))) as server:
        assert sat(server.url) == 0
    printed = capsys.readouterr()
    shares = {line[:12].strip(): line[12:].split()[0] for line in printed.out.splitlines()[1:7]}
    holds = [rung for rung in shares if shares[rung] == "100%"]
    assert holds[-1] == reached and shares["passed"] == "0%"
    assert line in printed.err
    assert "fences" not in printed.err or line


def test_an_answer_that_the_limit_cuts_off_does_not_end(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(lambda *_: says(TASK.reference, finish_reason="length")) as server:
        assert sat(server.url) == 0
    ends = capsys.readouterr().out.splitlines()[1]
    assert ends.split()[:2] == ["ends", "0%"]


def test_a_server_that_dies_leaves_no_ladder_and_the_next_run_asks_only_the_rest(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alive = True

    def dying(number: int, body: dict[str, Any]) -> Act:
        if not alive and body["messages"][-1]["content"] != TASK.prompt:
            return errs(503, "going away")
        return says(REFERENCES[body["messages"][-1]["content"]])

    with serve(dying) as server:
        alive = False
        assert sat(server.url) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        last = printed.err.splitlines()[-1]
        assert last.startswith("vox-assets: --endpoint: no reply to 4 of 5 tasks: ")
        assert "HTTP 503 (going away)" in last
        alive = True
        before = server.requests
        assert sat(server.url) == 0
        assert server.requests - before == 4
    assert "100% [57, 100] of 5" in capsys.readouterr().out


def test_without_a_server_there_is_no_ladder(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(answering(str)) as server:
        pass
    assert sat(server.url) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "no reply to 5 of 5 tasks: " in printed.err.splitlines()[-1]
    assert "no connection" in printed.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (errs(401, "bad key vk-secret-0123456789"), "refuses the model 'scripted' or its key"),
        (errs(404, "no such route"), "HTTP 404 (no such route)"),
        (Act(200, "<html>a page</html>"), "the reply is not a chat completion"),
    ],
)
def test_a_wrong_key_model_or_address_is_one_line_without_the_key(
    data: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    act: Act,
    message: str,
) -> None:
    monkeypatch.setenv("VOX_LLM_API_KEY", "vk-secret-0123456789")
    with serve(lambda *_: act) as server:
        assert sat(server.url) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-1].startswith("vox-assets: --endpoint: ")
    assert message in printed.err.splitlines()[-1]
    assert "vk-secret" not in printed.err
