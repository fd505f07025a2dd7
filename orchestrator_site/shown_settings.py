"""The configuration of this installation as people may see it: every setting of docs/settings.md, no secret."""

from urllib.parse import urlsplit

from django.conf import settings

from runs.retaining.usage import without_credentials


def told() -> dict[str, str]:
    """Return each setting by the name of its environment variable, as it holds in this process."""
    return {
        "ENV": settings.ENV,
        "DEBUG": yes_or_no(settings.DEBUG),
        "ORCHESTRATOR_PROJECT": str(settings.PROJECT_DIR),
        "ORCHESTRATOR_DATA_DIR": str(settings.DATA_DIR),
        "DATABASE_URL": database(),
        "REDIS_URL": address(settings.REDIS_URL) or "not used",
        "PUBLIC_URL": settings.PUBLIC_URL or "not set",
        "ALLOWED_HOSTS": ", ".join(settings.ALLOWED_HOSTS),
        "LOGS_URL": without_credentials(str(settings.LOGS_URL)),
        "VARIABLES_URL": without_credentials(str(settings.VARIABLES_URL)),
        "WORKERS": str(settings.WORKERS),
        "SCHEDULER_POLL_SECONDS": f"{settings.SCHEDULER_POLL_SECONDS:g}",
        "DRAIN_SECONDS": f"{settings.DRAIN_SECONDS:g}",
        "LOG_CAP_MB": f"{settings.LOG_CAP_BYTES / 1024**2:g}",
        "BACKFILL_MOST_SLOTS": str(settings.BACKFILL_MOST_SLOTS),
        "DYNAMIC_BLOCK_LIMIT": str(settings.DYNAMIC_BLOCK_LIMIT),
        "CALLBACK_TIMEOUT_SECONDS": str(settings.CALLBACK_TIMEOUT_SECONDS),
        "PARKED_BLOCKS_PER_WORKER": str(settings.PARKED_BLOCKS_PER_WORKER),
        "ALERTS_ALLOW_PRIVATE_ADDRESSES": yes_or_no(settings.ALERTS_ALLOW_PRIVATE_ADDRESSES),
        "ALERTS_GATHER_ABOVE": str(settings.ALERTS_GATHER_ABOVE),
        "ALERTS_KEEP_INCIDENTS_DAYS": str(settings.ALERTS_KEEP_INCIDENTS_DAYS),
        "ALERTS_KEEP_MESSAGES_DAYS": str(settings.ALERTS_KEEP_MESSAGES_DAYS),
        "HEARTBEAT_URL": f"set, at {urlsplit(settings.HEARTBEAT_URL).hostname}"
        if settings.HEARTBEAT_URL
        else "not set",
        "HEARTBEAT_URL_SECONDS": f"{settings.HEARTBEAT_URL_SECONDS:g}",
        "SECRET_KEY": "set",
        "SECRETS_KEYS": f"{len(settings.SECRETS_KEYS)} set",
    }


def yes_or_no(value: bool) -> str:
    return "true" if value else "false"


def database() -> str:
    """Return where the database is, without the name and the password of who uses it."""
    config = settings.DATABASES["default"]
    if "sqlite3" in config["ENGINE"]:
        return f"sqlite:///{config['NAME']}"
    port = f":{config['PORT']}" if config.get("PORT") else ""
    return f"postgres://{config.get('HOST') or 'localhost'}{port}/{config['NAME']}"


def address(url: str) -> str:
    """Return scheme, host, port and path of a URL."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}" if url else ""
