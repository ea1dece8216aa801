"""Cards and tables as all pages build them, so that a page names only what is its own.

A table whose class is ``stacked`` is laid out as blocks on a telephone: its cells then show the label
of their column, and the roles keep it a table for screen readers, which forget tables that are laid out as blocks.
"""

from typing import Any

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboard.charts import split_drawn, split_legend
from dashboard.first_steps import Step, steps_of, steps_of_installation
from dashboard.navigation import ADMINISTRATION, PAGES
from experiments.text import Text

register = template.Library()


@register.simple_tag
def main_pages() -> list[tuple[str, str, Text]]:
    """List the pages of the main menu: name, address and label."""
    return [(name, reverse(f"dashboard:{name}"), label) for name, label in PAGES]


@register.simple_tag
def administration_pages() -> list[tuple[str, str, Text]]:
    """List the pages of the administration's menu: name, address and label."""
    return [(name, reverse(f"dashboard:{name}"), label) for name, label in ADMINISTRATION]


register.simple_tag(split_drawn)
register.simple_tag(split_legend)
register.simple_tag(steps_of, name="first_steps")


@register.simple_tag(takes_context=True)
def first_steps_of_installation(context: dict[str, Any]) -> list[Step]:
    """List the first steps, with links to what the reader may do."""
    return steps_of_installation(may_edit=context["may_edit"], may_administer=context["may_administer"])


@register.simple_block_tag
def card(content: SafeString, name: str, title: Text, subtitle: Text = "") -> SafeString:
    """Draw a section with its heading, which other elements may name as ``<name>-title``."""
    below = format_html('<p class="card-subtitle">{}</p>', subtitle) if subtitle else ""
    return format_html(
        '<section class="card" aria-labelledby="{name}-title"><div class="card-header"><div>'
        '<h2 class="card-title" id="{name}-title">{title}</h2>{below}</div></div>{content}</section>',
        name=name,
        title=title,
        below=below,
        content=content,
    )


@register.simple_block_tag
def table(content: SafeString, name: str, look: str = "card-table", box: str = "") -> SafeString:
    """Draw a table that scrolls by itself, also by the keyboard, named by the heading of the card ``name``."""
    return format_html(
        '<div class="table-responsive{box}" tabindex="0" role="group" aria-labelledby="{name}-title">'
        '<table class="table table-vcenter numeric {look}" role="table">{content}</table></div>',
        name=name,
        look=look,
        box=f" {box}" if box else "",
        content=content,
    )


@register.simple_block_tag
def head(content: SafeString) -> SafeString:
    """Draw the row of a table that names its columns."""
    return format_html('<thead role="rowgroup"><tr role="row">{}</tr></thead>', content)


@register.simple_tag
def column(title: Text, note: Text = "", *, text: bool = False) -> SafeString:
    """Name a column of numbers, or of ``text``; the ``note`` says more in small letters."""
    small = format_html("<small>{}</small>", note) if note else ""
    if text:
        return format_html('<th scope="col" role="columnheader">{}{}</th>', title, small)
    return format_html('<th scope="col" role="columnheader" class="num">{}{}</th>', title, small)


@register.simple_block_tag
def number(content: SafeString, label: Text) -> SafeString:
    """Draw a cell with a number; the ``label`` of its column is shown where the table is stacked."""
    return format_html('<td role="cell" class="num" data-label="{}">{}</td>', label, content)
