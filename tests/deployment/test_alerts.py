"""The alert rules, by Prometheus' own tool. Debian and Ubuntu have it in the package prometheus."""

import shutil
import subprocess

import pytest
import yaml

from tests.conftest import ROOT

pytestmark = pytest.mark.database_free

FOLDER = ROOT / "deploy/prometheus"
TESTS = ("alerts_test.yml", "alerts_days_test.yml")


def _promtool(*arguments: str) -> str:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not here; tests of the metrics have compared the names")
    result = subprocess.run([promtool, *arguments], cwd=FOLDER, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_rules__by_promtool__are_valid() -> None:
    assert "SUCCESS" in _promtool("check", "rules", "alerts.yml")


def test_rules__on_made_up_series__fire_when_they_should_and_only_then() -> None:
    assert "SUCCESS" in _promtool("test", "rules", *TESTS)


def test_rules__of_outages__each_has_a_unit_test() -> None:
    tests = [test for name in TESTS for test in yaml.safe_load((FOLDER / name).read_text())["tests"]]
    tested = {t["alertname"] for test in tests for t in test["alert_rule_test"] if t["exp_alerts"]}

    assert tested == {
        "BanditDown", "BanditUnreachable", "BanditDatabaseDown", "BanditSchedulerStopped", "BanditBackupOld",
        "BanditNoBackup", "BanditCertificateExpires",
    }  # fmt: skip


def test_configuration__jobs_of_the_rules__are_scraped() -> None:
    jobs = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]

    assert {job["job_name"] for job in jobs} == {"bandit", "bandit-https"}
