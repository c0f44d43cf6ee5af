"""Writes the first profile of a project, with comments."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import jinja2

#: Identifiers of the hub for the licences that most Rust projects have.
_HUB_LICENCES = {
    "apache-2.0": "apache-2.0",
    "mit": "mit",
    "mpl-2.0": "mpl-2.0",
    "bsd-3-clause": "bsd-3-clause",
    "gpl-3.0": "gpl-3.0",
    "unlicense": "unlicense",
}


def new_profile(
    project: str,
    language: str,
    frontend: str,
    licence: str,
    rust: Sequence[str],
    docs: Sequence[str],
    packages: int,
) -> str:
    """Return the text of a profile. `frontend` is YAML, `licence` an SPDX expression."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    environment.policies["json.dumps_function"] = _yaml_string
    one_line = " ".join(project.split())
    return environment.get_template("new.yaml.j2").render(
        name=re.sub(r"[^a-z0-9]+", "-", project.lower()).strip("-") or "project",
        project=one_line,
        language=language,
        frontend=frontend,
        license=hub_licence(licence),
        rust=list(rust),
        docs=list(docs),
        packages=packages,
    )


def hub_licence(expression: str) -> str:
    """Return the hub's identifier of an SPDX expression; `other` for one that the hub lacks.

    Of a choice, the first identifier counts.
    """
    for word in re.split(r"[\s/()]+|\bOR\b|\bAND\b", expression.lower()):
        for known, identifier in _HUB_LICENCES.items():
            if word.startswith(known):
                return identifier
    return "other"


def _yaml_string(value: object, **_: object) -> str:
    # JSON is YAML; the template needs no escapes for HTML.
    return json.dumps(value, ensure_ascii=False)
