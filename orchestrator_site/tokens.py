"""API tokens: issued once, kept as a hash, looked up without telling anything by time or words."""

import hashlib
import hmac
import secrets
import string
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from orchestrator_site.models import ApiToken
from pipelines.refusal import Refusal

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema
    from rest_framework.views import APIView

PREFIX = "orc_"  # so that scanners find a leaked one
SCOPES = ("read", "run", "write")
DEFAULT_LIFE = timedelta(days=90)
LONGEST_LIFE = timedelta(days=366)
USE_IS_NOTED_EVERY = timedelta(minutes=1)
ID_CHARACTERS = string.ascii_lowercase + string.digits
ID_LENGTH = 8
NOBODYS_HASH = hashlib.sha256(b"nobody").hexdigest()


def issue(
    user: User, *, name: str, scopes: Sequence[str], expires_at: datetime, moment: datetime
) -> tuple[ApiToken, str]:
    """Make a token; return its row and the text to show once. Raises `Refusal` for a wrong name, scope or expiry."""
    check_name(name)
    check_scopes(scopes)
    check_expiry(expires_at, moment)
    key_id = "".join(secrets.choice(ID_CHARACTERS) for _ in range(ID_LENGTH))
    plain = f"{PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
    token = ApiToken.objects.create(
        user=user,
        name=name.strip(),
        key_id=key_id,
        key_hash=digest(plain),
        scopes=[scope for scope in SCOPES if scope in scopes],
        expires_at=expires_at,
    )
    return token, plain


def verify(text: str, moment: datetime) -> ApiToken | None:
    """Return the usable token that `text` is, with its user, or None; takes as long either way."""
    key_id = text[len(PREFIX) : len(PREFIX) + ID_LENGTH]
    if not (text.startswith(PREFIX) and key_id.isalnum() and key_id.isascii()):
        key_id = "-"
    token = ApiToken.objects.usable(moment).select_related("user").filter(key_id=key_id).first()
    fits = hmac.compare_digest(digest(text), token.key_hash if token else NOBODYS_HASH)
    if token is None or not fits or not token.user.is_active:
        return None
    note_use(token, moment)
    return token


def user_for_header(header: str, moment: datetime) -> User | None:
    """Return whose usable token (with the scope `read`) an Authorization header holds, or None."""
    token = verify(text_in(header), moment)
    return token.user if token and "read" in token.scopes else None


def text_in(header: str) -> str:
    """Return the token in `Bearer …` or `Token …`; "" for any other header."""
    scheme, _, text = header.partition(" ")
    return text.strip() if scheme.lower() in ("bearer", "token") else ""


def note_use(token: ApiToken, moment: datetime) -> None:
    """Keep when a token was last used, at most once a minute."""
    before = moment - USE_IS_NOTED_EVERY
    if token.last_used_at is None or token.last_used_at <= before:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=moment)


def revoke(token: ApiToken, moment: datetime) -> None:
    """End a token now; the row stays, so that its uses can still be explained."""
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=moment)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check_name(name: str) -> None:
    if not 1 <= len(name.strip()) <= 100 or not name.isprintable():
        raise Refusal("The name must have 1 to 100 printable characters.", field="name", code="invalid_name")


def check_scopes(scopes: Iterable[str]) -> None:
    wanted = list(scopes)
    if wrong := [scope for scope in wanted if scope not in SCOPES]:
        raise Refusal(
            f"Unknown scope: {wrong[0][:80]!r}.", field="scopes", hint=f"Use {', '.join(SCOPES)}.", code="invalid_scope"
        )
    if not wanted:
        raise Refusal("A token needs a scope.", field="scopes", hint=f"Use {', '.join(SCOPES)}.", code="invalid_scope")


def check_expiry(expires_at: datetime, moment: datetime) -> None:
    if not moment < expires_at <= moment + LONGEST_LIFE:
        raise Refusal("A token must expire after now and within a year.", field="expires_at", hint="90 days is usual.")


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer orc_…` or `Token orc_…`. Each failure is the same 401."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        header = get_authorization_header(request)
        if not header:
            return None
        token = verify(text_in(header.decode("latin-1")), timezone.now())
        if token is None:
            raise AuthenticationFailed
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="orchestrator"'


class HasScope(BasePermission):
    """A token may do what its scopes say; a person who signed in may do all."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if not isinstance(request.auth, ApiToken):
            return True
        needed = required_scope(request, view)
        if needed not in request.auth.scopes:
            raise PermissionDenied(f"This token lacks the scope {needed!r}.", code="missing_scope")
        return True


def required_scope(request: Request, view: "APIView") -> str:
    if hasattr(view, "required_scope"):
        return str(view.required_scope())
    return "read" if request.method in ("GET", "HEAD", "OPTIONS") else "write"


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema describes tokens."""

    target_class = "orchestrator_site.tokens.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: "AutoSchema") -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "orc_<id>_<secret>"}
