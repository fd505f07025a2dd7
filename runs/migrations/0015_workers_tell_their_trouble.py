from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0014_blocks_gone_wrong_are_found")]
    operations = [
        migrations.AddField(
            model_name="worker",
            name="trouble",
            field=models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict),
        ),
    ]
