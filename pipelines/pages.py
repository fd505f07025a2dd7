"""What the pages of every app share: a row by its number, and what to say when something was refused."""

from typing import TypeVar

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest

from pipelines.filters import LARGEST_ID
from pipelines.refusal import Refusal

Row = TypeVar("Row", bound=Model)


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
