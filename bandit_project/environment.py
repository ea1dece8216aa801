"""Typed reading of environment variables.

An invalid value raises nothing. It is kept as a problem, and the system check in checks.py reports all of them at once,
each with its fix.
"""

import datetime as dt
import ipaddress
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import available_timezones

import environ

from experiments.roles import Role
from experiments.settings_schema import ALGORITHM_SETTINGS, SettingValue, setting_problems

_ROLES = [role.group for role in Role]
_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_POSTGRESQL = ("postgresql://", "postgres://")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# 43 characters of URL-safe base64 hold 256 bits. A random key of that length has at least 10 different ones.
_KEY_LENGTH, _KEY_DISTINCT = 43, 10
_KEY_FIX = (
    f"must be {_KEY_LENGTH} or more random characters, as python3 -c "
    "'import secrets; print(secrets.token_urlsafe(50))' prints, unless DEBUG=true on your own machine"
)


class EnvironmentProblem(NamedTuple):
    """A variable with an invalid value, and the fix."""

    variable: str
    value: str
    fix: str

    def __str__(self) -> str:
        """Reason and fix in one line."""
        return f"The environment variable {self.variable} {self._found()}. {self.variable} {self.fix}."

    def _found(self) -> str:
        if not self.value:
            return "is not set"
        return (
            "is too easy to guess"
            if self.variable == "SECRET_KEY"
            else f"is {_without_password(self.value)!r}"
        )


class Environment:
    """Typed look-ups in one mapping of variables. ``problems`` collects the invalid ones."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.problems: list[EnvironmentProblem] = []

    def string(self, variable: str, default: str = "") -> str:
        """The variable, or the content of the file that ``<variable>_FILE`` names, as containers pass secrets."""
        given, path = self._given(variable), self._given(f"{variable}_FILE")
        if given and path:
            self._refuse(f"{variable}_FILE", f"must be empty where {variable} is set")
        if given or not path:
            return given or default
        try:
            return Path(path).read_text(encoding="utf-8").strip() or default
        except (OSError, ValueError):
            self._refuse(f"{variable}_FILE", "must name a text file that this process may read")
            return default

    def _given(self, variable: str) -> str:
        return self._variables.get(variable, "").strip()

    def secret_key(self, variable: str, *, debug: bool) -> str:
        """A key that cannot be guessed; in DEBUG any. Empty, with a problem, where there is none."""
        key = self.string(variable)
        if debug or (len(key) >= _KEY_LENGTH and len(set(key)) >= _KEY_DISTINCT and "insecure" not in key):
            return key
        self._refuse(variable, _KEY_FIX)
        return ""

    def debug(self, variable: str, *, environment: str) -> bool:
        debug = self.boolean(variable, False)
        if debug and self.string(environment).lower() == "production":
            self._refuse(
                variable, f"must be false where {environment} is production: it shows secrets to visitors"
            )
        return debug

    def csv_list(self, variable: str) -> list[str]:
        return [word.strip() for word in self.string(variable).split(",") if word.strip()]

    def hosts(self, variable: str, *, required: bool) -> list[str]:
        hosts = self.csv_list(variable)
        if required and not hosts:
            self._refuse(
                variable, "must name the hosts that are served, such as bandit.example.com, unless DEBUG=true"
            )
        if required and "*" in hosts:
            self._refuse(
                variable,
                "must name each host, such as bandit.example.com: * lets a visitor choose the host in links",
            )
        return hosts

    def boolean(self, variable: str, default: bool) -> bool:
        value = self.string(variable).lower()
        if value in _TRUE | _FALSE or not value:
            return value in _TRUE if value else default
        self._refuse(variable, "must be true or false")
        return default

    def integer(self, variable: str, default: int, low: int, high: int) -> int:
        value = self.string(variable)
        if not value:
            return default
        number = _number(value, is_whole=True)
        if isinstance(number, int) and low <= number <= high:
            return number
        self._refuse(variable, f"must be a whole number from {low:,} to {high:,}")
        return default

    def choice(self, variable: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.string(variable, default)
        if value in allowed:
            return value
        self._refuse(variable, f"must be one of {', '.join(allowed)}")
        return default

    def rate(self, variable: str, default: str = "") -> str | None:
        """Requests in a period, such as 600/min; None where nothing is set."""
        value = self.string(variable, default)
        if not value or re.fullmatch(r"[1-9][0-9]*/(second|sec|s|minute|min|m|hour|h|day|d)", value):
            return value or None
        self._refuse(variable, "must be a number of requests in a period, such as 600/min")
        return None

    def networks(self, variable: str, *, required_by: str = "") -> list[Network]:
        """Addresses and networks, such as 10.0.0.0/8; some, where the other variable is set."""
        if required_by and self.string(required_by) and not self.string(variable):
            self._refuse(variable, f"must name the proxies whose {required_by} counts, such as 10.0.0.7")
        try:
            return [ipaddress.ip_network(word) for word in self.csv_list(variable)]
        except ValueError:
            self._refuse(variable, "must be addresses or networks separated by commas, such as 10.0.0.0/8")
            return []

    def issuer(self, variable: str, *, debug: bool) -> str:
        """The address of an OpenID provider, exactly as it calls itself; over HTTPS, in DEBUG any."""
        value = self.string(variable)
        if value and not value.startswith(("https://", "http://") if debug else "https://"):
            self._refuse(
                variable, "must be the provider's issuer, such as https://login.example.com/realms/shop"
            )
            return ""
        if value and find_spec("mozilla_django_oidc") is None:
            self._refuse(variable, "needs mozilla-django-oidc: pip install -r requirements-extras.txt")
            return ""
        return value

    def require(self, *variables: str, by: str) -> None:
        for variable in variables:
            if not self.string(variable):
                self._refuse(variable, f"must be set where {by} is")

    def roles_of_groups(self, variable: str) -> dict[str, str]:
        """Names of groups with the role that each gives, such as data-team=analyst,platform=admin."""
        pairs = [word.rpartition("=") for word in self.csv_list(variable)]
        if all(group.strip() and role.strip() in _ROLES for group, _, role in pairs):
            return {group.strip(): role.strip() for group, _, role in pairs}
        self._refuse(
            variable, "must be like data-team=analyst,platform=admin; roles are " + ", ".join(_ROLES)
        )
        return {}

    def time_of_day(self, variable: str, default: str) -> dt.time:
        value = self.string(variable, default)
        if re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
            return dt.time.fromisoformat(value)
        self._refuse(variable, "must be a time of day such as 00:15")
        return dt.time.fromisoformat(default)

    def optional_days(self, variable: str) -> int | None:
        """A number of days; None where nothing is set."""
        return self.integer(variable, 1, 1, 36500) if self.string(variable) else None

    def time_zone(self, variable: str, default: str) -> str:
        value = self.string(variable, default)
        # Python opens six hundred files to list them
        if value == default or value in available_timezones():
            return value
        self._refuse(variable, "must be the name of a time zone, such as UTC or Europe/Berlin")
        return default

    def database(self, variable: str, default: str) -> dict[str, Any]:
        """Django's database settings from a URL of SQLite or PostgreSQL."""
        found = _database(self.string(variable, default), "sqlite:///", *_POSTGRESQL)
        if found is not None:
            return found
        fix = "must be like sqlite:////data/bandit.sqlite3 or postgresql://user:password@host:5432/name"
        self._refuse(variable, fix)
        return dict(environ.Env.db_url_config(default))

    def replicas(self, variable: str, primary: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Settings of the primary's replicas by their names; what a URL leaves out is as the primary has it."""
        found = [_database(url, *_POSTGRESQL) for url in self.csv_list(variable)]
        if None in found or (found and "postgresql" not in primary["ENGINE"]):
            fix = "must be one or more URLs of PostgreSQL, separated by commas, beside a DATABASE_URL of PostgreSQL"
            self._refuse(variable, fix)
            return {}
        return {f"replica-{n}": _as_primary(one, primary) for n, one in enumerate(found, 1) if one}

    def redis(self, variable: str, extra: str) -> str:
        """The URL of a Redis; it takes the package of the extra of its name."""
        url = self.string(variable)
        if not url:
            return ""
        if not url.startswith(("redis://", "rediss://")):
            self._refuse(variable, "must be like redis://:password@host:6379/0, or rediss:// for TLS")
        elif find_spec(extra) is None:
            self._refuse(variable, f"needs {extra}: pip install -r requirements-extras.txt")
        return url

    def email(self, variable: str, default: str) -> dict[str, Any]:
        """Django's mail settings from a URL such as smtp+tls://user:password@mail.example.com:587."""
        try:
            return dict(environ.Env.email_url_config(self.string(variable, default)))
        except (KeyError, ValueError):
            self._refuse(variable, "must be like smtp+tls://user:password@mail.example.com:587")
            return dict(environ.Env.email_url_config(default))

    def algorithm_defaults(self) -> dict[str, SettingValue | None]:
        """The installation's default of every algorithm setting. An invalid one becomes a problem, and ours is used."""
        values = {name: self._algorithm_value(name) for name in ALGORITHM_SETTINGS}
        for name, problem in setting_problems(values).items():
            setting = ALGORITHM_SETTINGS[name]
            self._refuse(setting.variable, problem)
            values[name] = setting.default
        return values

    def _algorithm_value(self, name: str) -> SettingValue | None:
        setting = ALGORITHM_SETTINGS[name]
        if setting.is_switch:
            return self.boolean(setting.variable, bool(setting.default))
        value = self.string(setting.variable)
        if not value:
            return setting.default
        number = _number(value, is_whole=setting.is_whole)
        if number is None:
            self._refuse(setting.variable, f"must be {setting.range_text}")
            return setting.default
        return number

    def _refuse(self, variable: str, fix: str) -> None:
        value = self._given(variable) if variable.endswith("_FILE") else self.string(variable)
        problem = EnvironmentProblem(variable, value, fix)
        if problem not in self.problems:
            self.problems.append(problem)


def _database(url: str, *kinds: str) -> dict[str, Any] | None:
    """Django's settings for a URL of one of the kinds; None for any other, such as one whose port is no number."""
    try:
        return dict(environ.Env.db_url_config(url)) if url.startswith(kinds) else None
    except ValueError:
        return None


def _as_primary(replica: Mapping[str, Any], primary: Mapping[str, Any]) -> dict[str, Any]:
    """Add what the settings say of connections to the primary, and its password; tests make no database for it."""
    return {
        **primary,
        **replica,
        "PASSWORD": replica.get("PASSWORD") or primary.get("PASSWORD"),
        "OPTIONS": options_with(primary.get("OPTIONS", {}), replica.get("OPTIONS", {})),
        "TEST": {"MIRROR": "default"},
    }


def options_with(ours: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Add the options that a URL gives, which win.

    Those of the server stand behind ours, and the last of a name holds: who sets a search_path keeps the time limits.
    """
    theirs = " ".join(str(one["options"]) for one in (ours, given) if one.get("options"))
    return {**ours, **given, **({"options": theirs} if theirs else {})}


def postgresql_options(statement_seconds: int, *, takes_options: bool = True) -> dict[str, Any]:
    """Options of a connection that never waits without end: where packets vanish, and for a statement (0: no limit).

    Without them a worker whose database is gone would hang until it is killed, and what a machine that died has locked
    would stay locked until the server's own system misses it: two hours. The server looks as often as we do, and ends
    a transaction in which nothing happens for as long as a statement may take.
    """
    limits: dict[str, Any] = {
        "connect_timeout": 5, "tcp_user_timeout": 15_000, "keepalives_idle": 30, "keepalives_interval": 5,
        "keepalives_count": 3,
    }  # fmt: skip
    theirs = {"tcp_user_timeout": "15s", "tcp_keepalives_idle": "30s", "tcp_keepalives_interval": "5s",
              "tcp_keepalives_count": "3"}  # fmt: skip
    # What is asked here takes milliseconds: to compile it takes as long again, and other processes that help take from
    # other requests more than they give to this one.
    theirs |= {"jit": "off", "max_parallel_workers_per_gather": "0"}
    if statement_seconds:
        theirs |= dict.fromkeys(
            ("statement_timeout", "idle_in_transaction_session_timeout"), f"{statement_seconds}s"
        )
    if takes_options:
        limits["options"] = " ".join(f"-c {name}={value}" for name, value in theirs.items())
    return limits


def _without_password(value: str) -> str:
    # Up to the last @: a password may hold one that should have been written as %40.
    return re.sub(r"(://[^:@/]*):.*@", r"\1:...@", value)


def _number(value: str, *, is_whole: bool) -> float | int | None:
    try:
        return int(value) if is_whole else float(value)
    except ValueError:
        return None
