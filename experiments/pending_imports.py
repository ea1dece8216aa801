"""A file between its preview and its confirmation in the admin, kept in the database: whichever worker or machine
answers the second request finds it."""

import datetime as dt
import uuid
from typing import Any

from django.utils import timezone
from import_export.tmp_storages import BaseStorage

from experiments.models import PendingImport

KEPT_FOR = dt.timedelta(days=1)


class DatabaseStorage(BaseStorage):  # type: ignore[misc]  # the library is untyped
    """What django-import-export asks of a place for files; names are not to be guessed."""

    name: str | None

    def save(self, data: Any) -> None:
        self.name = uuid.uuid4().hex
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        PendingImport.objects.create(name=self.name, text=text, created_at=timezone.now())

    def read(self) -> str:
        return PendingImport.objects.get(name=self.name).text

    def remove(self) -> None:
        PendingImport.objects.filter(name=self.name).delete()


def prune_pending_imports(*, now: dt.datetime) -> int:
    """Files whose preview nobody confirmed; how many."""
    return PendingImport.objects.filter(created_at__lt=now - KEPT_FOR).delete()[0]
