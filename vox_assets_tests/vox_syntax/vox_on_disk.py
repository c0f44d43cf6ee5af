"""Writes a shell script that behaves like the `vox` compiler and runs as a process like it.

Words in the checked program select the behaviour. Every check adds a line to the file `checks`
beside the script.
"""

from __future__ import annotations

from pathlib import Path

SCRIPT = r"""#!/bin/sh
here="%s"
if [ "$1" = --version ]; then
    echo "vox 9.8.7+build.65 (abcdef0)"
    exit 0
fi
if [ "$1" != check ] || [ "$2" != --for-llm ]; then
    echo "error: unexpected argument '$2' found" >&2
    exit 2
fi
echo "$3" >> "$here/checks"
report() {
    printf '{\n  "envelope_version": 1,\n  "file_path": "%%s",\n  "ok": %%s,\n' "$file" "$1"
    printf '  "error_count": 1,\n  "warning_count": 1,\n  "diagnostics": [%%s]\n}\n' "$2"
}
fault() {
    printf '{"error_code": "E0000", "severity": "%%s", "message": "%%s", ' "$1" "$4"
    printf '"span": {"start_line": %%s, "start_col": %%s}}' "$2" "$3"
}
file=$3
case "$(cat "$3")" in
*refuse*)
    echo "2026-05-17T06:16:27Z  INFO vox: {opened} the store"
    report false "$(fault Warning 1 1 "old form"), $(fault Error 2 5 "Undefined variable: fish")"
    echo "Error: Check failed (--for-llm): 1 error-level diagnostic(s)" >&2
    exit 1 ;;
*hang*)
    sleep 600 &
    echo $! > "$here/left_behind"
    wait ;;
*crash*) kill -SEGV $$ ;;
*panic*)
    echo "thread 'main' panicked at parser.rs:7: index out of bounds" >&2
    exit 101 ;;
*silent*) exit 1 ;;
*garbage*) printf '{"envelope_version": \377\000 {{{[[[\n' ; exit 1 ;;
*huge*) yes "{ no end of it" ;;
*forge*) report true "" ; exit 1 ;;
*unexplained*) report false "$(fault Warning 1 1 "old form")" ; exit 1 ;;
*environment*)
    report false "$(fault Error 1 1 "$(env | sed 's/=.*//' | sort | tr '\n' ' ') $(ls)")"
    exit 1 ;;
*)
    report true ""
    echo "Check passed (--for-llm) with 0 warning(s)" ;;
esac
"""


def install(folder: Path, name: str = "vox") -> Path:
    """Write the script into `folder` and return its path."""
    program = folder / name
    program.write_text(SCRIPT % folder)
    program.chmod(0o755)
    return program


def check_count(program: Path) -> int:
    """Count the checks that the script was run for."""
    log = program.with_name("checks")
    return len(log.read_text().splitlines()) if log.exists() else 0
