"""Parts that the admin's lists and forms share."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

from experiments.exceptions import DomainError, ExperimentNotFoundError
from experiments.models import Experiment
from experiments.selectors import find_experiment

Listed = TypeVar("Listed", bound=Model)


class ExperimentFilter(admin.SimpleListFilter):
    """A filter by an experiment's id or key, instead of a list of ten thousand to choose from."""

    title = _("experiment")
    parameter_name = "experiment"
    template = "admin/experiment_filter.html"
    # Path from the listed model to its experiment.
    path = "experiment"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("", "")]  # none to choose from; an empty list would leave the filter out

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Keep the other filters when the field is sent."""
        others = changelist.get_filters_params()
        yield {
            "value": self.value() or "",
            "others": [(name, values[-1]) for name, values in others.items() if name != self.parameter_name],
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        try:
            return queryset.filter(**{self.path: find_experiment(str(self.value()))})
        except ExperimentNotFoundError:
            return queryset.none()


class MetricExperimentFilter(ExperimentFilter):
    path = "variant__experiment"


class TagFilter(admin.SimpleListFilter):
    """A filter by one of the tags that experiments have."""

    title = _("tag")
    parameter_name = "tag"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        used = Experiment.objects.exclude(tags="").order_by().values_list("tags", flat=True).distinct()
        tags = sorted({tag for text in used for tag in text.split()})
        return [(tag, tag) for tag in tags]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        tag = self.value()
        return queryset.filter(pk__in=Experiment.objects.tagged(tag).values("pk")) if tag else queryset


class ServiceAdmin(admin.ModelAdmin[Listed]):
    """A ModelAdmin whose forms call services: a refusal becomes a message above the form, and nothing has changed."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DomainError as error:
            messages.error(request, str(error))
            return redirect(request.get_full_path())


class ReadOnly:
    """A mixin for a ModelAdmin or an inline that shows and changes nothing."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def act_on_each(
    request: HttpRequest, experiments: Iterable[Experiment], act: Callable[[Experiment], str]
) -> None:
    """Call a service for each experiment and show a message for each; a refusal does not stop the others."""
    for experiment in experiments:
        try:
            messages.success(request, f"{experiment}: {act(experiment)}")
        except DomainError as error:
            messages.error(request, f"{experiment}: {error}")
