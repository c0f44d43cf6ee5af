"""Gives a resource values that the UI shows as its configuration."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg


def shown_field(shown: Mapping[str, str]) -> dg.Field:
    """Return the configuration of a resource that is made of `shown`."""
    return dg.Field(dict.fromkeys(shown, str), default_value=dict(shown))


def refuse_other_values(context: dg.InitResourceContext, shown: Mapping[str, str]) -> None:
    """Raise dg.Failure when a run replaces a shown value: the resource would not follow it."""
    for name, value in dict(context.resource_config or shown).items():
        if value != shown[name]:
            raise dg.Failure(
                f"the resource value {name} is {shown[name]!r} and a run cannot replace it by "
                f"{value!r}: expected a change of the environment variable and a restart",
                allow_retries=False,
            )


def described(value: object, description: str, shown: Mapping[str, str]) -> dg.ResourceDefinition:
    """Provide `value` as a resource whose page in the UI has a type, a text and `shown`."""

    def provide(context: dg.InitResourceContext) -> object:
        refuse_other_values(context, shown)
        return value

    # Dagster shows the module and name of this function as the type of the resource.
    provide.__module__, provide.__name__ = type(value).__module__, type(value).__qualname__
    return dg.ResourceDefinition(provide, shown_field(shown), description)
