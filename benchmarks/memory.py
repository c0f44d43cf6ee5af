"""A corpus ten times as large as a real one, and the memory that its build takes.

The tree is made of copies of VOX_SOURCE_DIR, or else of the bundled workspace, in each of which
half of the words and names stand for one another, so that no row is like a row of another copy.
The models would read it for hours: their results are FILLED IN here, with random numbers that
follow from the key, and come out of the real cache. Everything else is the build as it is, in one
process whose resident memory is sampled. Prints the peak of each step and writes
`reports/bench_memory.json`.

    python benchmarks/memory.py [COPIES]
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import dagster as dg
import numpy as np

from vox_assets.curate import embedding
from vox_assets.pipeline.resources.model_set import Models
from vox_assets.pipeline.wiring import build_defs
from vox_assets.settings import Settings, load_settings
from vox_assets.store.cache import VectorCache
from vox_assets.store.files import write_text

BENCHMARKS = Path(__file__).parent
COPIES = 10
SEED = 20261122
#: What the build may take, in bytes.
LIMIT = 4 * 10**9
SECONDS_BETWEEN_SAMPLES = 0.1

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{3,}")
_FENCE = re.compile(
    r"(^---\n.*?^---\n|^```.*?^```|\{\{.*?\}\}|\]\(.*?\))", re.MULTILINE | re.DOTALL
)
# What Rust, its attributes and the extractor go by keeps its name.
_RESERVED = frozenset(
    """async await break const continue crate dyn else enum extern false impl loop match move mut
    pub ref return self Self static struct super trait true type union unsafe use where while yield
    bool char test tests bench cfg derive doc path macro_rules allow deny warn feature features
    main target generated name package version edition description mod""".split()
)


# The tree -----------------------------------------------------------------------------------


def write_tree(source: Path, target: Path, copies: int, seed: int = SEED) -> None:
    """Copies of the Rust and Markdown of `source` side by side in `target`, the first unchanged.

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
        other = {}
        if copy:
            moved = [word for word in words if rng.random() < 0.5]
            other = dict(zip(moved, rng.sample(moved, len(moved)), strict=True))
        for path, text in texts.items():
            relative = path.relative_to(source)
            folder, *rest = relative.parts[1:] if path in pages else relative.parts
            if copy:
                text = _changed(text, other, path.suffix)
                # A crate keeps its folder's ending, by which the profile chooses its lane.
                if path.name == "Cargo.toml":
                    text = re.sub(r'^(name = "[^"]*)', rf"\g<1>-{copy}", text, flags=re.MULTILINE)
                place = [f"{rest[0]}-{copy}", *rest[1:]] if path not in pages else rest
                if path in pages:
                    place = [f"copy-{copy}", *rest]
            else:
                place = rest
            base = ("docs", folder) if path in pages else (folder,)
            file = target.joinpath(*base, *place)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _changed(text: str, other: dict[str, str], suffix: str) -> str:
    def swap(part: str) -> str:
        return _WORD.sub(lambda match: other.get(match.group(), match.group()), part)

    if suffix == ".rs":
        return swap(text)
    if suffix == ".md":
        # Front matter, fences, includes and the targets of links stay.
        parts = _FENCE.split(text)
        return "".join(part if odd % 2 else swap(part) for odd, part in enumerate(parts))
    return text


# The build ----------------------------------------------------------------------------------


class FilledCache(VectorCache):
    """The real cache, filled with random numbers where a model would have been asked."""

    def compute(
        self,
        keys: Sequence[str],
        costs: Sequence[int],
        batch_cost: int,
        function: Callable[[list[list[int]]], Iterable[tuple[int, np.ndarray]]],
        done: Callable[[int], None],
    ) -> np.ndarray:
        fill = _vector if batch_cost == embedding.BATCH_TOKENS else _reading

        def filled(batches: list[list[int]]) -> Iterable[tuple[int, np.ndarray]]:
            for number, batch in enumerate(batches):
                yield number, np.stack([fill(keys[i]) for i in batch])

        # Large batches at cost 1 a row: the time of the filling is not measured.
        return super().compute(keys, [1] * len(keys), 4096, filled, done)


def _vector(key: str) -> np.ndarray:
    """A unit vector of the embedder's width; any two have a cosine around 0.3, as real ones do."""
    vector = np.random.default_rng(int(key[:16], 16)).standard_normal(384).astype(np.float32)
    vector[0] += 12.0
    return vector / np.linalg.norm(vector)


def _reading(key: str) -> np.ndarray:
    """Summed NLL and count of 100 tokens, between 1 and 3 nats each."""
    return np.array([100.0 + int(key[:4], 16) / 65536 * 200.0, 100.0], np.float32)


class FilledModels(Models):
    """The models of the settings, none of which is asked."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        store = FilledCache(settings.cache_dir / "vectors.sqlite", settings.cache_limit)
        self.__dict__["store"] = store


def filled_job() -> dg.JobDefinition:
    """The job `corpus` with models that are filled in."""
    settings = load_settings()
    overrides = {"settings": settings, "models": FilledModels(settings)}
    return build_defs(resource_overrides=overrides).resolve_job_def("corpus")


def build(report: Path) -> int:
    """Build the corpus in this process; write seconds and peak of each step to `report`."""
    samples: list[tuple[float, int]] = []
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SECONDS_BETWEEN_SAMPLES):
            samples.append((time.time(), _memory("VmRSS")))

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    with dg.DagsterInstance.get() as instance:
        job = dg.build_reconstructable_job(
            Path(__file__).stem, "filled_job", reconstructor_working_directory=str(BENCHMARKS)
        )
        config = {"loggers": {"console": {"config": {"log_level": "INFO"}}}}
        result = dg.execute_job(job, instance=instance, run_config=config)
        records = instance.get_records_for_run(result.run_id).records
        over.set()
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
                inside = [rss for at, rss in samples if first <= at <= last]
                step = {"step": event.step_key, "seconds": round(last - first, 1)}
                steps.append(
                    {**step, "peak": max(inside, default=0), "passed": event.is_step_success}
                )
    told = {"peak": _memory("VmHWM"), "limit": LIMIT, "steps": steps}
    write_text(report, json.dumps(told, indent=1))
    return 0 if result.success else 1


def _memory(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) * 1024


def main() -> int:
    copies = int(sys.argv[1]) if len(sys.argv) > 1 else COPIES
    settings = load_settings()
    home = settings.data_dir / "bench_memory"
    tree, data = home / f"tree-{copies}", home / f"data-{copies}"
    if not tree.exists():
        write_tree(settings.source_dir, tree, copies)
    data.mkdir(exist_ok=True)
    shutil.copy("dagster.yaml", data)
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
    told = json.loads(report.read_text())
    for step in told["steps"]:
        passed = "" if step["passed"] else "  failed"
        print(f"{step['step']:<50}{step['seconds']:>9.1f} s{step['peak'] / 1e6:>9,.0f} MB{passed}")
    seconds = time.monotonic() - started
    peak = told["peak"] / 1e6
    print(f"{copies} copies: {peak:,.0f} MB at most in {seconds:,.0f} s, models filled in")
    return code or int(told["peak"] > LIMIT)


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[2])) if sys.argv[1:2] == ["--build"] else main())
