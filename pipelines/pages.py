"""What the pages of every app share: a row by its number, what to say of a refusal, and addresses of forms."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from pipelines.filters import LARGEST_ID
from pipelines.refusal import Refusal

Row = TypeVar("Row", bound=Model)
View = Callable[..., HttpResponse]


def row_or_404(rows: QuerySet[Row], number: int, what: str, gone: str = "It may have been deleted.") -> Row:
    """Return the row with that number; the page of an unknown one says what it was for and what may have come of it."""
    row = rows.filter(pk=number).first() if number <= LARGEST_ID else None
    if row is None:
        raise Http404(f"There is no {what} {str(number)[:80]}. {gone}".strip())
    return row


class RefusalsTold:
    """`with RefusalsTold(request):` ends what stands in it at a refusal, and says that one on the next page."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> bool:
        if not isinstance(problem, Refusal):
            return False
        messages.error(self.request, str(problem))
        return True


def form_of(page: str) -> Callable[[View], View]:
    """Mark the view of an address that only takes a form, and answers a wrong one there with the whole page around it.

    Whoever loads the address again, as the live part of that answer does, is led to the page of that name.
    """

    def decorate(view: View) -> View:
        @require_http_methods(["GET", "HEAD", "POST"])
        @wraps(view)
        def answer(request: HttpRequest, **names: Any) -> HttpResponse:
            return view(request, **names) if request.method == "POST" else redirect(page, **names)

        return answer

    return decorate
