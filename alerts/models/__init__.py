"""Who is told, of what, and whether it arrived."""

from alerts.models.incidents import Bookmark, Breach, Change, Incident, IncidentQuerySet, Step
from alerts.models.rules import AlertRule, AlertRuleQuerySet, Kind, Severity
from alerts.models.telling import Channel, ChannelKind, Delivery, DeliveryQuerySet

__all__ = [
    "AlertRule",
    "AlertRuleQuerySet",
    "Bookmark",
    "Breach",
    "Change",
    "Channel",
    "ChannelKind",
    "Delivery",
    "DeliveryQuerySet",
    "Incident",
    "IncidentQuerySet",
    "Kind",
    "Severity",
    "Step",
]
