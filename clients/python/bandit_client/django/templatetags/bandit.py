"""``{% bandit "hero" as hero %}``: the variant that this visitor sees, counted as an exposure."""

from typing import Any

from django import template

register = template.Library()


@register.simple_tag(takes_context=True)
def bandit(context: dict[str, Any], experiment: str, default: str = "control") -> str:
    visitor = getattr(context.get("request"), "bandit", None)
    # A template may be rendered without a request, for a mail: nobody sees a variant then.
    return visitor.variant(experiment, default) if visitor else default
