"""How the cadence of a trigger looks in the API."""

from typing import Any

from rest_framework import serializers

from pipelines.serializers import StrictSerializer
from schedules.reasons.drift import Cadence


class CadenceSerializer(StrictSerializer):
    """The real cadence beside the declared one. Spans are in seconds, all null while there are too few runs.

    `share`: how much longer the real spacing is, 2.0 is three times as long. `cause`: running, waiting or not_started.
    `decisions`: what became of the moments of the stretch.
    """

    summary = serializers.CharField(read_only=True)
    is_drifting = serializers.BooleanField(read_only=True)
    runs = serializers.IntegerField(read_only=True)
    declared = serializers.FloatField(read_only=True, allow_null=True)
    real = serializers.FloatField(read_only=True, allow_null=True)
    share = serializers.FloatField(read_only=True, allow_null=True)
    waiting = serializers.FloatField(read_only=True, allow_null=True)
    queued = serializers.FloatField(read_only=True, allow_null=True)
    running = serializers.FloatField(read_only=True, allow_null=True)
    cause = serializers.CharField(read_only=True)
    reason = serializers.CharField(read_only=True)
    decisions = serializers.DictField(child=serializers.IntegerField(), read_only=True)


SPANS = ("declared", "real", "waiting", "running")


def told(cadence: Cadence) -> dict[str, Any]:
    drift = cadence.drift
    return {
        "summary": cadence.summary,
        "is_drifting": bool(drift and drift.is_drifting),
        "runs": drift.runs if drift else 0,
        **{name: getattr(drift, name).total_seconds() if drift else None for name in SPANS},
        "queued": cadence.queued.total_seconds() if drift else None,
        "share": round(drift.share, 4) if drift else None,
        "cause": drift.cause if drift else "",
        "reason": drift.reason if drift else "",
        "decisions": cadence.decisions,
    }
