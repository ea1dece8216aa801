"""Forms as an operator sends them."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client

from experiments.models import DailyMetric, Experiment


def change_form(experiment: Experiment, **changes: Any) -> dict[str, Any]:
    own = {name: "" if value is None else value for name, value in experiment.own_settings().items()}
    own["day_adjustment"] = "unknown"
    formset = {
        f"{name}-{number}": 0
        for name in ("variants", "guards", "notes")
        for number in ("TOTAL_FORMS", "INITIAL_FORMS")
    }
    return {"name": experiment.name, "description": "", "on_end": "pause", **own, **formset, **changes}


def metric_of(name: str = "control") -> DailyMetric:
    return DailyMetric.objects.get(variant__name=name)


def correction_of(metric: DailyMetric, **changes: Any) -> dict[str, Any]:
    counts = {"impressions": metric.impressions, "clicks": metric.clicks, "conversions": metric.conversions}
    return {**counts, "reason": "wrong export", **changes}


def act(client: Client, action: str, *experiments: Experiment) -> str:
    chosen = [experiment.pk for experiment in experiments]
    response = client.post(
        "/admin/experiments/experiment/", {"action": action, "_selected_action": chosen}, follow=True
    )
    return response.content.decode()


def staff(role: str) -> Client:
    person = get_user_model().objects.create_user(role, password="pw", is_staff=True)
    person.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(person)
    return client
