"""The manifests for Kubernetes, as far as they can be judged without a cluster."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.conftest import ROOT
from tests.deployment.test_manifests import load

pytestmark = pytest.mark.database_free

KUBERNETES = ROOT / "deploy/kubernetes"


KUBERNETES_VERSIONS = ("1.33", "1.37")


def _resources() -> list[dict[str, Any]]:
    names = load("deploy/kubernetes/base/kustomization.yaml")["resources"]
    return [load(f"deploy/kubernetes/base/{name}") for name in names]


def _pods() -> dict[str, dict[str, Any]]:
    """The pod of each resource that has one, by the resource's kind and name."""
    found = {}
    for resource in _resources():
        spec = resource.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template:
            found[f"{resource['kind']}/{resource['metadata']['name']}"] = template
    return found


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_kubernetes__every_manifest__follows_the_clusters_schema(version: str) -> None:
    for resource in _resources():
        kubernetes_validate.validate(resource, version, strict=True)


def test_kubernetes__what_is_laid_over__names_resources_that_exist() -> None:
    known = {(resource["kind"], resource["metadata"]["name"]) for resource in _resources()}
    for path in KUBERNETES.glob("overlays/*/kustomization.yaml"):
        for patch in yaml.safe_load(path.read_text())["patches"]:
            target = patch.get("target") or _identity(path.parent / patch["path"])
            assert (target["kind"], target["name"]) in known


def _identity(path: Path) -> dict[str, str]:
    document = yaml.safe_load(path.read_text())
    return {"kind": document["kind"], "name": document["metadata"]["name"]}


def test_kubernetes__client_there__builds_the_overlay() -> None:
    kubectl = shutil.which("kubectl")
    if not kubectl:
        pytest.skip("kubectl is not here; the manifests have been checked one by one")

    built = subprocess.run(
        [kubectl, "kustomize", KUBERNETES / "overlays/example"], capture_output=True, text=True, check=True
    ).stdout

    documents = list(yaml.safe_load_all(built))
    for document in documents:
        kubernetes_validate.validate(document, KUBERNETES_VERSIONS[0], strict=True)
    assert len(documents) == len(_resources()) + 1  # the settings, which are generated
    (settings_map,) = [d for d in documents if d["kind"] == "ConfigMap"]
    assert settings_map["data"]["TIME_ZONE"] == "Europe/Berlin"
    assert settings_map["data"]["ALLOWED_HOSTS"] == "experiments.example.com"
    # Pods start again when a setting changes: they name the digest of all.
    names = {c["envFrom"][0]["configMapRef"]["name"] for c in _containers(documents)}
    assert names == {settings_map["metadata"]["name"]} != {"bandit-settings"}
    assert {rule["host"] for d in documents if d["kind"] == "Ingress" for rule in d["spec"]["rules"]} == {
        "experiments.example.com"
    }
    assert {document["metadata"].get("namespace", "bandit") for document in documents} == {"bandit"}


def _containers(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    specs = [d["spec"]["template"]["spec"] for d in documents if d["kind"] in ("Deployment", "Job")]
    return [spec["containers"][0] for spec in specs]


def test_kubernetes__decisions__are_made_where_time_zone_counts() -> None:
    """A CronJob has a time zone of its own, which would have to be changed along."""
    assert {r["kind"] for r in _resources()} & {"CronJob"} == set()
    scheduler = _pods()["Deployment/bandit-scheduler"]["spec"]["containers"][0]

    assert scheduler["args"] == ["scheduler"]
    for probe in ("startupProbe", "livenessProbe"):
        assert scheduler[probe]["exec"]["command"] == ["python", "deploy/healthcheck.py", "scheduler"]
    assert "TIME_ZONE=" in (KUBERNETES / "base/settings.env").read_text()


@pytest.mark.parametrize("name", ["base/ingress.yaml", "optional/route.yaml"])
def test_kubernetes__metrics__are_not_for_visitors(name: str) -> None:
    text = (KUBERNETES / name).read_text()
    selectors = {
        r["metadata"]["name"]: r["spec"]["selector"]["app.kubernetes.io/name"]
        for r in _resources()
        if r["kind"] == "Service"
    }

    assert re.search(r"/metrics\b.*?name: bandit-nothing", text, re.S)
    assert selectors["bandit-nothing"] not in {"bandit", "bandit-job"}


def test_workers__compose_and_kubernetes__run_as_the_scheduler_does() -> None:
    """Each is optional, and what the scheduler is not: several."""
    services = load("docker-compose.prod.yml")["services"]
    deployment, policy = yaml.safe_load_all((KUBERNETES / "optional/workers.yaml").read_text())
    pod, scheduler = deployment["spec"]["template"]["spec"], _pods()["Deployment/bandit-scheduler"]["spec"]

    for document in (deployment, policy):
        for version in KUBERNETES_VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)
    for name in ("worker", "redis"):
        assert services[name]["profiles"] == ["workers"]
    assert services["worker"]["command"] == pod["containers"][0]["args"] == ["worker"]
    assert pod["securityContext"] == scheduler["securityContext"]
    for name in ("securityContext", "image", "envFrom", "volumeMounts", "livenessProbe"):
        assert pod["containers"][0][name] == scheduler["containers"][0][name]
    assert {rule["port"] for rule in policy["spec"]["egress"][0]["ports"]} == {6379}


def test_kubernetes__every_pod__is_restricted_as_its_namespace_demands() -> None:
    pods = _pods()

    assert len(pods) == 3
    for name, template in pods.items():
        pod, container = template["spec"], template["spec"]["containers"][0]
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}, name
        assert container["resources"]["limits"]["memory"], name


def test_kubernetes__pods__take_secrets_by_reference_and_the_files_hold_none() -> None:
    assert [resource for resource in _resources() if resource["kind"] == "Secret"] == []
    for template in _pods().values():
        sources = template["spec"]["containers"][0]["envFrom"]
        assert sources == [
            {"configMapRef": {"name": "bandit-settings"}},
            {"secretRef": {"name": "bandit-secrets"}},
        ]


def test_kubernetes__deployment__is_probed_and_selected_by_what_names_it() -> None:
    template = _pods()["Deployment/bandit"]
    container, labels = template["spec"]["containers"][0], template["metadata"]["labels"]

    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health"
    assert container["startupProbe"]["failureThreshold"] * container["startupProbe"]["periodSeconds"] >= 60
    for resource in _resources():
        if (
            resource["kind"] in ("Service", "PodDisruptionBudget")
            and resource["metadata"]["name"] == "bandit"
        ):
            selector = resource["spec"]["selector"]
            assert selector.get("matchLabels", selector).items() <= labels.items()
