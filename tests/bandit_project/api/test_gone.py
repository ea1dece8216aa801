"""DoesNotExist is a 404 only where a row of the address has gone; else it is a fault that is logged."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, get_resolver

from bandit_project.api.gone import NAMED
from experiments.models import Experiment, Variant
from experiments.services import delete_experiment
from tests.factory import make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

# Parts of addresses that name no row: words of a protocol, secrets, files that wait, the admin's own.
_NO_ROWS = {"app_label", "content_type_id", "id", "key", "token", "uidb64", "url"}


@pytest.fixture
def someone() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("ann"))
    return client


def _kwargs(patterns: list[Any]) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _kwargs(pattern.url_patterns)
        elif isinstance(pattern, URLPattern):
            yield from pattern.pattern.converters
            yield from getattr(pattern.pattern, "regex", None).groupindex  # type: ignore[union-attr]  # of any kind


@pytest.mark.database_free
def test_named__every_part_of_an_address__is_a_row_or_known_to_be_none() -> None:
    assert set(_kwargs(get_resolver().url_patterns)) - _NO_ROWS == {*NAMED, "reference", "object_id"}


@override_settings(DEBUG=False)
@pytest.mark.parametrize(
    ("broken", "path"),
    [
        ("dashboard.experiment.integrate.page.last_calls", "/dashboard/experiments/{e}/integrate/"),
        ("experiments.api.v1.parts.find_variant", "/api/v1/experiments/{e}/variants/{v}/"),
        ("allocation.api.v1.views.assign_one", "/api/v1/experiments/{e}/assignment/?unit=u"),
        (
            "experiments.admin.model_admins.ExperimentAdmin.get_form",
            "/admin/experiments/experiment/{e}/change/",
        ),
    ],
)
@pytest.mark.parametrize(("deleted", "status"), [(True, 404), (False, 500)])
def test_row_that_is_missed__is_404_only_where_the_address_names_one_that_is_gone(
    someone: Client, monkeypatch: pytest.MonkeyPatch, broken: str, path: str, deleted: bool, status: int
) -> None:
    experiment = make_running()
    variant = experiment.variants.order_by("id")[1].pk

    def miss(*args: Any, **kwargs: Any) -> None:
        if deleted:
            delete_experiment(experiment_id=experiment.pk)
        Experiment.objects.get(key="of-no-request")

    monkeypatch.setattr(broken, miss)

    with structlog.testing.capture_logs() as logs:
        response = someone.get(path.format(e=experiment.pk, v=variant))

    assert response.status_code == status
    (line,) = [line for line in logs if line["event"].startswith("request_")]
    assert (line["event"], line["code"]) == (
        ("request_failed", 500) if status == 500 else ("request_finished", 404)
    )


@override_settings(DEBUG=False)
def test_row_that_is_missed__a_variant_of_the_address_is_gone__is_404(
    someone: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = make_running()
    variant = experiment.variants.order_by("id")[1]

    def miss(*args: Any, **kwargs: Any) -> None:
        Variant.objects.filter(pk=variant.pk).delete()
        Variant.objects.get(pk=variant.pk)

    monkeypatch.setattr("experiments.api.v1.parts.find_variant", miss)

    response = someone.get(f"/api/v1/experiments/{experiment.pk}/variants/{variant.pk}/")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")
