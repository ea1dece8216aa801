"""Meanings of the headers of an experiment's files, where a person gave them."""

from collections.abc import Mapping

from django.db import transaction

from experiments.audit import coded, record_history
from experiments.models import ColumnMapping, Experiment
from experiments.tables.reading.synonyms import plain


def remembered_columns(experiment: Experiment) -> dict[str, str]:
    """Return the column that each header is, by the header's plain form; "" is a column that is not needed."""
    rows = ColumnMapping.objects.filter(experiment=experiment).values_list("header", "column")
    return dict(rows)


def by_plain_form(columns: Mapping[str, str]) -> dict[str, str]:
    """Key answers by the plain form of their headers; a header without letters or digits has none."""
    return {plain(header): column for header, column in columns.items() if plain(header)}


def remember_columns(experiment: Experiment, columns: Mapping[str, str]) -> None:
    """Keep the column that each header is; "" is a column that is not needed. Other headers stay as they were."""
    ColumnMapping.objects.bulk_create(
        [
            ColumnMapping(experiment=experiment, header=form, column=column)
            for form, column in by_plain_form(columns).items()
        ],
        update_conflicts=True,
        unique_fields=["experiment", "header"],
        update_fields=["column"],
    )


def forget_columns(experiment: Experiment) -> int:
    """Ask again what the columns of the next file are; return how many answers are forgotten, which is recorded."""
    with transaction.atomic():
        forgotten, _by_model = ColumnMapping.objects.filter(experiment=experiment).delete()
        if forgotten:
            present = Experiment.objects.filter(pk=experiment.pk)
            record_history(list(present), reason=coded("columns.forgotten", count=forgotten))
    return forgotten
