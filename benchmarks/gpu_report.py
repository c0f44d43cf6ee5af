"""Writes gpu.json and gpu.md from the parts that `benchmarks/gpu.sh` ran.

    python benchmarks/gpu_report.py FOLDER

The exit code is 1 if a part failed.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

#: Exit codes of `timeout` for a command that took too long: ended, or killed.
TOO_LONG = (124, 137)


def read_parts(folder: Path) -> list[dict[str, Any]]:
    """Read name, exit code, duration and figures of every part that was started."""
    parts = []
    for line in (folder / "parts.tsv").read_text(encoding="utf-8").splitlines():
        name, code, seconds = line.split("\t")
        part = {"name": name, "exit_code": int(code), "seconds": int(seconds)}
        log = (folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        if code != "0":
            part["end_of_log"] = log.strip().splitlines()[-1:]
        if (folder / f"{name}.json").exists():
            part["figures"] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        if counted := re.findall(r"(\d+) (passed|failed|skipped)", log):
            part["tests"] = {outcome: int(count) for count, outcome in counted}
        parts.append(part)
    return parts


def read_training(folder: Path) -> dict[str, Any] | None:
    """Read the training and the verdicts of the adapter that the real training wrote."""
    manifests = sorted((folder / "data" / "adapters").glob("*/manifest.json"))
    if not manifests:
        return None
    manifest = json.loads(manifests[-1].read_text(encoding="utf-8"))
    evaluation = manifest["evaluation"] or {"verdicts": []}
    verdicts = {verdict["name"]: verdict["passed"] for verdict in evaluation["verdicts"]}
    return {**manifest["training"], "verdicts": verdicts}


def outcome(part: dict[str, Any]) -> str:
    """Say in a few words how a part ended."""
    if part["exit_code"] in TOO_LONG:
        return "took too long"
    tests = ", ".join(f"{count} {name}" for name, count in part.get("tests", {}).items())
    return tests or ("ended" if part["exit_code"] == 0 else f"exit code {part['exit_code']}")


def speed_lines(part: dict[str, Any]) -> list[str]:
    """Return one line per side of a comparison, and the ratio of the times."""
    runs = {side: of_side[-1] for side, of_side in part["figures"]["runs"].items()}
    times = {side: 1 / run["tokens_per_second"] for side, run in runs.items()}
    return [
        f"| {part['figures']['shape']} | {side} | {run['tokens_per_second']:,.0f} | "
        f"{run['peak_memory_bytes'] / 2**30:.2f} | {run['untrained_loss']:.4f} | "
        f"{run['trained_loss']:.4f} | {times[side] / times['trl']:.2f} |"
        for side, run in runs.items()
    ]


def render(device: str, parts: list[dict[str, Any]], training: dict[str, Any] | None) -> str:
    """Render the report as Markdown."""
    lines = [f"# Training on {device}", "", "| part | seconds | outcome |", "|---|---|---|"]
    lines += [f"| {part['name']} | {part['seconds']} | {outcome(part)} |" for part in parts]
    header = "| shape | side | tokens/s | peak GiB | loss before | loss after | time / TRL's |"
    lines += ["", header, "|---|---|---|---|---|---|---|"]
    for part in parts:
        if "figures" in part:
            lines += speed_lines(part)
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


def main() -> int:
    """Write both reports and print the Markdown."""
    import torch

    folder = Path(sys.argv[1])
    parts, training = read_parts(folder), read_training(folder)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "a CPU"
    content = {"device": device, "torch": torch.__version__, "parts": parts, "training": training}
    (folder / "gpu.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    text = render(device, parts, training)
    (folder / "gpu.md").write_text(text, encoding="utf-8")
    print(text)
    return int(any(part["exit_code"] for part in parts))


if __name__ == "__main__":
    sys.exit(main())
