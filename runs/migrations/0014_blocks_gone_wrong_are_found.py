from django.db import migrations, models

from pipelines.quiet_indexes import AddIndexQuietly


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("runs", "0013_runs_gone_wrong_are_found")]
    operations = [
        AddIndexQuietly(
            "blockrun",
            models.Index(
                fields=["status", "-id"],
                name="block_gone_wrong",
                condition=models.Q(("status__in", ["failed", "upstream_failed", "condition_failed", "cancelled"])),
            ),
        ),
    ]
