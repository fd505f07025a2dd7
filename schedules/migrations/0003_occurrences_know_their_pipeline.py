"""Occurrences learn their pipeline from their schedule; active schedules learn up to where the ledger is complete."""

import django.db.models.deletion
from datetime import timedelta

from django.db import migrations, models


def learn(apps, schema_editor):
    occurrences = apps.get_model("schedules", "Occurrence").objects
    schedules = apps.get_model("schedules", "PipelineSchedule").objects
    pipelines = schedules.filter(pk=models.OuterRef("schedule_id")).values("pipeline_id")
    occurrences.filter(pipeline=None).update(pipeline_id=models.Subquery(pipelines))
    planned = schedules.filter(is_active=True, next_due_at__isnull=False, decided_until=None)
    planned.update(decided_until=models.F("next_due_at") - timedelta(microseconds=1))


class Migration(migrations.Migration):

    dependencies = [
        ('schedules', '0002_ledger_of_every_moment'),
    ]

    operations = [
        migrations.RunPython(learn, migrations.RunPython.noop),
        migrations.AlterField(
            model_name='occurrence',
            name='pipeline',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='occurrences', to='pipelines.pipeline'),
        ),
    ]
