"""`exam` lets adapters and served models sit the exam of a lake; its exit code is the verdict."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from vox_assets.cli import main
from vox_assets.compute.models import LocalModel, RemoteModel, resolve_base_model
from vox_assets.contract.rows import Message
from vox_assets.endpoint.client import Endpoint
from vox_assets.endpoint.wire import Patience
from vox_assets.exam.task import Task, to_frame
from vox_assets.profiles import Budget, load
from vox_assets.publish.exam import write_exam
from vox_assets.store.cache import BlobCache
from vox_assets.store.lake import Lake
from vox_assets.training.adapter import manifest
from vox_assets.training.evaluation.exam_arms import answer_by_endpoint
from vox_assets.training.plan.spec import TrainingSpec
from vox_assets_tests.exam.test_task import TASK
from vox_assets_tests.model_server import serve_model
from vox_assets_tests.scripted_server import Act, errs, says, serve
from vox_assets_tests.small_corpus import untied

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


#: A budget that allows no request: every reply must be in the store.
NOTHING = Budget(requests=0, tokens=0, concurrency=1)


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
    assert "Loading weights" not in printed.err and "deprecated" not in printed.err

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
        (["ab12", "--answers", "answers.jsonl"], "expected one of them"),
        (["--answers", "absent.jsonl"], "absent.jsonl: No such file or directory"),
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
    # Questions are sent at once, so that they arrive in any order.
    [body] = [body for body in server.bodies if TASK.prompt in str(body)]
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


@pytest.mark.slow
def test_a_real_server_gives_the_answers_that_the_same_model_gives_here(
    data: Path, tiny_base: LocalModel, capsys: pytest.CaptureFixture[str]
) -> None:
    from vox_assets.compute.generate import generate
    from vox_assets.compute.tokens import load_tokenizer
    from vox_assets.training.evaluation.load import load_for_answers

    model = data / "model"
    untied(tiny_base, model)
    prompts = [[Message(role="user", content=task.prompt)] for task in TASKS]
    here = generate(load_for_answers(model), load_tokenizer(model), prompts, 160)
    assert len({answer.text for answer in here}) > 2
    with serve_model(model, data / "log") as url:
        assert main(["exam", "--endpoint", url, "--model", str(model)]) == 0
        assert main(["exam", "--endpoint", url, "--model", "absent"]) == 1
    printed = capsys.readouterr()
    assert "absent" in printed.err.splitlines()[-1] and "HTTP 400" in printed.err.splitlines()[-1]
    endpoint = Endpoint(RemoteModel(url, str(model)), BlobCache(data / "cache" / "endpoint.sqlite"))
    stored = answer_by_endpoint(TASKS, load("sample").exam, endpoint, NOTHING, None)
    assert stored["answer"].to_list() == [answer.text for answer in here]
    assert stored["ended"].to_list() == [answer.ended for answer in here]


#: A runner that needs nothing of this package: exported tasks in, lines of answers out.
RUNNER = """\
import json, sys, urllib.request

tasks, url, out = sys.argv[1:]
with open(tasks, encoding="utf-8") as lines, open(out, "w", encoding="utf-8") as answers:
    for line in lines:
        task = json.loads(line)
        asked = {
            "model": "any",
            "temperature": 0,
            "max_tokens": 160,
            "messages": [{"role": "user", "content": task["prompt"]}],
        }
        request = urllib.request.Request(
            url + "/chat/completions",
            json.dumps(asked).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as reply:
            choice = json.load(reply)["choices"][0]
        answer = {
            "task_id": task["task_id"],
            "answer": choice["message"]["content"],
            "ended": choice["finish_reason"] != "length",
        }
        answers.write(json.dumps(answer) + "\\n")
"""


def test_a_script_of_the_standard_library_runs_the_exported_exam(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_exam(to_frame(TASKS), data / "exam")
    answers = data / "answers.jsonl"

    def cut_once(number: int, body: dict[str, Any]) -> Act:
        reference = REFERENCES[body["messages"][-1]["content"]]
        return says(reference, finish_reason="length" if number == 4 else "stop")

    with serve(cut_once) as server:
        script = [sys.executable, "-I", "-S", "-c", RUNNER]
        subprocess.run(
            [*script, str(data / "exam" / "tasks.jsonl"), server.url, str(answers)], check=True
        )
    assert main(["exam", "--answers", str(answers), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["shares"][-1]["rung"] == "passed" and found["shares"][-1]["reached"] == 4
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(answers.read_bytes())))
    assert main(["exam", "--answers", "-"]) == 0
    assert "80% [38, 96] of 5" in capsys.readouterr().out


LINES = [json.dumps({"task_id": task.task_id, "answer": task.reference}) for task in TASKS]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (LINES[:-1], "has no answer to 1 of 5 tasks"),
        ([*LINES, LINES[0]], f"line 6: answers task {TASK.task_id} again"),
        ([*LINES, "", '{"task_id": "ee", "answer": ""}'], "line 7: no task 'ee' in this exam"),
        (["{"], "line 1: line: Invalid JSON"),
        (["[" * 100_000], "line 1: line: Invalid JSON"),
        (['{"task_id": "ee"}'], "line 1: answer: Field required"),
        (['{"task_id": "ee", "answer": null}'], "line 1: answer: Input should be a valid string"),
        (['{"task_id": "ee", "answer": "\\ud800"}'], "line 1: line: Invalid JSON"),
        (["\udcff"], "can't decode byte 0xff"),
    ],
)
def test_a_file_that_does_not_answer_every_task_once_is_refused_in_one_line(
    data: Path, capsys: pytest.CaptureFixture[str], lines: list[str], message: str
) -> None:
    path = data / "answers.jsonl"
    path.write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    assert main(["exam", "--answers", str(path)]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith(f"vox-assets: {path}: ") and message in printed.err


def test_an_answer_in_a_file_may_have_any_separator_of_lines_in_its_text(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = data / "answers.jsonl"
    written = [
        {"task_id": task.task_id, "answer": f"{task.reference}\n// a\u2028b\x85c"} for task in TASKS
    ]
    path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in written))
    assert main(["exam", "--answers", str(path)]) == 0
    assert "100% [57, 100] of 5" in capsys.readouterr().out


#: Grades a file of answers where no library of the models can be imported.
WITHOUT_MODELS = """
import sys
from importlib.abc import MetaPathFinder
from vox_assets.extras import EXTRAS

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {*EXTRAS["train"], *EXTRAS["llm"], *EXTRAS["report"]}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from vox_assets.cli import main
sys.exit(main(["exam", *sys.argv[1:]]))
"""


@pytest.mark.slow
def test_answers_of_a_file_are_graded_without_the_libraries_of_models(data: Path) -> None:
    answers = data / "answers.jsonl"
    answers.write_text("\n".join(LINES))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", WITHOUT_MODELS, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    graded = run("--answers", str(answers))
    assert graded.returncode == 0 and "100% [57, 100] of 5" in graded.stdout, graded.stderr
    assert "vox-assets[train]" in run().stderr
    assert "vox-assets[llm]" in run("--endpoint", "http://127.0.0.1:9/v1", "--model", "m").stderr
