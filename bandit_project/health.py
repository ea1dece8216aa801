"""Is the service able to work? Database reachable, migrations applied."""

from functools import cache

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bandit_project import __version__


@require_safe
@never_cache
def health(request: HttpRequest) -> JsonResponse:
    """200 when requests can be served, else 503 with what is missing."""
    problem = _database_problem()
    body = {
        "status": "unhealthy" if problem else "healthy",
        "database": problem or "ok",
        "version": __version__,
        "environment": settings.ENVIRONMENT,
    }
    return JsonResponse(body, status=503 if problem else 200)


def _database_problem() -> str | None:
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except DatabaseError:
        return "unreachable"
    pending = len(_known_migrations() - applied.keys())
    return f"{pending} pending migrations" if pending else None


@cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    """Those that came with the code; they do not change while it runs."""
    return frozenset(MigrationLoader(None).disk_migrations)
