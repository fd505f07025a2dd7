"""All settings, read from the environment here and nowhere else (docs/settings.md)."""

import base64
import contextlib
import os
import secrets
import socket
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured

django_stubs_ext.monkeypatch()  # so that ModelAdmin[Model] and the like can be written

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION: str = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]


def envstr(name: str, default: str = "", *, choices: tuple[str, ...] = ()) -> str:
    """Return the variable's text; refuse a value outside `choices`."""
    value = os.environ.get(name, "").strip() or default
    if choices and value not in choices:
        raise ImproperlyConfigured(f"{name}={value[:80]!r} is not known; use one of: {', '.join(choices)}.")
    return value


def envbool(name: str, *, default: bool) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    value = os.environ.get(name, "").strip().lower()
    if not value:
        return default
    if value not in words:
        raise ImproperlyConfigured(f"{name}={value[:80]!r} is not a yes or no; use true or false.")
    return words[value]


def envnumber(name: str, default: float, *, low: float, high: float) -> float:
    text = os.environ.get(name, "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        raise ImproperlyConfigured(f"{name}={text[:80]!r} is not a number; use {low:g} to {high:g}.") from None
    if not low <= value <= high:
        raise ImproperlyConfigured(f"{name}={text[:80]} is outside {low:g} to {high:g}.")
    return value


def envwhole(name: str, default: int, *, low: int, high: int) -> int:
    value = envnumber(name, default, low=low, high=high)
    if value != int(value):
        raise ImproperlyConfigured(f"{name}={value:g} is not a whole number; use {low} to {high}.")
    return int(value)


def envwords(name: str, default: str) -> list[str]:
    """Return what stands between the commas."""
    return [word for part in envstr(name, default).split(",") if (word := part.strip())]


def envurl(name: str, *schemes: str) -> str:
    """Return the URL or ""; refuse other schemes. The value may hold a password: it is never printed."""
    value = os.environ.get(name, "").strip()
    try:
        parts = urlsplit(value)
    except ValueError:  # a [ in a password, most likely
        hint = "write other signs than letters and digits in a password as %XX ([ as %5B)"
        raise ImproperlyConfigured(f"{name} cannot be read as an address; {hint}.") from None
    if value and parts.scheme not in schemes:
        raise ImproperlyConfigured(f"{name} has the scheme {parts.scheme!r}; use {' or '.join(schemes)}.")
    if parts.scheme in ("http", "https") and not parts.hostname:
        raise ImproperlyConfigured(f"{name} names no host; for example {schemes[-1]}://jobs.example.com.")
    return value


def data_dir() -> Path:
    """Make the folder of everything we write; say so in one line if it cannot be."""
    path = Path(envstr("ORCHESTRATOR_DATA_DIR", str(Path.home() / ".orchestrator"))).expanduser().resolve()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = path / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ImproperlyConfigured(
            f"The data folder {path} cannot be written ({reason}); set ORCHESTRATOR_DATA_DIR to a folder that can."
        ) from None
    return path


def kept_secret(name: str, filename: str, make: Any) -> str:
    """Return the variable, or the value kept in the data folder, made on first use with mode 0600."""
    if value := os.environ.get(name, "").strip():
        return value
    path = DATA_DIR / filename
    if not path.exists():
        draft = DATA_DIR / f".{filename}-{os.getpid()}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(make())
        with contextlib.suppress(FileExistsError):  # of several processes that start at once, one is first
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()


def fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def secrets_keys() -> list[str]:
    """Return the Fernet keys, the newest first; refuse what is none. They are never printed."""
    keys = [key for part in kept_secret("SECRETS_KEYS", "secrets_keys", fernet_key).split(",") if (key := part.strip())]
    for place, key in enumerate(keys, 1):
        try:
            size = len(base64.urlsafe_b64decode(key))
        except ValueError:
            size = 0
        if size != 32:
            raise ImproperlyConfigured(f"SECRETS_KEYS: key {place} is no Fernet key: 32 bytes in URL-safe base64.")
    return keys


def refuse_unknown_names() -> None:
    """A name of ours that is mistyped would otherwise be ignored without a word."""
    for name in os.environ:
        if name.startswith("ORCHESTRATOR_") and name not in ("ORCHESTRATOR_DATA_DIR", "ORCHESTRATOR_PROJECT"):
            raise ImproperlyConfigured(f"{name} is not a setting; ORCHESTRATOR_DATA_DIR and ORCHESTRATOR_PROJECT are.")


def public_url() -> str:
    """Return scheme and host, as they stand in an Origin: pages know no path in front of theirs."""
    value = envurl("PUBLIC_URL", "http", "https").rstrip("/")
    parts = urlsplit(value)
    if parts.path or parts.query or parts.fragment:
        raise ImproperlyConfigured(
            "PUBLIC_URL has a path; use the scheme and the host alone: https://jobs.example.com."
        )
    return value


def variables_url() -> str:
    value = envstr("VARIABLES_URL", str(DATA_DIR / "variables"))
    if not value.startswith("/") and not all(value.partition("://")):
        raise ImproperlyConfigured(
            f"VARIABLES_URL={value[:80]!r} is no place for outputs; use an absolute folder, or a store: s3://bucket/outputs."
        )
    return value


NO_STORES = ("memory", "http", "https", "data", "zip", "tar", "cached", "blockcache", "filecache", "simplecache")


def logs_url() -> str:
    """Return a folder of this machine, or the url of a store: what is written is then here until it is there."""
    url = envstr("LOGS_URL", str(DATA_DIR / "logs")).removeprefix("file://")
    scheme, separator, place = url.partition("://")
    if url.startswith("/"):
        return url
    from fsspec.registry import known_implementations

    if not separator or not place or scheme not in known_implementations or scheme in NO_STORES:
        raise ImproperlyConfigured(
            f"LOGS_URL={url[:80]!r} is no place for logs; use an absolute folder, or a store such as s3://bucket/logs."
        )
    return url


refuse_unknown_names()
DATA_DIR = data_dir()
ENV = envstr("ENV", "dev", choices=("dev", "test", "staging", "prod"))
DEBUG = envbool("DEBUG", default=False)
SECRET_KEY = kept_secret("SECRET_KEY", "secret_key", lambda: secrets.token_urlsafe(50))
if len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("SECRET_KEY is shorter than 32 characters; use a long random one, or leave it unset.")
SECRETS_KEYS = secrets_keys()
PUBLIC_URL = public_url()
ALLOWED_HOSTS = envwords("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
if "*" in ALLOWED_HOSTS and ENV == "prod":
    raise ImproperlyConfigured("ALLOWED_HOSTS=* is refused with ENV=prod; name the hosts.")
if DEBUG and ENV == "prod":
    raise ImproperlyConfigured("DEBUG=true is refused with ENV=prod.")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL else []

# --- what is run, and where -----------------------------------------------------------------------------------------
PROJECT_DIR = Path(envstr("ORCHESTRATOR_PROJECT", str(BASE_DIR / "demo_project"))).expanduser().resolve()
WORKERS = envwhole("WORKERS", max(4, min(16, os.cpu_count() or 4)), low=1, high=256)
LOGS_URL = logs_url()
VARIABLES_URL = variables_url()
SCHEDULER_POLL_SECONDS = envnumber("SCHEDULER_POLL_SECONDS", 5, low=0.1, high=60)
BACKFILL_MOST_SLOTS = envwhole("BACKFILL_MOST_SLOTS", 10_000, low=1, high=100_000)
DYNAMIC_BLOCK_LIMIT = envwhole("DYNAMIC_BLOCK_LIMIT", 10_000, low=1, high=100_000)
# Whether messages may go to addresses of this machine and of private networks (design: security.md S14).
ALERTS_ALLOW_PRIVATE_ADDRESSES = envbool("ALERTS_ALLOW_PRIVATE_ADDRESSES", default=ENV == "dev")
# More incidents of a rule than this within a minute are told as one (alerts/gathering.py); 0: never.
ALERTS_GATHER_ABOVE = int(envnumber("ALERTS_GATHER_ABOVE", 5, low=0, high=1000))
ALERTS_KEEP_INCIDENTS_DAYS = int(envnumber("ALERTS_KEEP_INCIDENTS_DAYS", 400, low=0, high=36_500))  # 0: for ever
ALERTS_KEEP_MESSAGES_DAYS = int(envnumber("ALERTS_KEEP_MESSAGES_DAYS", 90, low=4, high=36_500))  # tried for three
REDIS_URL = envurl("REDIS_URL", "redis", "rediss", "unix")
HEARTBEAT_URL = envurl("HEARTBEAT_URL", "http", "https")  # asked for after completed loops; a secret
HEARTBEAT_URL_SECONDS = envnumber("HEARTBEAT_URL_SECONDS", 60, low=10, high=3600)
HOST_NAME = socket.gethostname()

# Promises (docs/settings.md): seconds.
LEASE_SECONDS = 20
HEARTBEAT_SECONDS = 4
SELF_FENCE_SECONDS = 14
KILL_GRACE_SECONDS = 8  # what was cancelled is gone within ten, the second until it is noticed included
DRAIN_SECONDS = envnumber("DRAIN_SECONDS", 30, low=0, high=3600)
LOST_WORKER_ATTEMPTS = 3
CALLBACK_TIMEOUT_SECONDS = envwhole("CALLBACK_TIMEOUT_SECONDS", 600, low=1, high=86_400)
PARKED_BLOCKS_PER_WORKER = envwhole("PARKED_BLOCKS_PER_WORKER", 50, low=0, high=1000)
LOG_CAP_BYTES = int(envnumber("LOG_CAP_MB", 100, low=0.01, high=100_000) * 1024 * 1024)  # of one attempt at a block

# --- Django ---------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_q",
    "pipelines",
    "runs",
    "schedules",
    "alerts",
    "orchestrator_site",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "orchestrator_site.static_files.StaticFilesMiddleware",
    "orchestrator_site.middleware.PageHeadersMiddleware",
    "orchestrator_site.middleware.ViewerZoneMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "orchestrator_site.middleware.PulseMiddleware",
]

ROOT_URLCONF = "orchestrator_site.urls"
ASGI_APPLICATION = "orchestrator_site.asgi.application"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "login"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https:")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en-us"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = "orchestrator_site.formats"
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)  # WhiteNoise warns about a folder that is not there


def database() -> dict[str, Any]:
    """SQLite tuned for several writing processes, or Postgres with time limits (design: engine.md §5)."""
    url = envurl("DATABASE_URL", "sqlite", "postgres", "postgresql")
    try:
        config: dict[str, Any] = dict(dj_database_url.parse(url or f"sqlite:///{DATA_DIR / 'orchestrator.sqlite3'}"))
    except (ValueError, dj_database_url.ParseError) as error:
        raise ImproperlyConfigured(
            "DATABASE_URL cannot be read; use postgres://USER:PASSWORD@HOST:PORT/NAME or leave it unset."
        ) from error
    config["CONN_MAX_AGE"] = None
    if "sqlite3" in config["ENGINE"]:
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    else:
        config["CONN_HEALTH_CHECKS"] = True  # a server restart is no 503 for whoever comes next
        config["OPTIONS"] = {
            "connect_timeout": 5,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,  # ms: a half-open connection must not outlast a lease
            "options": "-c statement_timeout=60s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
        }
    return config


DATABASES = {"default": database()}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
CHANNEL_LAYERS: dict[str, Any] = {}  # what other processes say comes by runs/bell.py, and is handed on by runs/live.py

Q_CLUSTER = {
    "name": "orchestrator",
    "workers": WORKERS,
    "broker_class": "runs.broker.BlockRunBroker",
    "orm": "default",
    "scheduler": False,  # schedules.scheduler is ours: django-q2's looks every 30 s
    "timeout": 3600,
    "retry": 3700,
    "save_limit": -1,  # result rows are unsigned pickles that execute on reading
    "ack_failures": True,
    "max_attempts": 3,
    "recycle": 10**6,
    "queue_limit": max(4, 2 * WORKERS),
    "bulk": WORKERS,
    "guard_cycle": 1,
    "catch_up": False,
    "log_level": "WARNING",
}

REST_FRAMEWORK = {
    # Tokens first: their `WWW-Authenticate` is what a 401 carries.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "orchestrator_site.tokens.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "orchestrator_site.tokens.HasScope",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["pipelines.parsers.StrictJSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["pipelines.filters.AllowedFilters"],
    "DEFAULT_PAGINATION_CLASS": "orchestrator_site.pagination.KeysetPagination",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "orchestrator_site.problems.answer",
    "URL_FORMAT_OVERRIDE": None,
    "UNICODE_JSON": False,  # escaped: what users' code printed may be text that UTF-8 cannot say
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Orchestrator",
    "DESCRIPTION": "Pipelines, triggers, runs and their logs. Errors are RFC 9457 problems.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": r"/api/v1/",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated", "orchestrator_site.tokens.HasScope"],
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "ChannelKind": "alerts.models.ChannelKind",
        "RunStatus": "runs.states.RunStatus",
        "BlockStatus": "runs.states.BlockStatus",
        "ScheduleStatus": "schedules.serializers.SCHEDULE_STATUSES",
        "BackfillStatus": "schedules.models.BACKFILL_STATES",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "orchestrator_site.problems.describe",
    ],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {
        "handlers": ["stderr"],
        "level": envstr("LOG_LEVEL", "INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR")),
    },
    "loggers": {
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},  # a stranger's Host: answered with 400, no traceback
        "django-q": {"level": "WARNING"},
    },
}
