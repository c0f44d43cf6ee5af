"""Specifies a training run: inputs, digest, output folder and launch command.

The caller writes a `TrainingSpec` as JSON and the training program reads it. This module imports no
machine-learning library, so an orchestrator can import it cheaply.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from vox_assets.compute.models import LocalModel
from vox_assets.profiles import Profile, Training
from vox_assets.store.files import write_text
from vox_assets.training.plan.ranks import RankChoice

#: Part of every digest. Raise it when the program trains another adapter from the same inputs.
PROGRAM_VERSION = 3

#: sysexits EX_TEMPFAIL: the run was interrupted and left a checkpoint; a rerun resumes from it.
EXIT_INTERRUPTED = 75
#: sysexits EX_DATAERR: the inputs were refused and nothing was trained.
EXIT_REFUSED = 65

DIGEST_HEX_DIGITS = 16


class TrainingRefusedError(RuntimeError):
    """Raised for inputs that must not be trained on; the message names them."""


@dataclass(frozen=True)
class TrainingSpec:
    """Specification of one training run; `config` lists the fields that decide the weights."""

    name: str
    base_name: str
    base_path: str
    base_fingerprint: str
    base_revision: str | None
    mix_path: str
    rows_digest: str
    output_root: str
    lanes: tuple[str, ...]
    context: int
    rank: RankChoice
    training: Training
    #: Source commit, table versions and profile: in the manifest, but not in the digest.
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Hex digest of everything that decides the weights; the name of the adapter directory."""
        return hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()[
            :DIGEST_HEX_DIGITS
        ]

    @property
    def config(self) -> dict[str, Any]:
        """Values that the digest covers, as plain JSON values."""
        rank = asdict(self.rank)
        del rank["reason"]
        return {
            "program_version": PROGRAM_VERSION,
            "base_name": self.base_name,
            "base_fingerprint": self.base_fingerprint,
            "rows_digest": self.rows_digest,
            "lanes": sorted(self.lanes),
            "context": self.context,
            "rank": rank,
            "training": self.training.model_dump(mode="json"),
        }

    @property
    def adapter_dir(self) -> Path:
        """Folder of the finished adapter, created by one atomic rename."""
        return Path(self.output_root) / self.digest

    @property
    def work_dir(self) -> Path:
        """Folder of the checkpoints, the progress log and unfinished files of this digest."""
        return Path(self.output_root) / ".work" / self.digest

    def write(self, path: Path) -> Path:
        """Write the spec as JSON, atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = asdict(self) | {"training": self.training.model_dump(mode="json")}
        write_json(path, content | {"digest": self.digest})
        return path

    @classmethod
    def read(cls, path: Path) -> TrainingSpec:
        """Read a spec. Raises TrainingRefusedError if it is invalid or differs from its digest."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            digest = content.pop("digest")
            content["lanes"] = tuple(content["lanes"])
            content["rank"] = RankChoice(**content["rank"])
            content["training"] = Training.model_validate(content["training"])
            spec = cls(**content)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise TrainingRefusedError(f"spec {path} cannot be read: {error}") from error
        if digest != spec.digest:
            raise TrainingRefusedError(
                f"spec {path} names digest {digest}, but its content has {spec.digest}"
            )
        return spec


def make_spec(
    profile: Profile,
    mix_rows: pl.DataFrame,
    mix_path: Path,
    base: LocalModel,
    rank: RankChoice,
    output_root: Path,
    provenance: dict[str, Any] | None = None,
) -> TrainingSpec:
    """Make the spec for training on `mix_rows`, which the caller has written to `mix_path`."""
    return TrainingSpec(
        name=f"{profile.name}-{'+'.join(lane.replace('_', '-') for lane in profile.mix.lanes)}",
        base_name=base.name,
        base_path=str(base.path),
        base_fingerprint=base.fingerprint,
        base_revision=base.revision,
        mix_path=str(mix_path.resolve()),
        rows_digest=rows_digest(mix_rows),
        output_root=str(output_root.resolve()),
        lanes=profile.mix.lanes,
        context=profile.mix.context,
        rank=rank,
        training=profile.training,
        provenance={
            "profile": profile.name,
            "profile_digest": profile.digest,
            **(provenance or {}),
        },
    )


def rows_digest(mix_rows: pl.DataFrame, split: str | None = None) -> str:
    """Compute a hex digest of the pair ids with their splits and weights, in any row order.

    With `split`, only the rows of that split count; the digest of the split `eval` identifies a
    held-out set.
    """
    lines = sorted(
        f"{row_split} {pair_id} {weight:.4f}"
        for row_split, pair_id, weight in mix_rows.select("split", "pair_id", "weight").iter_rows()
        if split in (None, row_split)
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:DIGEST_HEX_DIGITS]


#: Environment of the launched process: idle OpenMP threads sleep instead of spinning. If another
#: process shares the cores, spinning costs a factor of two to five (measured); otherwise it costs
#: little.
LAUNCH_ENV = {"OMP_WAIT_POLICY": "PASSIVE"}


def launch_command(spec_path: Path, processes: int = 1, cpu: bool = True) -> list[str]:
    """Return the command that trains through accelerate's launcher; run it with LAUNCH_ENV.

    `processes` is the number of GPUs, or 1 on a CPU. The command sets the thread count because the
    launcher's default on a CPU is one thread per process.
    """
    threads = max(1, (os.cpu_count() or 1) // processes)
    return [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        *("--num_processes", str(processes)),
        *(["--multi_gpu"] if processes > 1 and not cpu else []),
        *("--num_machines", "1"),
        *("--mixed_precision", "no"),
        *("--dynamo_backend", "no"),
        # The program itself reports why it ended; without this the launcher adds a stack trace.
        "--quiet",
        *("--num_cpu_threads_per_process", str(threads)),
        *(["--cpu"] if cpu else []),
        *("--module", "vox_assets.training.program.run"),
        *("--spec", str(spec_path)),
    ]


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically: a reader sees the old file or the complete new one."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
    write_text(path, text + "\n")
