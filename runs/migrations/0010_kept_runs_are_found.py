from django.db import migrations, models

from pipelines.quiet_indexes import AddIndexQuietly


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("runs", "0009_blocks_step_aside")]
    operations = [
        AddIndexQuietly("pipelinerun", models.Index(fields=["id"], name="run_kept", condition=models.Q(("is_kept", True)))),
    ]
