import django.db.models.deletion
from django.db import migrations, models

from pipelines.quiet_indexes import AddIndexQuietly, patience

OLD = "runs_blockrun_worker_id_8788a55d"  # as Django names the index of the foreign key


def drop(apps, schema_editor):
    """Without the index that the new one begins with; on Postgres while everybody goes on writing."""
    if schema_editor.connection.vendor == "postgresql":
        with patience(schema_editor.connection) as cursor:
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {OLD}")
    else:
        schema_editor.execute(f"DROP INDEX IF EXISTS {OLD}")


def bring_back(apps, schema_editor):
    schema_editor.execute(f"CREATE INDEX IF NOT EXISTS {OLD} ON runs_blockrun (worker_id)")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("runs", "0015_workers_tell_their_trouble")]
    operations = [
        AddIndexQuietly(
            model_name="blockrun",
            index=models.Index(fields=["worker", "started_at"], name="block_of_worker"),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop, bring_back)],
            state_operations=[
                migrations.AlterField(
                    model_name="blockrun",
                    name="worker",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="block_runs",
                        to="runs.worker",
                    ),
                ),
            ],
        ),
    ]
