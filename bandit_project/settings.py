"""All settings of the project, from the environment alone. docs/configuration.md lists the variables."""

import datetime as dt
import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

import django_stubs_ext
import environ
from csp.constants import NONE, SELF

from bandit_project.environment import LOG_LEVELS, Environment, options_with, postgresql_options
from bandit_project.ops.logs import configure_structlog, logging_config
from experiments.roles import Role

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
environ.Env.read_env(BASE_DIR / ".env")
env = Environment(os.environ)

DEBUG = env.debug("DEBUG", environment="ENVIRONMENT")
ENVIRONMENT = env.string("ENVIRONMENT", "development" if DEBUG else "production")
# Without a good key the checks stop every start. Commands that run no checks, such as collectstatic, get a random one.
SECRET_KEY = env.secret_key("SECRET_KEY", debug=DEBUG) or (
    "development-only-key-never-used-outside-debug" if DEBUG else secrets.token_urlsafe(50)
)
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", required=not DEBUG)
# Keys before the present one: what they signed stays valid while they are here.
SECRET_KEY_FALLBACKS = env.csv_list("SECRET_KEY_FALLBACKS")
CSRF_TRUSTED_ORIGINS = env.csv_list("CSRF_TRUSTED_ORIGINS")
ALLOW_RESET = env.boolean("ALLOW_RESET", DEBUG)

ALGORITHM_DEFAULTS = env.algorithm_defaults()

INSTALLED_APPS = [
    "bandit_project.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    # Static files come from WhiteNoise in development too: only so do pages of other origins get static/sdk/bandit.js.
    "whitenoise.runserver_nostatic",
    "bandit_project.apps.StaticFilesConfig",
    "rest_framework",
    "rest_framework_api_key",
    "django_filters",
    "corsheaders",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "simple_history",
    "axes",
    "bandit_project.apps.BanditProjectConfig",
    "experiments",
    "allocation",
    "notifications.apps.NotificationsConfig",
    "serving",
    "dashboard",
]
MIDDLEWARE = [
    "bandit_project.ops.metrics.requests.count_requests",
    "bandit_project.ops.request_log.log_requests",
    "bandit_project.lane.first_lane",
    "bandit_project.middleware.by_address",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "bandit_project.middleware.resource_policy",
    "bandit_project.middleware.Cors",
    "bandit_project.middleware.body_limit",
    "bandit_project.lane.lane",
    "bandit_project.middleware.read_own_writes",
    "bandit_project.middleware.PagePolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "bandit_project.middleware.PageLanguage",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "bandit_project.administration.proxy_login.ProxyLogin",
    "bandit_project.middleware.own_settings",
    "bandit_project.middleware.form_limit",
    "simple_history.middleware.HistoryRequestMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "bandit_project.middleware.shown_refusal",
    "bandit_project.ops.metrics.requests.CountViews",
]
ROOT_URLCONF = "bandit_project.urls"
WSGI_APPLICATION = "bandit_project.wsgi.application"
# The classic API answers with and without a trailing slash itself; a redirect would lose a POST's body.
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "dashboard.access.role",
            ]
        },
    }
]

DATABASES: dict[str, Any] = {
    "default": env.database("DATABASE_URL", f"sqlite:///{BASE_DIR / 'bandit.sqlite3'}")
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE takes the write lock when a transaction begins: two writers wait for each other, neither fails.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    # Tests run on a file, as installations do: an in-memory database allows no second connection. Each process has its
    # own, so that two runs do not disturb each other.
    test_file = Path(tempfile.gettempdir(), f"bandit-test-{os.getpid()}.sqlite3")
    DATABASES["default"]["TEST"] = {"NAME": str(test_file)}
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # What serves requests waits no longer for a statement than a client does; a command may take its time.
    statement_seconds = env.integer(
        "DATABASE_STATEMENT_SECONDS", 60 if "bandit_project.wsgi" in sys.modules else 0, 0, 86_400
    )
    # 0 is for a pooler that takes no options.
    takes_options = env.string("DATABASE_STATEMENT_SECONDS") != "0"
    options = postgresql_options(statement_seconds, takes_options=takes_options)
    # PostgreSQL plans a statement that comes again once for each connection: planning takes it as long as running it.
    # A pooler that gives each transaction another server must know of prepared statements (PgBouncer from 1.22 on).
    if env.boolean("DATABASE_PREPARE", True):
        options |= {"server_side_binding": True, "prepare_threshold": 2}
    DATABASES["default"]["OPTIONS"] = options_with(options, DATABASES["default"].get("OPTIONS", {}))
    # Separate from the URL, so that the database's container and this one can share one secret.
    DATABASES["default"]["PASSWORD"] = DATABASES["default"]["PASSWORD"] or env.string("POSTGRES_PASSWORD")
# Copies of the database that follow it, for reads that may lag (experiments/database/replica.py).
_replicas = env.replicas("DATABASE_REPLICA_URL", DATABASES["default"])
DATABASES |= _replicas
DATABASE_REPLICAS = list(_replicas)
DATABASE_ROUTERS = ["experiments.database.replica.Router"] if _replicas else []
DATABASE_REPLICA_LAG_SECONDS = env.integer("DATABASE_REPLICA_LAG_SECONDS", 10, 1, 60)
# Entries of each cache. Answers are each worker's own and kept until something changes. Each call has room for 10,000
# experiments: in less, answers that are read in turn are gone before they are asked for again. An allocation takes 2 to
# 5 kB. What workers and servers count together, such as throttles, is in the shared one (without Redis: each its own).
_ANSWERS = {
    "list": 2000, "allocation": 12_000, "history": 4000, "v1-allocation": 12_000, "assignment": 12_000,
}  # fmt: skip
_OWN = "bandit_project.ops.answers_cache.AnswersCache"
_DJANGOS = "django.core.cache.backends.locmem.LocMemCache"
CACHES = {
    name: {"BACKEND": backend, "LOCATION": name, "OPTIONS": {"MAX_ENTRIES": entries}}
    for backend, caches in ((_DJANGOS, {"default": 2000, "shared": 2000}), (_OWN, _ANSWERS))
    for name, entries in caches.items()
}
REDIS_URL = env.redis("REDIS_URL", "redis")
if REDIS_URL:
    CACHES["shared"] = {
        "BACKEND": "bandit_project.ops.shared_cache.SharedCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "bandit",
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
    }
# Workers of other machines (bandit_project/workers), and when what a dead one had goes to another.
CELERY_BROKER_URL = env.redis("CELERY_BROKER_URL", "celery")
WORKER_RETRY_SECONDS = env.integer("WORKER_RETRY_SECONDS", 600, 10, 86_400)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en"
# Each under its own name. Another language is a line here, its catalogue in locale/ (./dev messages begins it) and
# docs/how-it-decides.CODE.md; until that document is there, its page is in English.
LANGUAGES = [("en", "English"), ("pt-br", "Português")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
# A day in the data is a day in this time zone.
TIME_ZONE = env.time_zone("TIME_ZONE", "UTC")

STATIC_URL = "static/"
STATIC_ROOT = Path(env.string("STATIC_ROOT", str(BASE_DIR / "staticfiles")))
STATICFILES_DIRS = [BASE_DIR / "static"]
_TESTING = "pytest" in sys.modules
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG or _TESTING
        else "bandit_project.storage.StaticFiles"
    },
}
# A page without its styles is better than none (storage.py); the check in checks.py says what is missing.
WHITENOISE_MANIFEST_STRICT = False
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG or _TESTING

# Requests with a larger body answer 413; the limit of a CSV upload is within it.
MAX_BODY_BYTES = DATA_UPLOAD_MAX_MEMORY_SIZE = env.integer("MAX_BODY_BYTES", 10 * 1024 * 1024, 1024, 1024**3)
# A year of the largest experiment has 36,500. Twice as many may take a request longer than two seconds of CPU.
MAX_UPLOAD_ROWS = env.integer("MAX_UPLOAD_ROWS", 37_000, 1, 10**9)

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard:experiments"
LOGOUT_REDIRECT_URL = "login"
DASHBOARD_LOGIN_REQUIRED = env.boolean("DASHBOARD_LOGIN_REQUIRED", not DEBUG)
# The role of a visitor where no login is required: everything in development, looking elsewhere.
DASHBOARD_VISITOR_ROLE = Role.ADMIN if DEBUG else Role.VIEWER
# For password resets and notifications. Without a mail server, mails are written to the log.
vars().update(env.email("EMAIL_URL", "consolemail://"))
DEFAULT_FROM_EMAIL = env.string("DEFAULT_FROM_EMAIL", "bandit@localhost")

# Both APIs then require a key or a session; /health stays open.
API_KEY_REQUIRED = env.boolean("API_KEY_REQUIRED", not DEBUG)
THROTTLE_RATES = {
    "read": env.rate("THROTTLE_READ"),
    "write": env.rate("THROTTLE_WRITE"),
    # Two seconds of CPU each: a key, or a person on the lab's pages, can keep a worker busy for half of the time.
    "lab": env.rate("THROTTLE_LAB", "" if DEBUG else "15/min"),
}
# For how long a worker remembers a key: one that was revoked opens what it opened for that long.
API_KEY_REMEMBER_SECONDS = env.integer("API_KEY_REMEMBER_SECONDS", 5, 0, 60)
# Seconds for which clients keep the rule set and a worker its decisions; the most that a serve key adds to a day.
RULESET_MAX_AGE = env.integer("RULESET_MAX_AGE", 60, 1, 86_400)
SERVE_REMEMBER_SECONDS = env.integer("SERVE_REMEMBER_SECONDS", 1, 0, 60)
SERVE_DAILY_COUNTS = env.integer("SERVE_DAILY_COUNTS", 10_000_000, 1, 10**12)
# The number of proxies in front whose X-Forwarded-For is trusted.
PROXY_COUNT = env.integer("PROXY_COUNT", 0, 0, 10)
# Browsers of other sites may call the APIs from these origins; none by default.
CORS_ALLOWED_ORIGINS = env.csv_list("CORS_ALLOWED_ORIGINS")
CORS_URLS_REGEX = (
    r"^/(api/|ofrep/|experiments|events|allocation|upload-data|download-template|reset_data|health)"
)
CORS_ALLOW_HEADERS = [
    "authorization", "x-api-key", "content-type", "idempotency-key", "x-request-id",
    "if-match", "if-none-match", "if-modified-since",
]  # fmt: skip
CORS_EXPOSE_HEADERS = ["ETag", "Idempotent-Replayed", "Location", "Retry-After", "X-Request-ID"]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "bandit_project.api.auth.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "bandit_project.api.auth.HasScope",
        "bandit_project.api.query.KnownNames",
        "bandit_project.api.preconditions.KnownPrecondition",
        "bandit_project.api.bodies.KnownBody",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["bandit_project.api.auth.ScopeThrottle"],
    # A throttle counts the address that the outermost trusted proxy saw.
    "NUM_PROXIES": PROXY_COUNT,
    "DEFAULT_PAGINATION_CLASS": "bandit_project.api.lists.Pages",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "bandit_project.api.lists.BoundedSearch",
        "bandit_project.api.lists.StrictOrdering",
    ],
    "DEFAULT_PARSER_CLASSES": ["bandit_project.api.json.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["bandit_project.api.json.FastJSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "bandit_project.api.openapi.schema.ProblemSchema",
    "EXCEPTION_HANDLER": "bandit_project.api.errors.handle_api_exception",
    "COERCE_DECIMAL_TO_STRING": False,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Bandit experimentation service",
    "DESCRIPTION": "Post what happened, get what share of traffic each variant gets next. "
    "Errors are RFC 9457 problem details (application/problem+json).",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "PREPROCESSING_HOOKS": ["bandit_project.api.openapi.schema.without_slash_twins"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "bandit_project.api.openapi.schema.with_problems",
        "bandit_project.api.openapi.schema.add_descriptions",
    ],
    "OAS_VERSION": "3.1.1",
    # Goals are chosen under two names, reward and metric.
    "ENUM_NAME_OVERRIDES": {
        "RewardEnum": "experiments.metrics.Reward",
        "ModeEnum": [("set", "set"), ("add", "add")],
        "IncrementModeEnum": [("add", "add")],
    },
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
CSRF_FAILURE_VIEW = "bandit_project.api.errors.csrf_failure"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = not DEBUG
LANGUAGE_COOKIE_SAMESITE = "Lax"
# Only a proxy that overwrites the header may state that a visitor came by HTTPS. Without a proxy, clients could.
if PROXY_COUNT:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.boolean("SECURE_SSL_REDIRECT", not DEBUG)
# Probes and scrapers come from inside, over plain HTTP and by address; see middleware.by_address.
BY_ADDRESS = ("/health", "/health/", "/health/live", "/health/live/", "/metrics")
SECURE_REDIRECT_EXEMPT = [f"^{path[1:]}$" for path in BY_ADDRESS]
SECURE_HSTS_SECONDS = env.integer(
    "SECURE_HSTS_SECONDS", 0 if DEBUG else 365 * 24 * 3600, 0, 10 * 365 * 24 * 3600
)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.boolean("SECURE_HSTS_INCLUDE_SUBDOMAINS", not DEBUG)
SECURE_HSTS_PRELOAD = env.boolean("SECURE_HSTS_PRELOAD", False)
SILENCED_SYSTEM_CHECKS = [
    # Browsers preload whole domains, not single hosts. The owner of a domain sets SECURE_HSTS_PRELOAD.
    "security.W021",
    # Wants 50 characters; environment.py refuses a weak key at every start.
    "security.W009",
]

LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", LOG_LEVELS)
# Commands that print what they did do not log it as well, unless a level is asked for.
COMMAND_LOG_LEVEL = env.choice("LOG_LEVEL", "WARNING", LOG_LEVELS)
configure_structlog()
LOGGING = logging_config(LOG_LEVEL, json=not DEBUG)
# A line for each request that succeeds, too.
LOG_REQUESTS = env.boolean("LOG_REQUESTS", False)

# Access to /metrics: with the token, or from these networks. In DEBUG it is open.
METRICS_TOKEN = env.string("METRICS_TOKEN")
METRICS_ALLOWED_ADDRESSES = env.networks("METRICS_ALLOWED_ADDRESSES")
if folder := env.string("PROMETHEUS_MULTIPROC_DIR"):
    # prometheus-client writes there once it is imported, also in commands. gunicorn.conf.py empties it at its start.
    Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)

# Alarms: days and impressions before an experiment raises one; days without data that do. Webhooks: private addresses.
ALARM_GRACE_DAYS = env.integer("ALARM_GRACE_DAYS", 3, 0, 365)
ALARM_MIN_IMPRESSIONS = env.integer("ALARM_MIN_IMPRESSIONS", 1000, 0, 10**9)
NO_DATA_DAYS = env.integer("NO_DATA_DAYS", 3, 1, 365)
WEBHOOK_ALLOW_PRIVATE = env.boolean("WEBHOOK_ALLOW_PRIVATE", False)
EMAIL_TIMEOUT = 10
# The scheduler's time of day, and how long records are kept.
SCHEDULER_ALLOCATE_AT = env.time_of_day("SCHEDULER_ALLOCATE_AT", "00:15")
# A file that the scheduler touches while it goes on; the image's health check reads it.
SCHEDULER_HEARTBEAT = env.string("SCHEDULER_HEARTBEAT")
LEDGER_RETENTION_DAYS = env.optional_days("LEDGER_RETENTION_DAYS")
DELIVERY_RETENTION_DAYS = env.integer("DELIVERY_RETENTION_DAYS", 90, 1, 3650)

# Failed logins lock out a user from an address: a stranger cannot lock out others, and cannot go on guessing.
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "bandit_project.administration.login.AccountBackend",
    "bandit_project.administration.proxy_login.ProxyBackend",
]
# Log-in by a proxy in front (administration/proxy_login.py); off unless the header is named.
REMOTE_USER_HEADER = env.string("REMOTE_USER_HEADER")
REMOTE_USER_PROXIES = env.networks("REMOTE_USER_PROXIES", required_by="REMOTE_USER_HEADER")
REMOTE_USER_GROUPS_HEADER = env.string("REMOTE_USER_GROUPS_HEADER")
REMOTE_USER_ROLES = env.roles_of_groups("REMOTE_USER_ROLES")
# Log-in by OpenID Connect (administration/oidc); off unless the issuer is named.
OIDC_ISSUER = env.issuer("OIDC_ISSUER", debug=DEBUG)
OIDC_CLIENT_ID = env.string("OIDC_CLIENT_ID")
OIDC_CLIENT_SECRET = env.string("OIDC_CLIENT_SECRET")
OIDC_NAME = env.string("OIDC_NAME", "OpenID Connect")
OIDC_SCOPES = env.string("OIDC_SCOPES", "openid email profile")
OIDC_TRUST_EMAIL = env.boolean("OIDC_TRUST_EMAIL", False)
OIDC_GROUPS_CLAIM = env.string("OIDC_GROUPS_CLAIM")
OIDC_ROLES = env.roles_of_groups("OIDC_ROLES")
OIDC_SESSION_HOURS = env.integer("OIDC_SESSION_HOURS", 12, 1, 336)
if OIDC_ISSUER:
    env.require("OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", by="OIDC_ISSUER")
    AUTHENTICATION_BACKENDS.append("bandit_project.administration.oidc.token.OidcBackend")
AXES_FAILURE_LIMIT = env.integer("LOGIN_FAILURE_LIMIT", 5, 1, 100)
AXES_COOLOFF_TIME = dt.timedelta(minutes=env.integer("LOGIN_LOCKOUT_MINUTES", 30, 1, 10080))
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_CALLABLE = "bandit_project.ops.lockout.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "bandit_project.ops.lockout.client_address"
AXES_VERBOSE = False

SIMPLE_HISTORY_REVERT_DISABLED = True  # A revert would bypass the services.

ENVIRONMENT_PROBLEMS = env.problems
