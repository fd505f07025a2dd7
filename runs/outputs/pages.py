"""Where the page of a run links to for what its blocks returned."""

from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from pipelines.refusal import Refusal
from runs.outputs.downloads import download
from runs.outputs.sending import send
from runs.views import find_run

STATUS = {"unknown_output": 404, "output_removed": 410}


@require_GET
def output(request: HttpRequest, run_id: str, block_run_id: str, name: str, form: str) -> HttpResponseBase:
    """Send an output as a file; say in words why it cannot be had."""
    run = find_run(int(run_id))
    block_run = run.block_runs.filter(pk=int(block_run_id)).defer("config").first()
    if block_run is None:
        raise Http404(f"Run {run_id} has no such block.")
    try:
        return send(request, download(run, block_run, name, form))
    except Refusal as refusal:
        context = {"run": run, "b": block_run, "why": str(refusal)}
        return render(request, "runs/no_output.html", context, status=STATUS.get(refusal.code, 409))
