"""The real compiler as a front end: runs `vox check` in processes that may hang or crash.

This module runs the compiler and reads its verdict. `vox check` takes a single file, so a batch is
a folder of programs and a few processes at a time. Each works in a folder of its own, because `vox`
opens a database and writes telemetry in its working directory.

`vox check` reads every file as an ordinary program, and no other command of the compiler knows
``.vox.ui`` modules either: only its library does. Hence the built-in grammar judges them.

A process that crashes, hangs or prints something unreadable gives no verdict. This counts as a
fault of the program under check, never as an error of the run, and it is not cached.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vox_assets.store.cache import BlobCache, content_key
from vox_assets.store.progress import Log, progress, silent
from vox_assets.vox_syntax.confined import NoVerdictError, run_confined
from vox_assets.vox_syntax.diagnostics import VoxSyntaxError
from vox_assets.vox_syntax.frontend import BuiltInGrammar
from vox_assets.vox_syntax.lexer import refuse_dropped

BATCH = 64
"""Programs per batch: enough to keep every core busy, few enough that a cancelled run loses
little, because verdicts are stored batch by batch."""

PROGRAM_SECONDS = 20.0
"""A check of a program takes a fraction of a second including the start; the limit allows a slow
machine some fifty times as long."""

BATCH_SECONDS = 180.0
"""About three seconds for each program of a batch, so that a compiler that hangs on some programs
does not hold up a build for hours."""

MAX_MESSAGE = 400
"""Characters of a diagnostic that a reason quotes."""

_OPTIONS = ("check", "--for-llm")
"""`--for-llm` prints a stable JSON object, also for programs that do not parse."""

_OBJECTS_TRIED = 10
"""Lines that may start the verdict; only a log line or two precede it."""


@dataclass(frozen=True)
class Compiler:
    """`vox check` as a front end.

    Verdicts are cached in `verdicts`, where it is set. The key holds the program, the compiler's
    version and a digest of its bytes, because two builds may share a version. Text that the
    compiler would drop silently is refused before the compiler runs.
    """

    program: Path
    #: The search path for programs that the compiler starts, in case it is a script.
    search_path: str
    verdicts: BlobCache | None = None

    @cached_property
    def name(self) -> str:
        """Return the first line of `vox --version`."""
        with TemporaryDirectory(prefix="vox-version-", ignore_cleanup_errors=True) as folder:
            try:
                code, output = self._run(["--version"], Path(folder), PROGRAM_SECONDS)
            except NoVerdictError:
                code, output = 1, ""
        lines = output.split("\n")
        reply = " ".join(lines[0].split())[:MAX_MESSAGE]
        return reply if code == 0 and reply else f"{self.program.name} of unknown version"

    def check(
        self, sources: Sequence[str], *, ui_module: bool = False, log: Log = silent
    ) -> list[str | None]:
        """Return for each program the first error as `line:column: message`, or None.

        The built-in grammar judges UI modules.
        """
        if ui_module:
            grammar = BuiltInGrammar()
            if sources:
                log(f"{self.name} does not know UI modules: the {grammar.name} checks them")
            return grammar.check(sources, ui_module=True, log=log)
        faults = {source: _dropped(source) for source in sources}
        keys = {
            source: content_key(self._fingerprint, source)
            for source, fault in faults.items()
            if fault is None
        }
        known = self.verdicts.get(keys.values()) if self.verdicts else {}
        pending = []
        for source, key in keys.items():
            if key in known:
                faults[source] = json.loads(known[key])
            else:
                pending.append(source)
        with progress("vox check", len(pending), "programs", log) as done:
            for start in range(0, len(pending), BATCH):
                verdicts, failures = self._check_batch(pending[start : start + BATCH])
                faults |= verdicts
                faults |= {source: f"no verdict: {why}" for source, why in failures.items()}
                if self.verdicts:
                    self.verdicts.put(
                        {
                            keys[source]: json.dumps(reply).encode()
                            for source, reply in verdicts.items()
                        }
                    )
                done(len(verdicts) + len(failures))
                if not verdicts:
                    # A compiler without a verdict in a whole batch does not work: stop here.
                    reason = "no verdict: the compiler gave none on any program of the batch before"
                    faults |= dict.fromkeys(pending[start + BATCH :], reason)
                    break
        return [faults[source] for source in sources]

    @cached_property
    def _fingerprint(self) -> str:
        # A compiler that was deleted meanwhile does not start either; `_run` reports that.
        with suppress(OSError), self.program.open("rb") as file:
            return f"{self.name} {hashlib.file_digest(file, 'sha256').hexdigest()}"
        return self.name

    def _check_batch(self, sources: Sequence[str]) -> tuple[dict[str, str | None], dict[str, str]]:
        """Check a batch in parallel: verdicts, and the reasons of missing verdicts."""
        deadline = time.monotonic() + BATCH_SECONDS
        verdicts: dict[str, str | None] = {}
        failures: dict[str, str] = {}
        with TemporaryDirectory(prefix="vox-check-", ignore_cleanup_errors=True) as folder:

            def check_program(number: int) -> None:
                source = sources[number]
                workdir = Path(folder, str(number))
                workdir.mkdir()
                file = workdir / "program.vox"
                file.write_bytes(source.encode("utf-8", "surrogatepass"))
                seconds = min(PROGRAM_SECONDS, deadline - time.monotonic())
                try:
                    if seconds <= 0:
                        raise NoVerdictError(f"its batch took longer than {BATCH_SECONDS:g} s")
                    result = self._run([*_OPTIONS, file.name], workdir, seconds)
                    verdicts[source] = _verdict(*result)
                except NoVerdictError as error:
                    failures[source] = str(error)

            pool = ThreadPoolExecutor(os.cpu_count())
            try:
                list(pool.map(check_program, range(len(sources))))
            finally:
                # A cancelled run waits for the few programs in progress, not for the batch.
                pool.shutdown(cancel_futures=True)
        return verdicts, failures

    def _run(self, arguments: Sequence[str], folder: Path, seconds: float) -> tuple[int, str]:
        command = [str(self.program), *arguments]
        return run_confined(command, self.search_path, folder, seconds)


def _dropped(source: str) -> str | None:
    try:
        refuse_dropped(source)
    except VoxSyntaxError as error:
        return str(error)
    return None


def _verdict(code: int, output: str) -> str | None:
    """Return the first error or None; raises NoVerdictError when the output holds no verdict."""
    reply = _envelope(output)
    if reply is None:
        if code < 0:
            raise NoVerdictError(f"killed by {signal.Signals(-code).name}")
        lines = output.strip().splitlines()
        raise NoVerdictError(
            f"exit code {code}: {_line(lines[-1]) if lines else 'it printed nothing'}"
        )
    if reply.get("ok") is not (code == 0):
        raise NoVerdictError(f"says ok={reply.get('ok')} and exits with {code}")
    if code == 0:
        return None
    diagnostics = reply.get("diagnostics")
    for item in diagnostics if isinstance(diagnostics, list) else []:
        if isinstance(item, dict) and item.get("severity") == "Error":
            span = item.get("span")
            start = span if isinstance(span, dict) else {}
            line, column = start.get("start_line", 1), start.get("start_col", 1)
            return f"{line}:{column}: {_line(str(item.get('message')))}"
    raise NoVerdictError("refuses the program without an error")


def _envelope(output: str) -> dict[str, Any] | None:
    """Find the JSON object of the verdict; log lines may precede it, and text may follow it."""
    decoder = json.JSONDecoder()
    for start in islice(re.finditer(r"^\{", output, re.M), _OBJECTS_TRIED):
        with suppress(ValueError, RecursionError):
            envelope, _ = decoder.raw_decode(output, start.start())
            if "envelope_version" in envelope:
                return envelope
    return None


def _line(text: str) -> str:
    return " ".join(text.split())[:MAX_MESSAGE]
