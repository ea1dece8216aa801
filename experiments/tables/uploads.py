"""Uploaded CSVs between preview and confirmation.

The file waits in the database, which all workers share, under a token that only its owner's page knows: the rows
recorded are the rows previewed, whatever a browser sends.
"""

import datetime as dt
import io
import secrets

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from experiments.audit import record_history
from experiments.exceptions import InvalidError, Issue, NotFoundError
from experiments.models import CsvUpload, Experiment
from experiments.tables.importer import import_csv
from experiments.tables.preview import KEPT_LINES, CsvPreview, preview_csv
from experiments.tables.rows import read_rows

# About 200,000 rows, well within MAX_BODY_BYTES. import_events streams larger files.
MAX_UPLOAD_BYTES = 8 * 1024 * 1024
KEPT_FOR = dt.timedelta(hours=1)


def keep_upload(
    *, experiment: Experiment, owner: str, name: str, content: bytes, now: dt.datetime
) -> CsvUpload:
    """Keep a file for its preview; raise InvalidError if it cannot be read or holds no row."""
    # read to the end: bytes that are no text may be anywhere
    if not sum(1 for _row in read_rows(_lines(content))):
        raise InvalidError([Issue("file", "empty", _("the file holds no row under its header"))])
    return CsvUpload.objects.create(
        token=secrets.token_urlsafe(24),
        owner=owner,
        experiment=experiment,
        name=name[: CsvUpload.NAME_LENGTH],
        content=content,
        created_at=now,
    )


def find_upload(
    *,
    experiment: Experiment,
    owner: str,
    token: str,
    now: dt.datetime,
    uploads: "QuerySet[CsvUpload] | None" = None,
) -> CsvUpload:
    """Return the owner's own file for this experiment; raise NotFoundError once it is recorded or too old."""
    chosen = CsvUpload.objects.all() if uploads is None else uploads
    found = chosen.filter(
        experiment=experiment, owner=owner, token=token, created_at__gt=now - KEPT_FOR
    ).first()
    if found is None:
        raise NotFoundError(
            _("This upload has been recorded already, or has waited for too long. Upload it again.")
        )
    return found


def preview_upload(upload: CsvUpload, *, today: dt.date, now: dt.datetime) -> CsvPreview:
    """Preview the recording of an upload."""
    return preview_csv(lambda: _lines(upload.content), experiment=upload.experiment, today=today, now=now)


def record_upload(
    *,
    experiment: Experiment,
    owner: str,
    token: str,
    skip_bad_rows: bool,
    with_others: bool,
    today: dt.date,
    now: dt.datetime,
) -> CsvPreview:
    """Record the file once and return its effects. ``with_others`` takes rows of other experiments too.

    Without ``skip_bad_rows`` one bad row means that nothing is written, and the file is kept.
    """
    done = CsvPreview.of(experiment)
    with transaction.atomic():
        waiting = CsvUpload.objects.select_for_update()
        upload = find_upload(experiment=experiment, owner=owner, token=token, now=now, uploads=waiting)
        done.report = report = import_csv(
            lambda: _lines(upload.content),
            today=today,
            now=now,
            on_error="skip" if skip_bad_rows else "reject",
            only=None if with_others else experiment,
            kept_issues=KEPT_LINES,
            observer=done.observe,
            source="dashboard",
        )
        if report.processed_rows:
            upload.delete()
            said = _("Data from %(file)s: %(rows)s rows") % {
                "file": upload.name,
                "rows": report.processed_rows,
            }
            record_history(list(Experiment.objects.filter(pk__in=report.experiment_ids)), reason=said)
    return done


def prune_uploads(*, now: dt.datetime) -> int:
    """Delete uploads that are too old to be recorded; return their number."""
    deleted, _by_model = CsvUpload.objects.filter(created_at__lte=now - KEPT_FOR).delete()
    return deleted


def _lines(content: bytes | memoryview) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")
