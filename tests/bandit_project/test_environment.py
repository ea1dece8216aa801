"""Environment variables: how they are read, and what an invalid one does."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

from allocation.engine import Settings
from bandit_project.environment import Environment
from experiments.settings_schema import ALGORITHM_SETTINGS
from tests.bandit_project.starts import start

pytestmark = pytest.mark.database_free


GOOD_KEY = "".join(map(chr, range(48, 123)))  # 75 different characters
CHECK = (
    "import django; from django.core.management import call_command; django.setup(); call_command('check')"
)


def test_algorithm_defaults__empty_environment__are_the_engines() -> None:
    environment = Environment({})

    assert Settings(**environment.algorithm_defaults()) == Settings()  # type: ignore[arg-type]  # values by name
    assert environment.problems == []


def test_algorithm_defaults__names_of_existing_installations__are_read() -> None:
    environment = Environment(
        {
            "ALPHA_PRIOR": "2",
            "BETA_PRIOR": "30.5",
            "MIN_EXPLORE_RATE": "0.08",
            "CONTROL_FLOOR": "0.2",
            "MAX_DAILY_SHIFT": "0.15",
            "DEFAULT_WINDOW_DAYS": "21",
            "MIN_IMPRESSIONS_FOR_OPTIMIZATION": "500",
        }
    )

    values = environment.algorithm_defaults()

    assert environment.problems == []
    assert [values[n] for n in ("alpha_prior", "beta_prior", "min_explore_rate", "control_floor")] == [
        2,
        30.5,
        0.08,
        0.2,
    ]
    assert [values[n] for n in ("max_daily_shift", "window_days", "min_impressions")] == [0.15, 21, 500]


@pytest.mark.parametrize("name", list(ALGORITHM_SETTINGS))
@pytest.mark.parametrize("value", ["abc", "nan", "inf", "-1", "1e99"])
def test_algorithm_defaults__invalid__is_a_problem_that_names_the_variable(name: str, value: str) -> None:
    setting = ALGORITHM_SETTINGS[name]
    environment = Environment({setting.variable: value})

    values = environment.algorithm_defaults()

    assert [problem.variable for problem in environment.problems] == [setting.variable]
    assert values[name] == setting.default


def test_algorithm_defaults__floors_that_do_not_fit__name_the_fix() -> None:
    environment = Environment({"CONTROL_FLOOR": "0.5", "MIN_EXPLORE_RATE": "0.5"})

    environment.algorithm_defaults()

    assert "must not exceed 0.99 together" in environment.problems[0].fix


# A start names all that is wrong, so one serves for these.
_INVALID = [
    ("CONTROL_FLOOR", "0.7", "from 0 to 0.5"),
    ("DEFAULT_WINDOW_DAYS", "14.5", "a whole number from 1 to 365"),
    ("MAX_DAILY_SHIFT", "0.12345", "a multiple of 0.0001"),
    ("TIME_ZONE", "Berlin", "the name of a time zone"),
    ("LOG_LEVEL", "LOUD", "one of DEBUG, INFO"),
    ("ALLOW_RESET", "perhaps", "true or false"),
    ("MAX_BODY_BYTES", "lots", "a whole number"),
    ("DATABASE_URL", "mysql://x", "postgresql://user"),
    ("CELERY_BROKER_URL", "amqp://rabbit", "must be like redis://"),
    ("THROTTLE_READ", "many", "such as 600/min"),
]


@cache
def _start_with_each() -> "subprocess.CompletedProcess[str]":
    return start(CHECK, DEBUG="true", **{variable: value for variable, value, _fix in _INVALID})


@pytest.mark.parametrize(("variable", "value", "fix"), _INVALID)
def test_start__many_invalid__stops_with_each_variable_and_its_fix(
    variable: str, value: str, fix: str
) -> None:
    result = _start_with_each()

    assert result.returncode != 0
    assert [line for line in result.stderr.splitlines() if f"{variable} is '{value}'" in line and fix in line]


@pytest.mark.parametrize(
    ("variable", "value", "fix"),
    [
        ("DATABASE_URL", "postgresql://localhost:port/x", "postgresql://user"),
        ("DATABASE_REPLICA_URL", "postgresql://replica/x", "beside a DATABASE_URL of PostgreSQL"),
    ],
)
def test_start__invalid__stops_with_the_variable_and_the_fix(variable: str, value: str, fix: str) -> None:
    result = start(CHECK, DEBUG="true", **{variable: value})

    assert result.returncode != 0
    assert f"{variable} is '{value}'" in result.stderr
    assert fix in result.stderr


def test_wsgi__invalid__stops_the_server_too() -> None:
    result = start("import bandit_project.wsgi", DEBUG="true", ALPHA_PRIOR="0")

    assert "ALPHA_PRIOR must be above 0 to 1,000,000" in result.stderr


def test_wsgi__good_environment__starts() -> None:
    assert start("import bandit_project.wsgi", DEBUG="true").returncode == 0


def test_start__no_secret_key_outside_debug__says_what_to_set() -> None:
    result = start(CHECK)

    assert "SECRET_KEY is not set" in result.stderr


def test_start__secret_key_and_hosts_outside_debug__are_enough() -> None:
    result = start(
        CHECK + "; from django.conf import settings; print(settings.DEBUG)",
        SECRET_KEY=GOOD_KEY,
        ALLOWED_HOSTS="example.com",
    )

    assert result.stdout.strip().endswith("False")


def test_start__no_hosts_outside_debug__says_what_to_set() -> None:
    assert "ALLOWED_HOSTS must name the hosts" in start(CHECK, SECRET_KEY=GOOD_KEY).stderr


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({}, "SECRET_KEY is not set. SECRET_KEY must be 43 or more random characters"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is too easy to guess. SECRET_KEY must be 43 or more random"),
        ({"SECRET_KEY": "ab" * 40}, "SECRET_KEY is too easy to guess."),
        ({"SECRET_KEY": f"django-insecure-{GOOD_KEY}"}, "SECRET_KEY is too easy to guess."),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS is '*'. ALLOWED_HOSTS must name each host"),
        (
            {"ENVIRONMENT": "production", "DEBUG": "true"},
            "DEBUG is 'true'. DEBUG must be false where ENVIRONMENT",
        ),
    ],
)
@pytest.mark.parametrize("command", [CHECK, "import bandit_project.wsgi"])
def test_production_start__unsafe__fails_with_the_reason_and_the_fix_in_one_line(
    variables: dict[str, str], reason: str, command: str
) -> None:
    good = {"SECRET_KEY": GOOD_KEY, "ALLOWED_HOSTS": "example.com"} if variables else {}

    result = start(command, **{**good, **variables})

    assert result.returncode != 0
    assert any(reason in line and line.rstrip().endswith(".") for line in result.stderr.splitlines())


def test_production_start__unsafe_under_a_server__shows_no_traceback_and_no_secret() -> None:
    result = start("import bandit_project.wsgi", SECRET_KEY="hunter2", ALLOWED_HOSTS="*")

    assert result.returncode == 3
    assert result.stderr.count("The environment variable") == 2
    assert "Traceback" not in result.stderr
    assert "hunter2" not in result.stderr


def test_string__variable_with_file__is_the_files_content(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file\n")
    environment = Environment({"SECRET_KEY_FILE": str(tmp_path / "key")})

    assert environment.string("SECRET_KEY") == "from a file"
    assert environment.problems == []


def test_database__url_in_a_file__is_read(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://ann:secret@db:5432/bandit\n")

    database = Environment({"DATABASE_URL_FILE": str(tmp_path / "url")}).database(
        "DATABASE_URL", "sqlite:///x"
    )

    assert (database["HOST"], database["PASSWORD"]) == ("db", "secret")


@pytest.mark.parametrize(("query", "seconds"), [("", "5"), ("?connect_timeout=20", "20")])
def test_postgres__that_never_answers__is_given_up_long_before_a_worker_is(query: str, seconds: str) -> None:
    show = (
        "from django.conf import settings; found = settings.DATABASES['default']['OPTIONS'];"
        "print(found['connect_timeout'], found['tcp_user_timeout'], 'statement' in found['options'])"
    )

    result = start(show, DEBUG="true", DATABASE_URL=f"postgresql://ann@db/x{query}")

    assert result.stdout.strip() == f"{seconds} 15000 False"


@pytest.mark.parametrize(
    ("given", "limit"),
    [("", "60s"), ("5", "5s"), ("0", "none")],
)
def test_postgres__statements_of_what_serves__end_in_time(given: str, limit: str) -> None:
    show = (
        "import sys, types; sys.modules['bandit_project.wsgi'] = types.ModuleType('wsgi');"
        "from django.conf import settings; print(settings.DATABASES['default']['OPTIONS'].get('options', 'none'))"
    )

    result = start(show, DEBUG="true", DATABASE_URL="postgresql://ann@db/x", DATABASE_STATEMENT_SECONDS=given)

    found = dict(word.split("=") for word in result.stdout.split() if "=" in word)
    assert found.get("statement_timeout", "none") == limit
    assert found.get("idle_in_transaction_session_timeout", "none") == limit
    assert (result.stdout.strip() == "none") is (given == "0")


def test_replicas__two__connect_as_the_primary_does_and_with_its_password() -> None:
    show = (
        "from django.conf import settings; found = settings.DATABASES;"
        "print(*[(name, found[name]['HOST'], found[name]['PASSWORD'], found[name]['OPTIONS']"
        " == found['default']['OPTIONS'], found[name]['CONN_MAX_AGE']) for name in settings.DATABASE_REPLICAS])"
    )

    result = start(
        show,
        DEBUG="true",
        DATABASE_URL="postgresql://ann:secret@db/x",
        DATABASE_REPLICA_URL="postgresql://ann@near/x, postgresql://ann:own@far/x",
    )

    assert result.stdout.strip() == (
        "('replica-1', 'near', 'secret', True, 60) ('replica-2', 'far', 'own', True, 60)"
    ), result.stderr


def test_replicas__options_of_a_url__are_added_to_those_of_the_primary() -> None:
    show = (
        "from django.conf import settings; found = settings.DATABASES;"
        "print(*[found[name]['OPTIONS']['options'].split('jit=off')[1] for name in ('default', 'replica-1')])"
    )

    result = start(
        show,
        DEBUG="true",
        DATABASE_URL="postgresql://ann@db/x?options=-c%20search_path%3Da",
        DATABASE_REPLICA_URL="postgresql://ann@near/x?options=-c%20work_mem%3D8MB",
    )

    ours = " -c max_parallel_workers_per_gather=0 -c search_path=a"
    assert result.stdout.rstrip() == f"{ours} {ours} -c work_mem=8MB", result.stderr


def test_workers__no_broker__leave_celery_and_redis_unimported() -> None:
    show = "import sys, bandit_project.wsgi; print({'celery', 'redis', 'kombu'} & set(sys.modules))"

    assert start(show, DEBUG="true").stdout.strip() == "set()"


def test_workers__extra_that_is_not_installed__is_named() -> None:
    environment = Environment({"CELERY_BROKER_URL": "redis://here"})

    environment.redis("CELERY_BROKER_URL", "a_package_that_nobody_has")

    assert (
        "needs a_package_that_nobody_has: pip install -r requirements-extras.txt"
        in environment.problems[0].fix
    )


def test_replicas__none_named__leave_django_without_a_router() -> None:
    show = "from django.conf import settings; print(settings.DATABASE_ROUTERS, list(settings.DATABASES))"

    assert start(show, DEBUG="true").stdout.strip() == "[] ['default']"


@pytest.mark.parametrize(("asked", "threshold"), [("", "2"), ("true", "2"), ("false", "None")])
def test_database_prepare__off__prepares_no_statement(asked: str, threshold: str) -> None:
    show = "from django.conf import settings; print(settings.DATABASES['default']['OPTIONS'].get('prepare_threshold'))"

    result = start(show, DEBUG="true", DATABASE_URL="postgresql://ann@db/x", DATABASE_PREPARE=asked)

    assert result.stdout.strip() == threshold


def test_postgres_password__in_a_file__completes_an_address_without_one(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss:w/rd")
    show = "from django.conf import settings; print(settings.DATABASES['default']['PASSWORD'])"

    result = start(
        show,
        DEBUG="true",
        DATABASE_URL="postgresql://ann@db/x",
        POSTGRES_PASSWORD_FILE=str(tmp_path / "password"),
    )

    assert result.stdout.strip() == "p@ss:w/rd"


@pytest.mark.parametrize(
    ("variables", "fix"),
    [
        ({"SECRET_KEY_FILE": "/nowhere/key"}, "must name a text file that this process may read"),
        ({"SECRET_KEY_FILE": "/key", "SECRET_KEY": GOOD_KEY}, "must be empty where SECRET_KEY is set"),
    ],
)
def test_string__file_that_cannot_be_used__is_a_problem(variables: dict[str, str], fix: str) -> None:
    environment = Environment(variables)

    environment.string("SECRET_KEY")

    assert [(problem.variable, problem.fix) for problem in environment.problems] == [("SECRET_KEY_FILE", fix)]


@pytest.mark.parametrize("password", ["secret", "p@ss:w@rd"])
def test_problem__address_with_a_password__does_not_show_it(password: str) -> None:
    environment = Environment({"DATABASE_URL": f"postgresql://ann:{password}@db:port/x"})

    environment.database("DATABASE_URL", "sqlite:///x")

    assert "'postgresql://ann:...@db:port/x'" in str(environment.problems[0])


def test_proxy_header__none_in_front__is_not_believed() -> None:
    show = "from django.conf import settings; print(settings.SECURE_PROXY_SSL_HEADER)"

    assert start(show, DEBUG="true").stdout.strip() == "None"
    assert "X_FORWARDED_PROTO" in start(show, DEBUG="true", PROXY_COUNT="1").stdout
