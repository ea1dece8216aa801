from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AllocationConfig(AppConfig):
    name = "allocation"
    verbose_name = _("Decisions")

    def ready(self) -> None:
        from allocation.arrivals import look_at_arrived
        from experiments.ingestion.arrivals import watch_arrivals

        watch_arrivals(look_at_arrived)
