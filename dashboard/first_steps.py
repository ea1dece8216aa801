"""The first steps of an installation and of an experiment, each ticked once it is done."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from bandit_project.administration.keys import list_keys
from dashboard.experiment.summary import Summary
from experiments.models import Experiment, Status

_FEWEST_VARIANTS = 2


@dataclass(frozen=True)
class Step:
    """One step. ``url``: where it is done, empty where only earlier steps open it; ``posts``: by a click there."""

    label: str
    note: str
    is_done: bool
    url: str = ""
    posts: bool = False


def steps_of(experiment: Experiment, summary: Summary) -> list[Step]:
    """List the steps of an experiment; empty once all are done, or where none can be; at most one query."""
    steps = _steps(experiment, summary) if experiment.is_open else []
    return [] if all(step.is_done for step in steps) else steps


def _steps(experiment: Experiment, summary: Summary) -> list[Step]:
    def at(page: str) -> str:
        return reverse(f"dashboard:{page}", kwargs={"reference": experiment.key})

    has_variants = sum(v.is_active for v in experiment.variants.all()) >= _FEWEST_VARIANTS
    has_started = experiment.status != Status.DRAFT
    has_data = experiment.data_summary.latest_date is not None
    # the nightly run records an even split without any data: that is nothing to look at
    is_decided = has_data and summary.allocation is not None
    return [
        Step(
            _("Add variants"),
            _("At least two: the control and what you compare with it."),
            has_variants,
            at("settings") + "#variants",
        ),
        Step(
            _("Start the experiment"),
            _("A draft takes no data."),
            has_started,
            at("start") if has_variants else "",
            posts=True,
        ),
        Step(
            _("Get a variant on your site"),
            _("Copy the code, or apply the traffic shares by hand."),
            # impressions are visitors who got a variant, also where calls need no key and leave no trace
            has_data or _has_called(experiment),
            at("integrate"),
        ),
        Step(
            _("Send the first data"),
            _("Impressions and clicks of a day: by the API, as a file or by hand."),
            has_data,
            at("data") if has_started else "",
        ),
        Step(
            _("See the first allocation"),
            _("It is computed every night; “Update allocation” computes it now."),
            is_decided,
            at("traffic") if has_started else "",
        ),
    ]


def _has_called(experiment: Experiment) -> bool:
    """Check whether any key was used since the experiment exists: keys are not of one experiment."""
    return list_keys().filter(last_used_at__gte=experiment.created_at).exists()


def steps_of_installation(*, may_edit: bool, may_administer: bool) -> list[Step]:
    """List the steps of an installation without experiments, with links to what the reader may do; one query."""
    return [
        Step(
            _("Create an experiment"),
            _("Name what you compare and its variants. Everything else has a default."),
            False,
            reverse("dashboard:new") if may_edit else "",
        ),
        Step(
            _("Create an API key"),
            _("Your software calls with it. Numbers can also be uploaded without one."),
            list_keys().filter(revoked=False).exists(),
            reverse("dashboard:keys") if may_administer else "",
        ),
        Step(_("Get a variant on your site"), _("The experiment's page “Integrate” has the code."), False),
        Step(
            _("Send the first data"),
            _("Impressions and clicks of a day: by the API, as a file or by hand."),
            False,
        ),
        Step(_("See the first allocation"), _("From then on traffic moves every day."), False),
    ]
