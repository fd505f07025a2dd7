from django.db import migrations, models

from pipelines.quiet_indexes import AddIndexQuietly


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("runs", "0010_kept_runs_are_found")]
    operations = [
        AddIndexQuietly("pipelinerun", models.Index(fields=["created_at", "id"], name="run_by_creation")),
        AddIndexQuietly("pipelinerun", models.Index(fields=["execution_date", "id"], name="run_by_execution_date")),
    ]
