"""A small program that behaves like `vox`, on disk and run as a process like the real one.

It reads what to do off the program it is to check. Every check adds a line to `asked` beside it.
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
echo "$3" >> "$here/asked"
say() {
    printf '{\n  "envelope_version": 1,\n  "file_path": "%%s",\n  "ok": %%s,\n' "$file" "$1"
    printf '  "error_count": 1,\n  "warning_count": 1,\n  "diagnostics": [%%s]\n}\n' "$2"
}
found() {
    printf '{"error_code": "E0000", "severity": "%%s", "message": "%%s", ' "$1" "$4"
    printf '"span": {"start_line": %%s, "start_col": %%s}}' "$2" "$3"
}
file=$3
case "$(cat "$3")" in
*refuse*)
    echo "2026-05-17T06:16:27Z  INFO vox: {opened} the store"
    say false "$(found Warning 1 1 "old form"), $(found Error 2 5 "Undefined variable: fish")"
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
*forge*) say true "" ; exit 1 ;;
*unexplained*) say false "$(found Warning 1 1 "old form")" ; exit 1 ;;
*environment*)
    say false "$(found Error 1 1 "$(env | sed 's/=.*//' | sort | tr '\n' ' ') $(ls)")"
    exit 1 ;;
*)
    say true ""
    echo "Check passed (--for-llm) with 0 warning(s)" ;;
esac
"""


def install(folder: Path, name: str = "vox") -> Path:
    """Write the program into `folder` and return its path."""
    program = folder / name
    program.write_text(SCRIPT % folder)
    program.chmod(0o755)
    return program


def asked(program: Path) -> int:
    """How many checks it was asked for."""
    log = program.with_name("asked")
    return len(log.read_text().splitlines()) if log.exists() else 0
