from django.db import migrations, models

from pipelines.quiet_indexes import AddIndexQuietly


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("runs", "0011_runs_in_order_of_time")]
    operations = [
        AddIndexQuietly(
            "pipelinerun",
            models.Index(fields=["pipeline", "execution_date", "status"], name="run_of_slot_by_status"),
        ),
        migrations.RemoveIndex("pipelinerun", "run_of_slot"),
    ]
