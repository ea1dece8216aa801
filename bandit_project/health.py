"""Is the service able to work? Database reachable, migrations applied."""

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
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
        executor = MigrationExecutor(connection)
        pending = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError:
        return "unreachable"
    return f"{pending} pending migrations" if pending else None
