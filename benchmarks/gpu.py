"""Runs the parts of `benchmarks/gpu.sh`, each with a time limit, and reports them.

    python benchmarks/gpu.py [FOLDER]

The exit code is 0 if every part succeeded, 1 if one failed, and 2 without a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path("data/reports/gpu")
SHAPES = ("1.5b", "4b")
MATRIX = ("test_families.py", "test_blocks.py", "test_trainer.py")
#: Seconds between asking a part to end and killing it.
GRACE = 10
EXIT_NO_GPU = 2


@dataclass(frozen=True)
class Part:
    """A command with its limit in seconds, and the file of figures that it writes, if any."""

    name: str
    limit: float
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    figures: Path | None = None


def bench(folder: Path, shape: str) -> Part:
    """Return the part that compares one shape with TRL."""
    data = folder / f"data-{shape}"
    command = (sys.executable, "benchmarks/train.py", "--shape", shape, "--steps", "12")
    # TRL's script cannot use a second card without a launcher.
    environment = {"VOX_DATA_DIR": str(data), "CUDA_VISIBLE_DEVICES": "0"}
    figures = data / "reports" / "bench_train.json"
    return Part(f"bench-{shape}", 110, (*command, "--runs", "1"), environment, figures)


def all_parts(folder: Path) -> list[Part]:
    """Return the parts; their limits add up to less than ten minutes."""
    tests = [f"vox_assets_tests/training/program/{name}" for name in MATRIX]
    build = (sys.executable, "-m", "vox_assets.cli", "build", "rebuild")
    return [
        *(bench(folder, shape) for shape in SHAPES),
        Part("matrix", 150, (sys.executable, "-m", "pytest", "-q", "--no-header", *tests)),
        Part("training", 200, build, {"VOX_DATA_DIR": str(folder / "data")}),
    ]


def run_part(part: Part, folder: Path) -> dict[str, Any]:
    """Run a part, end it with all its processes at its limit, and return how it ended."""
    # The bundled workspace is built, whatever the caller's own is.
    inherited = {k: v for k, v in os.environ.items() if k not in ("VOX_SOURCE_DIR", "VOX_PROFILE")}
    if part.figures is not None:
        part.figures.unlink(missing_ok=True)
    log_path = folder / f"{part.name}.log"
    start = time.monotonic()
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            part.command,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**inherited, **part.environment},
            start_new_session=True,
        )
        try:
            outcome = _outcome(process.wait(part.limit))
        except subprocess.TimeoutExpired:
            outcome = f"took more than {part.limit:g} s"
        finally:
            _end(process)
    report: dict[str, Any] = {
        "name": part.name,
        "outcome": outcome,
        "seconds": round(time.monotonic() - start, 1),
    }
    text = log_path.read_text(encoding="utf-8", errors="replace")
    if outcome != "ended":
        report["end_of_log"] = text.strip().splitlines()[-5:]
    if counted := re.findall(r"(\d+) (passed|failed|errors?|skipped)\b", text):
        report["tests"] = {name: int(count) for count, name in counted}
    if part.figures is not None and part.figures.exists():
        report["figures"] = json.loads(part.figures.read_text(encoding="utf-8"))
    return report


def _outcome(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}" if code else "ended"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the process and of those that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def read_training(folder: Path) -> dict[str, Any] | None:
    """Read the training and the verdicts of the adapter that the real training wrote."""
    manifests = sorted((folder / "data" / "adapters").glob("*/manifest.json"))
    if not manifests:
        return None
    manifest = json.loads(manifests[-1].read_text(encoding="utf-8"))
    evaluation = manifest["evaluation"] or {"verdicts": []}
    verdicts = {verdict["name"]: verdict["passed"] for verdict in evaluation["verdicts"]}
    return {**manifest["training"], "verdicts": verdicts}


def speed_lines(report: Mapping[str, Any]) -> list[str]:
    """Return one line per side of a comparison, and the ratio of the times."""
    runs = {side: of_side[-1] for side, of_side in report["figures"]["runs"].items()}
    times = {side: 1 / run["tokens_per_second"] for side, run in runs.items()}
    return [
        f"| {report['figures']['shape']} | {side} | {run['tokens_per_second']:,.0f} | "
        f"{run['peak_memory_bytes'] / 2**30:.2f} | {run['untrained_loss']:.4f} | "
        f"{run['trained_loss']:.4f} | {times[side] / times['trl']:.2f} |"
        for side, run in runs.items()
    ]


def render(
    device: str, reports: Sequence[Mapping[str, Any]], training: Mapping[str, Any] | None
) -> str:
    """Render the report as Markdown."""
    lines = [f"# Training on {device}", "", "| part | seconds | outcome |", "|---|---|---|"]
    for report in reports:
        tests = "".join(f", {count} {name}" for name, count in report.get("tests", {}).items())
        lines.append(f"| {report['name']} | {report['seconds']} | {report['outcome']}{tests} |")
    header = "| shape | side | tokens/s | peak GiB | loss before | loss after | time / TRL's |"
    lines += ["", header, "|---|---|---|---|---|---|---|"]
    for report in reports:
        if "figures" in report:
            lines += speed_lines(report)
    if training is not None:
        passed = [name for name, holds in training["verdicts"].items() if holds]
        lines += [
            "",
            f"Real training: {training['steps']} steps, {training['tokens_per_second']:.0f} "
            f"tokens/s, loss {training['first_loss']:.3f} -> {training['last_loss']:.3f} in "
            f"{training['dtype']}, {training['micro_blocks']} blocks at once; verdicts that hold: "
            f"{', '.join(passed) or 'none'}.",
        ]
    return "\n".join([*lines, ""])


def run_all(parts: Sequence[Part], folder: Path, device: str) -> int:
    """Run the parts and write gpu.json and gpu.md after each; return the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    reports = []
    for part in parts:
        print(f"== {part.name}", file=sys.stderr, flush=True)
        reports.append(run_part(part, folder))
        training = read_training(folder)
        content = {"device": device, "parts": reports, "training": training}
        (folder / "gpu.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        text = render(device, reports, training)
        (folder / "gpu.md").write_text(text, encoding="utf-8")
    print(text)
    return int(any(report["outcome"] != "ended" for report in reports))


def main() -> int:
    """Run all parts on the GPU."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    folder = parser.parse_args().folder.resolve()
    if not torch.cuda.is_available():
        print(
            f"benchmarks/gpu.sh: torch {torch.__version__} finds no GPU; "
            f"make bench-train compares with TRL on a CPU",
            file=sys.stderr,
        )
        return EXIT_NO_GPU
    # An interrupt ends the part that runs; a request to end the script does so too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    device = f"{torch.cuda.get_device_name()} with torch {torch.__version__}"
    return run_all(all_parts(folder), folder, device)


if __name__ == "__main__":
    sys.exit(main())
