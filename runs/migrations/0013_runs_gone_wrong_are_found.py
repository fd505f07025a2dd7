from django.db import migrations, models

from pipelines.quiet_indexes import AddIndexQuietly


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("runs", "0012_slots_tell_their_status")]
    operations = [
        AddIndexQuietly(
            "pipelinerun",
            models.Index(
                fields=["pipeline", "status", "-id"],
                name="run_gone_wrong",
                condition=models.Q(("status__in", ["failed", "cancelled"])),
            ),
        ),
    ]
