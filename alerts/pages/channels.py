"""The pages of channels: where messages go, whether they arrive, and trying it."""

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alerts import addresses, channel_changes, trying
from alerts.channel_forms import ChannelForm
from alerts.forms import deliveries_for_list
from alerts.models import Channel
from pipelines.pages import RefusalsTold, row_or_404
from runs.views import is_refresh

MOST = 500
MOST_DELIVERIES = 20


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    channels = Channel.objects.defer("address", "signing_key").annotate(rules_count=Count("rules")).order_by("name")
    context = {"tab": "channels", "channels": list(channels[:MOST])}
    template = "incidents/_channels_live.html" if is_refresh(request) else "incidents/channels.html"
    return render(request, template, context)


@require_GET
def detail(request: HttpRequest, channel_id: int) -> HttpResponse:
    channel = find(channel_id)
    context = {
        "tab": "channels",
        "channel": channel,
        "keys": len(addresses.readable_keys_of(channel)),
        "rules": list(channel.rules.order_by("name")[:50]),
        "deliveries": list(deliveries_for_list().filter(channel=channel)[:MOST_DELIVERIES]),
    }
    return render(request, "incidents/_channel_live.html" if is_refresh(request) else "incidents/channel.html", context)


@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return show(request, ChannelForm())
    form = ChannelForm(request.POST)
    saved = form.save(timezone.now()) if form.is_valid() else None
    if saved is None:
        return show(request, form, status=422)
    channel, key = saved
    if key:
        return show_key(request, channel, key)
    messages.success(request, f"The channel {channel.name} is saved. Send a test to see whether it works.")
    return redirect("incidents:channel", channel.pk)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, channel_id: int) -> HttpResponse:
    channel = find(channel_id)
    if request.method != "POST":
        return show(request, ChannelForm(channel=channel))
    form = ChannelForm(request.POST, channel=channel)
    if not form.is_valid() or form.save(timezone.now()) is None:
        return show(request, form, status=422)
    messages.success(request, f"The channel {channel.name} is saved.")
    return redirect("incidents:channel", channel.pk)


@require_POST
def test(request: HttpRequest, channel_id: int) -> HttpResponse:
    channel = find(channel_id)
    with RefusalsTold(request):
        trying.send_test(channel, request.user.get_username(), timezone.now())
        messages.success(request, "A test is on its way; how it fares is shown below.")
    return redirect("incidents:channel", channel.pk)


@require_POST
def rotate(request: HttpRequest, channel_id: int) -> HttpResponse:
    channel = find(channel_id)
    with RefusalsTold(request):
        return show_key(request, channel, channel_changes.rotate_key(channel))
    return redirect("incidents:channel", channel.pk)


@require_POST
def retire(request: HttpRequest, channel_id: int) -> HttpResponse:
    channel = find(channel_id)
    with RefusalsTold(request):
        channel_changes.retire_key(channel)
        messages.success(request, "Only the newest key signs from now on.")
    return redirect("incidents:channel", channel.pk)


@require_POST
def delete(request: HttpRequest, channel_id: int) -> HttpResponse:
    channel = find(channel_id)
    channel_changes.delete(channel)
    messages.success(request, f"The channel {channel.name} is deleted.")
    return redirect("incidents:channels")


# --- what the views show --------------------------------------------------------------------------------------------


def find(channel_id: int) -> Channel:
    return row_or_404(Channel.objects.all(), channel_id, "channel")


def show(request: HttpRequest, form: ChannelForm, status: int = 200) -> HttpResponse:
    context = {"tab": "channels", "form": form, "channel": form.channel}
    return render(request, "incidents/channel_form.html", context, status=status)


def show_key(request: HttpRequest, channel: Channel, key: str) -> HttpResponse:
    return render(request, "incidents/signing_key.html", {"channel": channel, "key": key})
