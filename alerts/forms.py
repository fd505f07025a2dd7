"""The query strings of the lists of incidents and of deliveries: a link is a view."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.db.models import Q

from alerts import standing
from alerts.models import Channel, Delivery, DeliveryQuerySet, IncidentQuerySet, Severity

LARGEST_ID = 2**63 - 1
MOST_CHOICES = 500
NEWEST = 20_000  # rows among which words are looked for


class ListFilter(forms.Form):
    """A filter whose mistakes are told and left out."""

    used_names: tuple[str, ...] = ()
    before = forms.IntegerField(required=False, min_value=1, max_value=LARGEST_ID, widget=forms.HiddenInput)

    def offer(self, name: str, label: str, choices: Iterable[tuple[str, str]]) -> None:
        """Let one be chosen; another that is typed in the address is taken as well."""
        self.fields[name].widget = forms.Select(choices=list(choices), attrs={"aria-label": label})

    def style(self) -> None:
        for field in self.fields.values():
            kind = "form-select" if isinstance(field.widget, forms.Select) else "form-control"
            field.widget.attrs.setdefault("class", kind)

    @property
    def is_used(self) -> bool:
        return any(self.cleaned_data.get(name) for name in self.used_names)

    @property
    def narrows(self) -> bool:
        """Is anything asked for beside the state?"""
        return any(self.cleaned_data.get(name) for name in self.used_names if name != "state")

    def used(self) -> list[tuple[str, Any]]:
        """Return the filters that are set, for a form that hands them on."""
        return [(name, value) for name in self.used_names if (value := self.cleaned_data.get(name))]


def among_newest(rows: Any) -> Any:
    """Leave out all but the newest rows of the table: looking for words in all takes too long."""
    last = rows.model.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    return rows.filter(pk__gt=last - NEWEST)


class SearchField(forms.CharField):
    def __init__(self, placeholder: str, label: str) -> None:
        attrs = {"type": "search", "placeholder": placeholder, "aria-label": label}
        super().__init__(required=False, max_length=200, widget=forms.TextInput(attrs=attrs))


def words(choices: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, name.replace("_", " ")) for name in choices]


class IncidentFilter(ListFilter):
    """Which incidents: by default those that are open and that nobody looks after."""

    used_names = ("q", "state", "severity", "pipeline", "assignee", "rule")
    q = SearchField("Number, words or pipeline", "Search incidents")
    state = forms.ChoiceField(required=False, choices=[("", "open"), *words(standing.STATES)])
    severity = forms.ChoiceField(required=False, choices=[("", "Any severity"), *words(Severity.values)])
    pipeline = forms.CharField(required=False, max_length=200)
    assignee = forms.CharField(required=False, max_length=150)
    rule = forms.IntegerField(required=False, min_value=1, max_value=LARGEST_ID, widget=forms.HiddenInput)

    def __init__(self, data: Any, *, pipelines: Iterable[str] = (), users: Iterable[str] = ()) -> None:
        super().__init__(data)
        self.fields["severity"].widget.attrs["aria-label"] = "Severity"
        self.offer("pipeline", "Pipeline", [("", "Any pipeline"), *((uuid, uuid) for uuid in pipelines)])
        self.fields["pipeline"].widget.attrs["data-pick"] = ""
        people = [("", "Anybody"), ("me", "Me"), ("nobody", "Nobody"), *((name, name) for name in users)]
        self.offer("assignee", "Who looks after it", people)
        self.fields["state"].widget = forms.HiddenInput()
        self.style()

    @property
    def shown_state(self) -> str:
        return self.cleaned_data.get("state") or "open"

    def chosen(self, incidents: IncidentQuerySet, user: Any, moment: datetime) -> IncidentQuerySet:
        """Narrow `incidents` by what was asked; a part not understood is left out (its error is shown)."""
        self.is_valid()
        found, asked = standing.in_state(incidents, self.shown_state, moment), self.cleaned_data
        if severity := asked.get("severity"):
            found = found.filter(severity=severity)
        if pipeline := asked.get("pipeline"):
            found = found.filter(pipeline__uuid=pipeline)
        elif not (asked.get("q") or "").strip():  # what one stands for is listed on its page
            found = found.ungathered()
        if rule := asked.get("rule"):
            found = found.filter(rule_id=rule)
        match asked.get("assignee"):
            case "me":
                found = found.filter(assignee_id=user.pk)
            case "nobody":
                found = found.filter(assignee=None)
            case str(name) if name:
                found = found.filter(assignee__username=name)
        return matching(found, asked.get("q") or "")


def matching(incidents: IncidentQuerySet, text: str) -> IncidentQuerySet:
    """Return those of the newest that contain every word in their title or pipeline; or the one with the number."""
    number = text.strip().lstrip("#")
    if number.isdecimal() and number.isascii() and len(number) <= 18:
        return incidents.filter(pk=int(number))
    incidents = among_newest(incidents) if text.strip() else incidents
    for word in text.split():
        incidents = incidents.filter(Q(title__icontains=word) | Q(pipeline__uuid__icontains=word))
    return incidents


DELIVERY_STATES = {
    "waiting": Q(sent_at=None, given_up_at=None, tries=0),
    "trying": Q(sent_at=None, given_up_at=None, tries__gt=0),
    "sent": Q(sent_at__isnull=False),
    "failed": Q(sent_at=None, given_up_at__isnull=False),
}


class DeliveryFilter(ListFilter):
    """Which messages."""

    used_names = ("q", "state", "channel", "incident")
    q = SearchField("Words of the message", "Search messages")
    state = forms.ChoiceField(required=False, choices=[("", "Any state"), *words(DELIVERY_STATES)])
    channel = forms.IntegerField(required=False, min_value=1, max_value=LARGEST_ID)
    incident = forms.IntegerField(required=False, min_value=1, max_value=LARGEST_ID, widget=forms.HiddenInput)

    def __init__(self, data: Any, *, channels: Iterable[Channel] = ()) -> None:
        super().__init__(data)
        self.fields["state"].widget.attrs["aria-label"] = "State"
        self.offer("channel", "Channel", [("", "Any channel"), *((str(each.pk), each.name) for each in channels)])
        self.style()

    def chosen(self, deliveries: DeliveryQuerySet) -> DeliveryQuerySet:
        """Narrow `deliveries` by what was asked; a part not understood is left out (its error is shown)."""
        self.is_valid()
        asked = self.cleaned_data
        if state := asked.get("state"):
            deliveries = deliveries.filter(DELIVERY_STATES[state])
        if channel := asked.get("channel"):
            deliveries = deliveries.filter(channel_id=channel)
        if incident := asked.get("incident"):
            deliveries = deliveries.filter(change__incident_id=incident)
        if asked.get("q"):
            deliveries = among_newest(deliveries)
        for word in (asked.get("q") or "").split():
            deliveries = deliveries.filter(Q(title__icontains=word) | Q(last_error__icontains=word))
        return deliveries


def people() -> list[str]:
    """Return the names of those who can look after something."""
    names = User.objects.filter(is_active=True).order_by("username").values_list("username", flat=True)
    return list(names[:MOST_CHOICES])


def deliveries_for_list() -> DeliveryQuerySet:
    """Return deliveries, the newest first, with what a list tells of them."""
    found = Delivery.objects.select_related("channel", "change__incident").defer("data", "body", "channel__address")
    return found.order_by("-id")
