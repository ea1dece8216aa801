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


@csrf_exempt
@never_cache
def health(request: HttpRequest) -> HttpResponse:
    """Answer 200 when requests can be served, else 503 with the reason."""
    if request.method not in ("GET", "HEAD"):
        detail = f'Method "{request.method}" not allowed.'
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


def database_problem() -> str | None:
    """Why requests cannot be served, or None."""
    try:
        pending = len(_known_migrations() - _applied_migrations())
    except Error:
        return "unreachable"
    return f"{pending} pending migrations" if pending else None


def _applied_migrations() -> set[tuple[str, str]]:
    """Migrations of the database, by one short query, as a balancer may ask every second.

    Where only the table is missing, Django's recorder says so. A database that does not answer is not asked a second
    time: each attempt to connect may take as long as a probe waits.
    """
    table_is_missing = OperationalError if connection.vendor == "sqlite" else ProgrammingError
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT app, name FROM django_migrations")
            return set(cursor.fetchall())
    except table_is_missing:
        return set(MigrationRecorder(connection).applied_migrations())


@cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    """Migrations of the code, which do not change while it runs."""
    return frozenset(MigrationLoader(None).disk_migrations)
