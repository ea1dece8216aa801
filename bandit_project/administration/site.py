"""The site of Django's admin. A reference to what is no column is refused on every page: Django's own code fails."""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.http import HttpRequest


class OnlyColumns(ModelAdmin[Any]):
    """A mixin for a ModelAdmin whose ``_to_field`` may name columns of the model and no relation of another one."""

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        """Return False for a relation as for an unknown name: Django would ask it whether it is the primary key."""
        try:
            is_column: bool = self.opts.get_field(to_field).concrete
        except FieldDoesNotExist:
            return False
        return is_column and super().to_field_allowed(request, to_field)


class Site(AdminSite):
    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: type[ModelAdmin[Any]] | None = None,
        **options: Any,
    ) -> None:
        """Register the model with a class of the same name that has the mixin; the packages' own models too."""
        base = admin_class or ModelAdmin
        super().register(model_or_iterable, type(base.__name__, (OnlyColumns, base), {}), **options)
