"""The deployment files but Kubernetes', as far as they can be judged without a container engine."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from django.conf import settings

from experiments.tables.uploads import most_bytes, shown_size
from tests.conftest import ROOT
from tests.deployment.dockerfile import copied_names, docker_instructions

pytestmark = pytest.mark.database_free


COMPOSE = ("docker-compose.yml", "docker-compose.prod.yml", "docker-compose.sqlite.yml")


PRODUCTION = COMPOSE[1:]


# Of the repository's folders, those that nothing needs once it is installed.
_NOT_IN_THE_IMAGE = {".ci", ".github", "scripts", "tests", "clients", "examples"}


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return document


def _tracked_folders() -> set[str]:
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=True)
    return {name.split("/")[0] for name in listed.stdout.splitlines() if "/" in name}


def test_dockerfile__copies__every_source_exists_and_nothing_is_fetched() -> None:
    instructions = docker_instructions()

    assert [name for name in copied_names() if not (ROOT / name).exists()] == []
    assert [words for name, words in instructions if name == "ADD" or "http" in words] == []


def test_dockerfile__copies__every_folder_that_runs() -> None:
    copied = {name.split("/")[0] for name in copied_names()}

    assert _tracked_folders() - copied - _NOT_IN_THE_IMAGE == set()


def test_dockerignore__lets_through__what_is_copied_alone() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()

    assert lines[1] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == set(copied_names())


def test_dockerfile__last_stage__is_unprivileged_and_says_whether_it_is_well() -> None:
    instructions = docker_instructions()
    last = dict(instructions[max(i for i, (name, _) in enumerate(instructions) if name == "FROM") :])

    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", last["USER"])
    assert (ROOT / "deploy/healthcheck.py").exists()
    assert '["python", "deploy/healthcheck.py"]' in last["HEALTHCHECK"]
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert last["ENTRYPOINT"] == '["/app/deploy/entrypoint.sh"]'
    assert "org.opencontainers.image.version" in last["LABEL"]


def test_dockerfile__packages__are_checked_against_hashes_and_leave_no_cache() -> None:
    runs = " ".join(words for name, words in docker_instructions() if name in ("RUN", "ENV"))

    assert "--require-hashes" in runs
    assert "PIP_NO_CACHE_DIR=1" in runs


def test_entrypoint__is_executable_and_parses() -> None:
    path = ROOT / "deploy/entrypoint.sh"

    assert path.stat().st_mode & 0o111
    for script in (path, ROOT / "dev"):
        subprocess.run(["sh", "-n", script], check=True)


@pytest.mark.parametrize("name", COMPOSE)
def test_compose__file__follows_the_specification(name: str) -> None:
    jsonschema.validate(load(name), get_builtin_schema("compose-spec"))


@pytest.mark.parametrize("name", COMPOSE)
def test_compose__client_there__accepts_the_file(name: str) -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not here; the schema has been checked")
    environment = {"PATH": str(Path(docker).parent), "ALLOWED_HOSTS": "example.com"}

    subprocess.run(
        [docker, "compose", "--file", name, "config", "--quiet"], cwd=ROOT, env=environment, check=True
    )


def test_compose__development_with_an_empty_env__needs_no_variable() -> None:
    text = (ROOT / "docker-compose.yml").read_text()

    assert re.findall(r"\$\{(\w+)(?!\w|:-)", text) == []
    assert "127.0.0.1:${PORT:-8000}:8000" in text


def _services(name: str) -> dict[str, Any]:
    """Services of a production file, but those that it takes from another."""
    services: dict[str, Any] = load(name)["services"]
    return {key: service for key, service in services.items() if "extends" not in service}


@pytest.mark.parametrize("file", PRODUCTION)
def test_compose__production__every_service_is_confined(file: str) -> None:
    for name, service in _services(file).items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
        assert "privileged" not in service, name


def test_compose__production__only_nginx_is_reachable_and_waits_for_the_rest() -> None:
    services = load("docker-compose.prod.yml")["services"]

    public = {
        name for name, s in services.items() if [p for p in s.get("ports", []) if "127.0.0.1:" not in p]
    }
    assert public == {"nginx"}
    assert services["app"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert services["migrate"]["depends_on"]["database"]["condition"] == "service_healthy"
    # No restart with it: nginx asks whichever app there is, and finds its new address.
    assert services["nginx"]["depends_on"]["app"] == {"condition": "service_healthy"}
    assert services["scheduler"]["command"] == ["scheduler"]


@pytest.mark.parametrize("file", PRODUCTION)
def test_compose__production__what_stays_up_has_a_health_check_that_comes_soon(file: str) -> None:
    """up --wait fails for a service without one, and waits for the first check of the others."""
    for name, service in _services(file).items():
        if name == "migrate" or "profiles" in service:
            continue
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["healthcheck"]["interval"] == "5s", name


@pytest.mark.parametrize("file", PRODUCTION)
def test_compose__production__one_service_builds_the_image_that_all_use(file: str) -> None:
    services = _services(file)
    ours = [service for service in services.values() if service["image"].startswith("bandit:")]

    assert [name for name, service in services.items() if "build" in service] == ["migrate"]
    assert len(ours) == (4 if "worker" in services else 3)
    assert {service["pull_policy"] for service in ours} == {"never"}
    assert services["migrate"]["build"]["args"].keys() == {"VERSION", "REVISION"}


def test_compose__production__starts_on_a_machine_of_one_processor() -> None:
    for name, service in load("docker-compose.prod.yml")["services"].items():
        assert service["deploy"]["resources"]["limits"]["cpus"] in ("1", "${APP_CPUS:-0}"), name


def test_dockerfile__checked_out_for_one_user_alone__is_readable_by_the_services_user() -> None:
    build = [words for name, words in docker_instructions() if name == "RUN" and "collectstatic" in words]

    assert build[0].endswith("chmod -R go=rX /app")


def test_dockerfile__containers_without_sqlite__leave_no_volume_behind() -> None:
    assert "VOLUME" not in dict(docker_instructions())


def test_nginx__service_with_another_address__is_looked_up_again() -> None:
    text = (ROOT / "deploy/nginx/nginx.conf").read_text()

    assert re.search(r"^ *resolver \S+ valid=1s;", text, re.M)
    assert not re.search(r"^ *upstream\b", text, re.M)
    assert re.search(r"proxy_pass \$\w+;", text)


def test_compose__production__secrets_come_from_files_that_git_does_not_take() -> None:
    document = load("docker-compose.prod.yml")
    ignored = (ROOT / ".gitignore").read_text().splitlines()

    assert "/deploy/secrets/" in ignored
    assert all(secret["file"].startswith("./deploy/secrets/") for secret in document["secrets"].values())
    for service in document["services"].values():
        given = service.get("environment", {})
        assert [n for n in given if re.search("PASSWORD$|KEY$|TOKEN$", n) and given[n]] == []


def test_deployment_files__body_limit__is_the_services_default() -> None:
    nginx = (ROOT / "deploy/nginx/nginx.conf").read_text()
    ingress = load("deploy/kubernetes/base/ingress.yaml")["metadata"]["annotations"]

    assert f"client_max_body_size {settings.MAX_BODY_BYTES};" in nginx
    assert f"A file may have at most {shown_size(most_bytes())}:" in nginx
    assert ingress["nginx.ingress.kubernetes.io/proxy-body-size"] == str(settings.MAX_BODY_BYTES)


def _render_variables(service: dict[str, Any]) -> set[str]:
    groups = {group["name"]: group["envVars"] for group in load("render.yaml")["envVarGroups"]}
    names = set()
    for variable in service["envVars"]:
        inherited = groups[variable["fromGroup"]] if "fromGroup" in variable else [variable]
        names |= {entry["key"] for entry in inherited}
    return names


def test_render__services__have_what_a_start_needs() -> None:
    document = load("render.yaml")
    services = {service["name"]: service for service in document["services"]}

    assert services["bandit"]["healthCheckPath"] == "/health"
    assert services["bandit"]["preDeployCommand"].endswith("entrypoint.sh migrate")
    # One that decides in TIME_ZONE, where a cron job has UTC.
    assert services["bandit-scheduler"]["dockerCommand"].endswith("entrypoint.sh scheduler")
    assert {service["type"] for service in services.values()} == {"web", "worker"}
    assert "TIME_ZONE" in _render_variables(services["bandit-scheduler"])
    for service in services.values():
        assert {"SECRET_KEY", "DATABASE_URL", "PROXY_COUNT"} <= _render_variables(service)
        assert service["type"] == "web" or "ALLOWED_HOSTS" in _render_variables(service)


def test_render__references__name_what_the_blueprint_makes() -> None:
    document = load("render.yaml")
    databases = {database["name"] for database in document["databases"]}
    services = {service["name"] for service in document["services"]}
    for service in document["services"]:
        for variable in service["envVars"]:
            assert variable.get("fromDatabase", {}).get("name") in databases | {None}
            assert variable.get("fromService", {}).get("name") in services | {None}


def test_render__secrets__are_generated() -> None:
    (group,) = load("render.yaml")["envVarGroups"]
    for variable in group["envVars"]:
        if re.search("KEY$|TOKEN$", variable["key"]):
            assert variable == {"key": variable["key"], "generateValue": True}


def test_render__metrics__are_not_served() -> None:
    """Everything there is for visitors: without a token, /metrics answers 404."""
    for service in load("render.yaml")["services"]:
        assert not {name for name in _render_variables(service) if name.startswith("METRICS_")}


@pytest.mark.parametrize("name", ["ci.yml", "explore.yml"])
def test_workflow__file__follows_the_schema_and_pins_its_actions(name: str) -> None:
    text = (ROOT / ".github/workflows" / name).read_text()
    # YAML 1.1 reads the word on as true.
    document = yaml.safe_load(re.sub("^on:", '"on":', text, flags=re.M))

    jsonschema.validate(document, get_builtin_schema("vendor.github-workflows"))
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert [action for action in used if not re.search(r"@[0-9a-f]{40}$", action)] == []
