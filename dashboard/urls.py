from django.urls import path

from dashboard.views import actions, experiments, lab, tabs

app_name = "dashboard"

_ONE = "experiments/<str:reference>/"

urlpatterns = [
    path("", experiments.experiments, name="experiments"),
    path("load-demo/", actions.load_demo, name="load-demo"),
    path(_ONE, tabs.overview, name="overview"),
    path(f"{_ONE}performance/", tabs.performance, name="performance"),
    path(f"{_ONE}allocation/", tabs.allocation, name="allocation"),
    path(f"{_ONE}regret/", tabs.regret, name="regret"),
    path(f"{_ONE}confidence/", tabs.confidence, name="confidence"),
    path(f"{_ONE}activity/", tabs.activity, name="activity"),
    path(f"{_ONE}start/", actions.start, name="start"),
    path(f"{_ONE}pause/", actions.pause, name="pause"),
    path(f"{_ONE}resume/", actions.resume, name="resume"),
    path(f"{_ONE}complete/", actions.complete, name="complete"),
    path(f"{_ONE}recompute/", actions.recompute, name="recompute"),
    path("simulator/", lab.simulator, name="simulator"),
    path("simulator/run/", lab.simulator_run, name="simulator-run"),
    path("backtest/", lab.backtest, name="backtest"),
    path("backtest/run/", lab.backtest_run, name="backtest-run"),
    path("planner/", lab.planner, name="planner"),
    path("planner/run/", lab.planner_run, name="planner-run"),
    path("algorithm/", lab.algorithm, name="algorithm"),
]
