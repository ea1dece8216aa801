"""Health checks: /health is about service, database and migrations, /health/live about this process alone."""

from functools import cache

from django.conf import settings
from django.db import Error, OperationalError, ProgrammingError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from bandit_project import __version__
from bandit_project.api.errors import problem_response
from experiments.database.prepared import Prepared
from experiments.database.rows import rows_of


@csrf_exempt
@never_cache
def health(request: HttpRequest) -> HttpResponse:
    """Answer 200 when requests can be served, else 503 with the reason."""
    if request.method not in ("GET", "HEAD"):
        detail = f'Method "{request.method}" not allowed. {request.path} takes GET, HEAD.'
        return problem_response(405, "method_not_allowed", detail, Allow="GET, HEAD")
    problem = database_problem()
    body = {
        "status": "unhealthy" if problem else "healthy",
        "database": problem or "ok",
        "version": __version__,
        "environment": settings.ENVIRONMENT,
    }
    return JsonResponse(body, status=503 if problem else 200)


@never_cache
def live(request: HttpRequest) -> JsonResponse:
    """Answer 200 while the process runs. The database is not asked, so that its outage restarts nothing."""
    return JsonResponse({"status": "alive", "version": __version__})


# How many migrations the database had, and the last one's id, when none was pending. Ids are not given twice.
_complete: tuple[int, int] | None = None
_NUMBER = Prepared("SELECT count(*), max(id) FROM django_migrations")


def database_problem() -> str | None:
    """Why requests cannot be served, or None."""
    global _complete
    try:
        if _complete is not None and _number() == _complete:
            return None
        applied = _applied_migrations()
        pending = len(_known_migrations() - set(applied))
    except Error:
        return "unreachable"
    _complete = None if pending else (len(applied), max(applied.values()))
    return f"{pending} pending migrations" if pending else None


def _number() -> tuple[int, int] | None:
    try:
        ((number, last),) = _NUMBER.rows([])
    except _table_is_missing():
        return None
    return number, last


def _applied_migrations() -> dict[tuple[str, str], int]:
    """Migrations of the database and their ids, by one short query, as a balancer may ask every second.

    Where only the table is missing, Django's recorder says so. A database that does not answer is not asked a second
    time: each attempt to connect may take as long as a probe waits.
    """
    try:
        return {
            (app, name): pk for app, name, pk in rows_of("SELECT app, name, id FROM django_migrations", [])
        }
    except _table_is_missing():
        return {place: made.pk for place, made in MigrationRecorder(connection).applied_migrations().items()}


def _table_is_missing() -> type[Error]:
    return OperationalError if connection.vendor == "sqlite" else ProgrammingError


@cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    """Migrations of the code, which do not change while it runs."""
    return frozenset(MigrationLoader(None).disk_migrations)
