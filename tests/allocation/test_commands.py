import datetime as dt
import io

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from allocation.models import Allocation, AllocationShare, Kind
from experiments.models import DailyMetric, Experiment, Status
from notifications.models import Delivery, Endpoint
from tests.factory import TODAY, make_experiment, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]


def test_allocate__no_options__computes_every_active_experiment_and_reports_failures() -> None:
    good, empty = make_running("Good"), make_experiment("Empty")
    out, err = io.StringIO(), io.StringIO()

    call_command("allocate", stdout=out, stderr=err)

    assert f"1 computed for {TODAY}, 1 failed." in out.getvalue()
    assert f"good (experiment {good.pk}): control " in out.getvalue()
    assert f"empty (experiment {empty.pk}): " in err.getvalue()
    assert "no active variant" in err.getvalue()


def test_allocate__experiment_and_date__computes_that_one_for_that_day() -> None:
    experiment = make_running()

    call_command("allocate", experiment=experiment.key, date=dt.date(2025, 9, 2), stdout=io.StringIO())

    assert Allocation.objects.get().target_date == dt.date(2025, 9, 2)


def test_allocate__named_experiment_fails__ends_with_an_error() -> None:
    empty = make_experiment("Empty")
    out, err = io.StringIO(), io.StringIO()

    with pytest.raises(CommandError, match="named has no new allocation") as failed:
        call_command("allocate", "--experiment", empty.key, stdout=out, stderr=err)

    assert failed.value.returncode == 1
    assert f"0 computed for {TODAY}, 1 failed." in out.getvalue()
    assert "no active variant" in err.getvalue()


@pytest.mark.parametrize("date", ["yesterday", "1999-01-01", "2099-01-01"])
def test_allocate__impossible_date__is_refused(date: str) -> None:
    with pytest.raises(CommandError, match="--date"):
        call_command("allocate", "--date", date)


def test_allocate__unknown_experiment__is_refused() -> None:
    with pytest.raises(CommandError, match="no experiment"):
        call_command("allocate", "--experiment", "none")


def test_seed_demo__empty_installation__is_believable_and_notifies_nobody(settings: Settings) -> None:
    settings.DEBUG = True
    Endpoint.objects.create(
        name="ops", address="https://hooks.example.com/", events=["leader.found", "experiment.decided"]
    )

    call_command("seed_demo", stdout=io.StringIO())

    assert not Delivery.objects.exists()
    assert Experiment.objects.count() >= 6
    assert set(Experiment.objects.values_list("status", flat=True)) == set(Status.values)
    assert set(Allocation.objects.values_list("kind", flat=True)) == {
        Kind.WARM_UP,
        Kind.OPTIMIZED,
        Kind.COMPLETED,
    }
    assert get_user_model().objects.get(username="demo").check_password("demo-only")
    # Traffic follows the shares: the leader of the longest experiment got most of the last week's impressions.
    headline = Experiment.objects.get(key="homepage-headline")
    days = DailyMetric.objects.filter(variant__experiment=headline).values("date").distinct().count()
    assert 60 <= days <= 120
    last = DailyMetric.objects.filter(variant__experiment=headline).order_by("-date").first()
    assert last is not None
    share = AllocationShare.objects.get(
        allocation__experiment=headline, allocation__target_date=last.date, variant__name="benefit"
    )
    seen = {
        m.variant.name: m.impressions
        for m in DailyMetric.objects.filter(variant__experiment=headline, date=last.date)
    }
    assert seen["benefit"] / sum(seen.values()) == pytest.approx(float(share.share), abs=0.03)


def test_seed_demo__again__adds_nothing(settings: Settings) -> None:
    settings.DEBUG = True
    make_running()
    out = io.StringIO()

    call_command("seed_demo", stdout=out)

    assert "no demo data was added" in out.getvalue()
    assert Experiment.objects.count() == 1


def test_seed_demo__in_production__makes_no_user(settings: Settings) -> None:
    settings.DEBUG = False
    make_running()

    call_command("seed_demo", stdout=io.StringIO())

    assert not get_user_model().objects.exists()


def test_allocate__more_experiments__no_more_queries() -> None:
    def queries() -> int:
        Allocation.objects.all().delete()
        with CaptureQueriesContext(connection) as captured:
            call_command("allocate", stdout=io.StringIO())
        return len(captured)

    make_running("First")
    make_running("Second")
    few_new, few_known = queries(), queries()
    for n in range(6):
        make_running(f"Further {n}")

    # the whole histories of the new ones, and the open days of the others
    assert queries() == few_new + 2
    assert queries() == few_known
    assert Allocation.objects.count() == 8
