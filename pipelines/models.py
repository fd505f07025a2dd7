"""Pipelines as they are on disk, mirrored in the database, and the versions that runs pin."""

from django.db import models
from django.db.models import Q, Value


class PipelineQuerySet(models.QuerySet["Pipeline"]):
    def present(self) -> "PipelineQuerySet":
        """Those whose folder is still there."""
        return self.filter(is_present=True)

    def with_broken_triggers(self) -> "PipelineQuerySet":
        """Those present whose triggers.yaml cannot be taken over."""
        return self.present().exclude(trigger_problems=[]).order_by("uuid")

    def for_list(self, text: str = "") -> "PipelineQuerySet":
        """Those present, by name; only those whose name, uuid or tags hold the text."""
        found = Q(uuid__icontains=text) | Q(name__icontains=text) | Q(tags__icontains=text)
        return (self.filter(found) if text else self).present().order_by("uuid")


class Pipeline(models.Model):
    """A named graph of blocks, as last seen in the project folder."""

    uuid = models.CharField(max_length=200, unique=True)
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    type = models.CharField(max_length=40, default="python")
    tags = models.JSONField(default=list, blank=True)
    # Who looks after it: a person or a team. (db_default: processes of the release before write rows too.)
    owner = models.CharField(max_length=100, blank=True, default="", db_default="")
    is_present = models.BooleanField(default=True)
    is_valid = models.BooleanField(default=True)
    # [{"file": "pipelines/x/metadata.yaml", "line": 3 or null, "reason": "...", "hint": "..."}]
    problems = models.JSONField(default=list, blank=True)
    # Likewise, of its triggers.yaml. (db_default: processes of the release before write rows too.)
    trigger_problems = models.JSONField(default=list, db_default=Value([], models.JSONField()), blank=True)
    current_version = models.ForeignKey(
        "PipelineVersion", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    fingerprint = models.CharField(max_length=64, blank=True)  # of names, sizes and mtimes: tells whether to read again
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = PipelineQuerySet.as_manager()

    def __str__(self) -> str:
        return self.uuid


class PipelineVersion(models.Model):
    """A pipeline's definition and code at one moment, by content. Never changed once written.

    `graph` is `pipelines.graph.Graph.as_dict()`; `settings` the pipeline's own settings (variables, limits, retry,
    executor, run_pipeline_in_one_process, …); `files` maps path in the project → {"sha256", "text" or null}.
    """

    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="versions")
    content_hash = models.CharField(max_length=64)
    graph = models.JSONField()
    settings = models.JSONField(default=dict)
    files = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pipeline", "content_hash"], name="pipeline_content_is_one_version"),
        ]

    def __str__(self) -> str:
        return f"{self.pipeline_id}@{self.content_hash[:10]}"


class Secret(models.Model):
    """A named value, encrypted at rest (pipelines/secrets.py); blocks get only the ones they name."""

    name = models.CharField(max_length=100, unique=True)
    token = models.TextField()  # Fernet token; never shown
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name
