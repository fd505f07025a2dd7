"""What is kept beside runs: earlier attempts, what happened, what is to be removed."""

from django.db import models

from runs.models.blocks import BlockRun
from runs.models.runs import PipelineRun


class Attempt(models.Model):
    """An earlier attempt at a block, written down when the next one began. The latest is the block run itself."""

    block_run = models.ForeignKey(BlockRun, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    run_attempt = models.PositiveIntegerField(default=1)  # which attempt of the whole run it belonged to
    # "failed", "lost" (with its worker), "handed_back", or the status that it had when it was set back
    ended_as = models.CharField(max_length=20)
    queued_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField()
    executor = models.CharField(max_length=40)
    external_id = models.CharField(max_length=255, blank=True)  # the process, or the job's name outside
    host = models.CharField(max_length=255, blank=True)
    metrics = models.JSONField(default=dict, blank=True)  # as of the block run: usage and exit
    error = models.JSONField(default=dict, blank=True)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["block_run", "number"], name="an_attempt_is_kept_once"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of block run {self.block_run_id}"


class Removal(models.Model):
    """Files of a run that retention has decided to remove, until they are gone.

    Written with the decision: whatever dies in between, nothing is left lying that nobody knows of.
    """

    run_id = models.BigIntegerField()  # of "runs" there is no row any more
    kind = models.CharField(max_length=10)  # "logs", "outputs", or "runs" for both
    decided_at = models.DateTimeField()
    problem = models.CharField(max_length=500, blank=True)  # why the last try failed
    try_after = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.kind} of run {self.run_id}"


class Event(models.Model):
    """Something that happened to a run or a block run, in order, kept for people and for alerts."""

    pipeline_run = models.ForeignKey(PipelineRun, on_delete=models.CASCADE, related_name="events")
    block_run = models.ForeignKey(BlockRun, null=True, blank=True, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=40)  # "created", "started", "completed", "failed", "retry", "worker_lost", …
    message = models.CharField(max_length=500, blank=True)
    data = models.JSONField(default=dict, blank=True)
    happened_at = models.DateTimeField()

    class Meta:
        indexes = [
            # run page: its events in order
            models.Index(fields=["pipeline_run", "id"], name="event_of_run"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of run {self.pipeline_run_id}"
