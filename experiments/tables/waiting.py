"""Files that wait in the database until a worker records them: each once, whatever happens to the worker.

A file is deleted in the transaction that records it. A worker that dies before the end has recorded nothing, and the
file still waits; one that dies after it has left nothing to record again.
"""

from dataclasses import asdict
from typing import Any

from django.utils import timezone

from experiments.exceptions import NotFoundError
from experiments.models import CsvUpload
from experiments.selectors import today
from experiments.tables.facts import facts_of
from experiments.tables.importing.report import ImportOptions
from experiments.tables.uploads import record_upload

TASK = "import"
# Who brought the file; no page shows it.
OWNER = "command"


def question_of(upload: CsvUpload, options: ImportOptions) -> dict[str, Any]:
    """Build what a worker is asked for a waiting file."""
    return {"token": upload.token, "options": asdict(options)}


def record_waiting(token: str, options: dict[str, Any]) -> dict[str, Any]:
    """Record a waiting file in a worker; ``processed`` rows of it, or ``issues`` why nothing was.

    ``facts``: what a person should know of those rows. ``gone``: it was recorded before, or has waited for too long.
    """
    upload = CsvUpload.objects.select_related("experiment").filter(token=token).first()
    if upload is None:
        return {"gone": True}
    try:
        report = record_upload(
            experiment=upload.experiment,
            owner=upload.owner,
            token=token,
            options=ImportOptions(**options),
            with_others=False,
            today=today(),
            now=timezone.now(),
        ).report
    except NotFoundError:  # another worker was faster
        return {"gone": True}
    issues = [str(issue) for issue in report.issues]
    if not (report.has_loaded or issues):
        issues = [issue.message for issue in report.refusals()]
    facts = list(facts_of(report)) if report.has_loaded else []
    return {"processed": report.processed_rows, "total": report.total_rows, "issues": issues, "facts": facts}
