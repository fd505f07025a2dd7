"""What a notification_config asks for (Mage's): on which ends of a run, through which services.

A version keeps only that. Addresses and passwords stay in the files, and are read when something is sent.
"""

from collections.abc import Mapping
from typing import Any

DEFAULT_ALERT_ON = ["trigger_failure", "trigger_passed_sla"]
# The services, each with what has to be there. An empty address is how Mage's own template switches one off.
SERVICES: Mapping[str, tuple[str, ...]] = {
    "slack_config": ("webhook_url",),
    "teams_config": ("webhook_url",),
    "discord_config": ("webhook_url",),
    "telegram_config": ("webhook_url",),
    "google_chat_config": ("webhook_url",),
    "email_config": ("smtp_host", "to_emails"),
    "opsgenie_config": ("api_key",),
}


def asked_for(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return `alert_on`, and for each service how many addresses it has; {} when nobody is to be told."""
    services = {name: number for name in SERVICES if (number := len(addresses_of(name, config)))}
    return {"alert_on": as_list(config.get("alert_on", DEFAULT_ALERT_ON)), "services": services} if services else {}


def addresses_of(service: str, config: Mapping[str, Any]) -> list[str]:
    """Return where a service is reached: [""] where that is said by more than an address; [] if it is switched off."""
    settings = config.get(service)
    if not isinstance(settings, Mapping) or not all(settings.get(key) for key in SERVICES[service]):
        return []
    if service == "email_config":
        return [""]
    if service == "opsgenie_config":
        return [str(settings.get("url") or "")]
    return [text for each in as_list(settings["webhook_url"]) if (text := str(each).strip())]


def as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
