"""Measures the memory of a build of a corpus ten times as large as a real corpus.

The tree consists of copies of VOX_SOURCE_DIR, or of the bundled workspace. Each copy permutes half
of the words and names, so that no row resembles a row of another copy. The models would take hours
to read it, so their results are SIMULATED: random numbers computed from the key, stored in the real
cache. Everything else is the real build, in one process whose resident memory is sampled. Prints
the peak of each step and writes `reports/bench_memory.json`.

    python benchmarks/memory.py [COPIES]
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import dagster as dg
import numpy as np

from vox_assets.curate import embedding
from vox_assets.pipeline.automation.instance import configuration
from vox_assets.pipeline.resources.model_set import Models
from vox_assets.pipeline.wiring import build_defs
from vox_assets.settings import Settings, load_settings
from vox_assets.store.cache import VectorCache
from vox_assets.store.files import write_text

BENCHMARKS = Path(__file__).parent
COPIES = 10
SEED = 20261122
#: Largest allowed memory of the build, in bytes.
LIMIT = 4 * 10**9
SECONDS_BETWEEN_SAMPLES = 0.1

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{3,}")
_FENCE = re.compile(
    r"(^---\n.*?^---\n|^```.*?^```|\{\{.*?\}\}|\]\(.*?\))", re.MULTILINE | re.DOTALL
)
# Words that Rust, its attributes and the extractor interpret are not permuted.
_RESERVED = frozenset(
    """async await break const continue crate dyn else enum extern false impl loop match move mut
    pub ref return self Self static struct super trait true type union unsafe use where while yield
    bool char test tests bench cfg derive doc path macro_rules allow deny warn feature features
    main target generated name package version edition description mod""".split()
)


# The tree -----------------------------------------------------------------------------------


def write_tree(source: Path, target: Path, copies: int, seed: int = SEED) -> None:
    """Write copies of the Rust and Markdown files of `source` to `target`; the first is unchanged.

    The same source and seed give the same tree, byte for byte.
    """
    rust = sorted(path for path in (source / "crates").rglob("*") if path.is_file())
    pages = sorted((source / "docs" / "src").rglob("*.md"))
    names = {part for path in (*rust, *pages) for part in re.split(r"[^A-Za-z0-9_]+", str(path))}
    reserved = _RESERVED | names | {name.replace("-", "_") for name in names}
    texts = {path: _read(path) for path in (*rust, *pages)}
    words = sorted({w for text in texts.values() for w in _WORD.findall(text)} - reserved)
    for copy in range(copies):
        rng = random.Random(f"{seed}:{copy}")
        replacements = {}
        if copy:
            chosen = [word for word in words if rng.random() < 0.5]
            replacements = dict(zip(chosen, rng.sample(chosen, len(chosen)), strict=True))
        for path, text in texts.items():
            relative = path.relative_to(source)
            folder, *rest = relative.parts[1:] if path in pages else relative.parts
            if copy:
                text = _replace_words(text, replacements, path.suffix)
                # Only the ending of a crate's name changes: the profile chooses its lane by name.
                if path.name == "Cargo.toml":
                    text = re.sub(r'^(name = "[^"]*)', rf"\g<1>-{copy}", text, flags=re.MULTILINE)
                parts = [f"{rest[0]}-{copy}", *rest[1:]] if path not in pages else rest
                if path in pages:
                    parts = [f"copy-{copy}", *rest]
            else:
                parts = rest
            base = ("docs", folder) if path in pages else (folder,)
            file = target.joinpath(*base, *parts)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _replace_words(text: str, replacements: dict[str, str], suffix: str) -> str:
    def replace(part: str) -> str:
        return _WORD.sub(lambda match: replacements.get(match.group(), match.group()), part)

    if suffix == ".rs":
        return replace(text)
    if suffix == ".md":
        # Front matter, fences, includes and the targets of links are not changed.
        parts = _FENCE.split(text)
        return "".join(part if index % 2 else replace(part) for index, part in enumerate(parts))
    return text


# The build ----------------------------------------------------------------------------------


class SimulatingCache(VectorCache):
    """The real cache, with random numbers in place of model results."""

    def compute(
        self,
        keys: Sequence[str],
        costs: Sequence[int],
        batch_cost: int,
        function: Callable[[list[list[int]]], Iterable[tuple[int, np.ndarray]]],
        done: Callable[[int], None],
    ) -> np.ndarray:
        simulate = _vector if batch_cost == embedding.BATCH_TOKENS else _reading

        def simulated(batches: list[list[int]]) -> Iterable[tuple[int, np.ndarray]]:
            for number, batch in enumerate(batches):
                yield number, np.stack([simulate(keys[i]) for i in batch])

        # With a cost of 1 per row, batches are large; the time of the simulation is not measured.
        return super().compute(keys, [1] * len(keys), 4096, simulated, done)


def _vector(key: str) -> np.ndarray:
    """Return a unit vector of the embedder's width; as in real data, cosines are around 0.3."""
    vector = np.random.default_rng(int(key[:16], 16)).standard_normal(384).astype(np.float32)
    vector[0] += 12.0
    return vector / np.linalg.norm(vector)


def _reading(key: str) -> np.ndarray:
    """Return the summed NLL and the count of 100 tokens, at 1 to 3 nats per token."""
    return np.array([100.0 + int(key[:4], 16) / 65536 * 200.0, 100.0], np.float32)


class SimulatedModels(Models):
    """The models of the settings with a cache that simulates their results."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        store = SimulatingCache(settings.cache_dir / "vectors.sqlite", settings.cache_limit)
        self.__dict__["store"] = store


def simulated_job() -> dg.JobDefinition:
    """Return the job `corpus` with simulated models."""
    settings = load_settings()
    overrides = {"settings": settings, "models": SimulatedModels(settings)}
    return build_defs(resource_overrides=overrides).resolve_job_def("corpus")


def build(report: Path) -> int:
    """Build the corpus in this process; write the seconds and the peak of each step to `report`."""
    samples: list[tuple[float, int]] = []
    finished = threading.Event()

    def sample() -> None:
        while not finished.wait(SECONDS_BETWEEN_SAMPLES):
            samples.append((time.time(), _memory_bytes("VmRSS")))

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    with dg.DagsterInstance.get() as instance:
        job = dg.build_reconstructable_job(
            Path(__file__).stem, "simulated_job", reconstructor_working_directory=str(BENCHMARKS)
        )
        config = {"loggers": {"console": {"config": {"log_level": "INFO"}}}}
        result = dg.execute_job(job, instance=instance, run_config=config)
        records = instance.get_records_for_run(result.run_id).records
        finished.set()
        steps = []
        started: dict[str, float] = {}
        for record in records:
            entry = record.event_log_entry
            event = entry.dagster_event
            if event is None or event.step_key is None:
                continue
            if event.is_step_start:
                started[event.step_key] = entry.timestamp
            elif event.is_step_success or event.is_step_failure:
                first, last = started[event.step_key], entry.timestamp
                during = [rss for at, rss in samples if first <= at <= last]
                step = {"step": event.step_key, "seconds": round(last - first, 1)}
                steps.append(
                    {**step, "peak": max(during, default=0), "passed": event.is_step_success}
                )
    summary = {"peak": _memory_bytes("VmHWM"), "limit": LIMIT, "steps": steps}
    write_text(report, json.dumps(summary, indent=1))
    return 0 if result.success else 1


def _memory_bytes(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) * 1024


def main() -> int:
    """Write the tree, build it in a child process and print the peaks; 1 if over the limit."""
    copies = int(sys.argv[1]) if len(sys.argv) > 1 else COPIES
    settings = load_settings()
    home = settings.data_dir / "bench_memory"
    tree, data = home / f"tree-{copies}", home / f"data-{copies}"
    if not tree.exists():
        write_tree(settings.source_dir, tree, copies)
    data.mkdir(exist_ok=True)
    (data / "dagster.yaml").write_text(configuration(with_postgres=False))
    report = settings.reports_dir / "bench_memory.json"
    environment = {
        **os.environ,
        "VOX_SOURCE_DIR": str(tree),
        "VOX_DATA_DIR": str(data),
        "VOX_PROFILE": settings.profile_reference,
        "DAGSTER_HOME": str(data),
    }
    started = time.monotonic()
    child = [sys.executable, __file__, "--build", str(report)]
    code = subprocess.run(child, env=environment, check=False).returncode
    summary = json.loads(report.read_text())
    for step in summary["steps"]:
        failure = "" if step["passed"] else "  failed"
        print(f"{step['step']:<50}{step['seconds']:>9.1f} s{step['peak'] / 1e6:>9,.0f} MB{failure}")
    seconds = time.monotonic() - started
    peak = summary["peak"] / 1e6
    print(f"{copies} copies: peak of {peak:,.0f} MB, {seconds:,.0f} s, model results simulated")
    return code or int(summary["peak"] > LIMIT)


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[2])) if sys.argv[1:2] == ["--build"] else main())
