"""Errors of the API: RFC 9457 problems that say which field, what was wrong and what would be right."""

import logging
import secrets
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse, JsonResponse
from drf_spectacular.generators import SchemaGenerator
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.views import set_rollback

from pipelines.parsers import MAX_BYTES
from pipelines.refusal import Refusal
from runs.states import IllegalMove
from runs.storing.store import StoreError

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
# Refusals are 400, but for these.
STATUS_OF_CODE = {
    "unknown_pipeline": 404,
    "unknown_block": 404,
    "unknown_schedule": 404,
    "unknown_output": 404,
    "output_removed": 410,
    "not_in_this_format": 409,
    "invalid_pipeline": 409,
    "conflict": 409,
    "duplicate_name": 409,
    "inactive": 409,
    "nothing_to_run": 409,
    "idempotency_key_reused": 409,
    "stale": 412,
}


def answer(exception: Exception, context: dict[str, Any]) -> HttpResponse:
    """Turn whatever a view raised into a problem; the unforeseen into a 500 that tells a request id and no more."""
    set_rollback()
    if isinstance(exception, Refusal):
        return of_refusal(exception)
    if isinstance(exception, exceptions.APIException):
        return of_api_exception(exception)
    if isinstance(exception, Http404):
        return problem(404, "not_found", "There is nothing here.")
    if isinstance(exception, DjangoPermissionDenied):
        return problem(403, "permission_denied", "You may not do this.")
    if isinstance(exception, RequestDataTooBig):
        return problem(413, "too_large", f"The body is larger than {MAX_BYTES:,} bytes.")
    if isinstance(exception, SuspiciousOperation | BadRequest):
        return problem(400, "bad_request", "The request cannot be read.")
    if isinstance(exception, StoreError):
        return problem(503, "log_store_away", f"The log cannot be read now: {exception}.")
    if isinstance(exception, IllegalMove):
        return problem(409, "conflict", f"{str(exception).capitalize()}.")
    return of_the_unforeseen(exception, context["request"])


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    hint: str = "",
    errors: list[dict[str, str]] | None = None,
    **more: str,
) -> HttpResponse:
    """Return the response of one problem."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **({"hint": hint} if hint else {}),
        "errors": errors or [],
        **more,
    }
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE)


def of_refusal(refusal: Refusal) -> HttpResponse:
    status = STATUS_OF_CODE.get(refusal.code, 400)
    errors = [error(refusal.field, refusal.code, refusal.message, refusal.hint)] if refusal.field else []
    return problem(status, refusal.code, refusal.message, hint=refusal.hint, errors=errors)


def of_api_exception(exception: exceptions.APIException) -> HttpResponse:
    """Return the problem for what REST framework raised, with the headers that belong to it."""
    if isinstance(exception, exceptions.ValidationError):
        found = mistakes(exception.detail)
        return of_mistakes([error(path, each.code or "invalid", str(each)) for path, each in found])
    if isinstance(exception, exceptions.AuthenticationFailed | exceptions.NotAuthenticated):
        # One body for all: which part of a credential was wrong is nobody's business.
        code, detail = "not_authenticated", "Sign in, or send a valid token: Authorization: Bearer orc_…"
    else:
        code, detail = str(exception.get_codes()), str(exception.detail)
    response = problem(exception.status_code, code, detail)
    if header := getattr(exception, "auth_header", None):
        response.headers["WWW-Authenticate"] = header
    if (wait := getattr(exception, "wait", None)) is not None:
        response.headers["Retry-After"] = str(int(wait))
    return response


def of_mistakes(errors: list[dict[str, str]]) -> HttpResponse:
    first = errors[0]
    if len(errors) == 1:
        field, message = first["field"], first["message"]
        detail = message if field in message else f"{field}: {message}"
        return problem(400, first["code"], detail, errors=errors)
    names = ", ".join(each["field"] or "the body" for each in errors)
    return problem(400, "invalid", f"{len(errors)} mistakes: {names}.", errors=errors)


def mistakes(detail: Any, path: str = "") -> Iterator[tuple[str, exceptions.ErrorDetail]]:
    """Walk the nested errors of a serializer: (dotted path, error)."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from mistakes(inner, path if name == "non_field_errors" else f"{path}.{name}".lstrip("."))
    elif isinstance(detail, list):
        for inner in detail:
            yield from mistakes(inner, path)
    else:
        yield path, detail


def error(field: str, code: str, message: str, hint: str = "") -> dict[str, str]:
    steps = [step.replace("~", "~0").replace("/", "~1") for step in field.split(".")] if field else []
    return {
        "pointer": "".join(f"/{step}" for step in steps),
        "field": field,
        "code": code,
        "message": message,
        "hint": hint,
    }


def of_the_unforeseen(exception: Exception, request: Request) -> HttpResponse:
    request_id = secrets.token_hex(8)
    # The route and not the path, which may hold a trigger's token.
    route = request.resolver_match.route if request.resolver_match else "?"
    logger.error("request %s: %s %s failed", request_id, request.method, route, exc_info=exception)
    if isinstance(exception, OperationalError | InterfaceError):
        response = problem(
            503, "database_unavailable", "The database does not answer.", hint="Try again.", request_id=request_id
        )
    else:
        response = problem(500, "internal", "Something went wrong here; it was logged.", request_id=request_id)
    response._has_been_logged = True  # type: ignore[attr-defined]  # or Django logs it again, with the path
    return response


ERROR_SCHEMA = {
    "type": "object",
    "required": ["pointer", "field", "code", "message", "hint"],
    "properties": {
        "pointer": {"type": "string", "description": "JSON pointer into the body."},
        **{name: {"type": "string"} for name in ("field", "code", "message", "hint")},
    },
}
PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "code", "detail", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "A stable word for programs."},
        "detail": {"type": "string"},
        "hint": {"type": "string"},
        "errors": {"type": "array", "items": ERROR_SCHEMA},
        "request_id": {"type": "string"},
    },
}


def describe(result: dict[str, Any], generator: SchemaGenerator, **_: Any) -> dict[str, Any]:
    """Say in the schema that every operation may answer with a problem, and name each path as links do."""
    result["components"].setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    result["paths"] = {path.rstrip("/"): operations for path, operations in result["paths"].items()}
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"]["default"] = {"description": "A problem.", "content": content}
    return result
