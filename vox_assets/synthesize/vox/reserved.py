"""Names what the exam keeps from training: domains, whole template files, and variants.

Synthesis never renders an exam domain or an exam variant. It renders an exam template once per
variant, so that the corpus still covers its construct, and the mix holds those rows out. The lists
are fixed by hand: a list that is drawn would change with every new template, and an adapter's
results could not be compared with those of an earlier adapter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vox_assets.synthesize.vox.lexicon import Domain
from vox_assets.synthesize.vox.templates import SOURCE_PREFIX, Variant

#: Domains of the lexicon that only the exam renders.
EXAM_DOMAINS = frozenset(
    {
        "climbing_gym",
        "dental_practice",
        "film_archive",
        "orchestra",
        "tide_office",
        "vineyard",
    }
)

#: Constructs whose whole template file is kept from training.
EXAM_TEMPLATES = frozenset(
    {
        "derived_values",
        "json",
        "mcp_resources",
        "pipes",
        "privacy",
        "recursion",
        "tuples",
        "webhooks",
    }
)

#: Variants that are kept from training, by construct: at least one of each trained construct with
#: three or more variants. What only one variant shows, such as a React import, stays trained.
EXAM_VARIANTS: Mapping[str, frozenset[str]] = {
    construct: frozenset(names.split())
    for construct, names in {
        "actors": "handlers_share_a_rule",
        "adt_match": "alert_levels",
        "ai_functions": "summarise",
        "apps": "command_script",
        "booleans": "exactly_one",
        "component_state": "stepper",
        "composition": "page_of_parts",
        "contracts": "require_ensure",
        "decimals": "basket",
        "effects": "pure_core",
        "endpoint_limits": "signed_in",
        "error_propagation": "optional_chain",
        "for_loops": "best schedule",
        "forms": "hidden_and_pattern",
        "fragments": "used_in_component",
        "functions": "bounded_score two_steps",
        "generics": "value_or",
        "if_else": "guarded_charge",
        "imports": "ui_library",
        "indexes": "two_indexes",
        "interpolation": "letter",
        "lambdas": "higher_order",
        "lifecycle": "mount_cleanup",
        "list_methods": "in_group",
        "lists": "merge_lists",
        "match_literals": "command",
        "mcp_tools": "lookup_tool",
        "modules": "public_api",
        "mutation_endpoints": "checked_insert",
        "options": "both_known",
        "placement": "inference_step",
        "properties": "symmetric",
        "query_endpoints": "find_one",
        "results": "lookup_price",
        "routing": "loader",
        "server_endpoints": "estimate",
        "state_machines": "partial_chain",
        "strings": "mask shorten",
        "structs": "copy_with",
        "styles": "tokens_and_component",
        "tables": "report_rows",
        "tests": "result_test",
        "view_conditions": "details",
        "view_loops": "totals_table",
        "while_loops": "two_stores",
    }.items()
}

_EXAM_PATHS = frozenset(f"{SOURCE_PREFIX}{construct}.vox.j2" for construct in EXAM_TEMPLATES)


def is_exam_path(source_path: str) -> bool:
    """Check whether a row comes from a template file that is kept from training."""
    return source_path in _EXAM_PATHS


def is_exam_template(variant: Variant) -> bool:
    """Check whether the whole template file of a variant is kept from training."""
    return variant.construct in EXAM_TEMPLATES


def is_exam_variant(variant: Variant) -> bool:
    """Check whether a variant is kept from training while others of its file are trained."""
    return variant.name in EXAM_VARIANTS.get(variant.construct, frozenset())


def exam_domains(domains: Iterable[Domain]) -> tuple[Domain, ...]:
    """Select the domains that only the exam renders."""
    return tuple(domain for domain in domains if domain.name in EXAM_DOMAINS)


def open_domains(domains: Iterable[Domain]) -> tuple[Domain, ...]:
    """Select the domains that synthesis renders."""
    return tuple(domain for domain in domains if domain.name not in EXAM_DOMAINS)


def open_variants(variants: Iterable[Variant]) -> tuple[Variant, ...]:
    """Select the variants that synthesis renders, those of exam templates included."""
    return tuple(variant for variant in variants if not is_exam_variant(variant))
