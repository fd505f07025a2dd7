from datetime import UTC, datetime

from django.db import migrations

FIRST = [
    ("A run failed", "run_failed", "critical", {}),
    ("An SLA passed", "sla", "warning", {}),
    ("A moment was missed", "occurrence_missed", "warning", {"decisions": ["missed", "expired"]}),
    ("Schedulers, workers, storage", "unhealthy", "critical", {}),
    ("A message could not be delivered", "delivery_failed", "warning", {}),
]


def write(apps, schema_editor):
    """What everybody wants to see on the dashboard; channels are for people to choose."""
    now = datetime.now(UTC)
    rule = apps.get_model("alerts", "AlertRule")
    rule.objects.bulk_create(
        rule(name=name, kind=kind, severity=severity, settings=settings, created_at=now, updated_at=now)
        for name, kind, severity, settings in FIRST
    )


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_first_tables")]
    operations = [migrations.RunPython(write, migrations.RunPython.noop)]
