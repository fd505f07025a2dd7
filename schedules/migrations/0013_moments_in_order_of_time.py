from django.db import migrations, models

from pipelines.quiet_indexes import AddIndexQuietly


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("schedules", "0012_moments_passed_over_are_found")]
    operations = [
        AddIndexQuietly("occurrence", models.Index(fields=["scheduled_for", "id"], name="occurrence_by_moment")),
    ]
