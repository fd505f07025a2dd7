"""The addresses of apprise: which services are ours to use, and one message through one of them.

apprise takes a third of a second to load, so it is loaded when it is first needed.
"""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from alerts.sending import guard
from alerts.sending.outcomes import SENT, Outcome
from pipelines.refusal import Refusal
from runs.masking import mask_text

if TYPE_CHECKING:
    from apprise import NotifyBase

# Services that take a message over the network. Not those that act on this machine (dbus, syslog, windows, …), speak
# protocols of their own past our guard (mqtt, irc, xmpp, …), or publish to the world (mastodon, reddit, x, …).
NAMES = """
    apprise apprises bark barks betterstack brevo clickatell clicksend cliq dingtalk discord feishu firehydrant flock
    form forms gchat goalert goalerts gotify gotifys guilded hassio hassios ifttt ilert incidentio jira join json jsons
    lark line mailersend mailgun mailto mailtos matrix matrixs mmost mmosts msgbird ncloud nclouds nctalk nctalks nexmo
    ntfy ntfys o365 opsgenie pagerduty pagertree pbul plivo postmark pover prowl pushy resend ringc rocket rockets
    ryver sendgrid ses seven signal signals signl4 simplepush sinch slack smtp2go sns sparkpost spike splunk squadcast
    synology synologys telnyx tgram threema twilio twist victorops vonage webex wecombot whatsapp workflow workflows
    wxteams xml xmls zcliq zohocliq zoom zulip
"""
SCHEMES = frozenset(NAMES.split())
# Those whose addresses are a web server's: with a host that may be seen.
PLAIN = ("http", "https", "json", "jsons", "xml", "xmls", "form", "forms", "apprise", "apprises")
# Of an address: what names files of this machine, and what would make a try last for minutes.
REFUSED = ("template", "pgp", "keyfile", "path", "retry", "wait")
SHORTEST_SECRET = 6  # characters of an address that are masked in errors
heard = threading.local()


def send(url: str, title: str, body: str, *, is_critical: bool, allow_private: bool) -> Outcome:
    """Send one message; never raises for what the service, the network or the address does."""
    try:
        service = service_of(url)
    except Refusal as refusal:
        return Outcome(error=str(refusal), is_final=True)
    with listening() as lines, guard.watching(allow_private=allow_private) as refused:
        try:
            is_sent = service.notify(**as_text(service, title, body or title), notify_type=tone(is_critical))
        except Exception as problem:  # apprise's plugins are other people's code
            lines.append(f"{type(problem).__name__}: {problem}")
            is_sent = False
    if is_sent:
        return SENT
    error = refused[0] if refused else " ".join(dict.fromkeys(lines)) or "The service did not take the message."
    return Outcome(error=mask_text(error, secrets_of(url)), is_final=bool(refused))


def as_text(service: "NotifyBase", title: str, body: str) -> dict[str, Any]:
    """Return a message in the format that the service takes (HTML, Markdown, …), in which it reads as it is written.

    apprise does so for those who send through its own list of services; a service by itself takes what it is given.
    """
    plain = library().NotifyFormat.TEXT
    wanted = service.resolve_format(plain)
    written = partial(library().conversion.convert_between, plain, wanted)
    is_part_of_body = service.title_maxlen <= 0
    return {"title": written(title) if is_part_of_body else title, "body": written(body), "body_format": wanted}


def tone(is_critical: bool) -> Any:
    kinds = library().NotifyType
    return kinds.FAILURE if is_critical else kinds.WARNING


def service_of(url: str) -> "NotifyBase":
    """Return apprise's object for an address; refuse what is not on our list or what apprise cannot read."""
    check(url)
    apprise = library()
    # Nothing of ours is written to its folders, and what it logs has its secrets masked.
    asset = apprise.AppriseAsset(storage_mode=apprise.PersistentStoreMode.MEMORY, secure_logging=True)
    with listening() as lines:
        try:
            service: Any = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        except Exception as error:  # the same
            lines.append(type(error).__name__)
            service = None
    if service is None:
        reason = mask_text(lines[0], secrets_of(url)) if lines else ""
        hint = "Each service has a form of its own: https://appriseit.com/services/."
        raise Refusal(f"apprise cannot read the address. {reason}".strip(), field="address", hint=hint)
    service.socket_connect_timeout = service.socket_read_timeout = guard.SECONDS
    service.redirects = False
    return service  # type: ignore[no-any-return]


@cache
def library() -> Any:
    """Load apprise and its services, whose deprecated imports are not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import apprise

        apprise.Apprise.instantiate("json://localhost")
    return apprise


def check(url: str) -> None:
    """Refuse a service that is not on our list, and what would read files here."""
    scheme = scheme_of(url)
    if scheme not in SCHEMES:
        hint = "Use for example slack://…, mailtos://…, discord://…, tgram://…, opsgenie://…, ntfys://…."
        problem = f"{scheme[:40]!r} is not a service we send to." if scheme else "The address names no service."
        raise Refusal(problem, field="address", hint=hint)
    for name, _ in parse_qsl(query_of(url), keep_blank_values=True):
        if any(word in name.lower() for word in REFUSED):
            raise Refusal(f"The address may not set {name[:40]!r}.", field="address", hint="Leave it out.")


def scheme_of(url: str) -> str:
    return url.partition("://")[0].strip().lower() if "://" in url else ""


def query_of(url: str) -> str:
    return url.partition("?")[2]


def shown(url: str) -> str:
    """Return what may be seen of an address: apprise's own mask for it, or its service and host."""
    scheme = scheme_of(url)
    if scheme in PLAIN:  # the path may be secret
        return f"{scheme}://{urlsplit(url).hostname or '…'}/…"
    service: Any = service_of(url)
    masked = str(service.url(privacy=True)).partition("?")[0]
    return unquote(masked).replace("...", "…").rstrip("/")[:200]


def secrets_of(url: str) -> tuple[str, ...]:
    """Return the pieces of an address that no error may show, the longest first."""
    rest = url.partition("://")[2]
    for sign in "/:@?&=":
        rest = rest.replace(sign, " ")
    pieces = {piece for word in rest.split() for piece in (word, unquote(word)) if len(piece) >= SHORTEST_SECRET}
    host = urlsplit(url).hostname if scheme_of(url) in PLAIN else None
    return tuple(sorted({url, *(pieces - {host})}, key=len, reverse=True))


class Listener(logging.Handler):
    """Hands what apprise logs to the thread that sends: it tells its reasons nowhere else."""

    def emit(self, record: logging.LogRecord) -> None:
        lines = getattr(heard, "lines", None)
        if lines is not None and len(lines) < 10:
            lines.append(record.getMessage()[:500])


LISTENER = Listener(logging.WARNING)


@contextmanager
def listening() -> Iterator[list[str]]:
    """Gather what apprise says in this thread, instead of having it in our own log."""
    logger = logging.getLogger("apprise")
    if LISTENER not in logger.handlers:
        logger.addHandler(LISTENER)
        logger.propagate = False
    before, lines = getattr(heard, "lines", None), list[str]()
    heard.lines = lines
    try:
        yield lines
    finally:
        heard.lines = before
