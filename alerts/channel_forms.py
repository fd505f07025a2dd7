"""The form of a channel. Its address is typed and never shown again."""

from datetime import datetime
from typing import Any

from django import forms
from django.http import QueryDict

from alerts import channel_changes
from alerts.models import Channel, ChannelKind
from pipelines.refusal import Refusal
from schedules.pages.form_fields import choice, flag

KINDS = ((ChannelKind.APPRISE, "a service: Slack, Teams, e-mail, …"), (ChannelKind.WEBHOOK, "a signed webhook"))


class ChannelForm(forms.Form):
    """A new channel, or (with `channel`) a change of one, whose kind stays."""

    name = forms.CharField(
        max_length=channel_changes.LONGEST_NAME, error_messages={"required": "Name: 1–100 printable characters."}
    )
    kind = choice("Messages go to", KINDS)
    address = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false", "autocomplete": "off"}),
    )
    is_active = flag("Active")

    def __init__(self, data: QueryDict | None = None, *, channel: Channel | None = None) -> None:
        super().__init__(data, initial=values_of(channel) if channel else {"is_active": True})
        self.channel = channel
        if channel:
            del self.fields["kind"]
            self.fields["address"].widget.attrs["placeholder"] = channel.shown_address
            self.fields["address"].help_text = "The one that is stored stays unless you write another."
        for name in self.fields.keys() - {"is_active"}:
            attrs = self.fields[name].widget.attrs
            attrs["class"] = f"{'form-select' if name == 'kind' else 'form-control'} {attrs.get('class', '')}".strip()
        if data is not None:  # a wrong one is not sent back to where it could be read
            self.fields["address"].widget = forms.PasswordInput(attrs=self.fields["address"].widget.attrs)

    def save(self, moment: datetime) -> tuple[Channel, str] | None:
        """Make or change the channel; return it and a new signing key ("" if none), or None when it was refused."""
        fields: dict[str, Any] = dict(self.cleaned_data)
        try:
            if self.channel is None:
                return channel_changes.create(fields, moment)
            channel_changes.change(self.channel, fields)
            return self.channel, ""
        except Refusal as refusal:
            self.add_error(refusal.field if refusal.field in self.fields else None, str(refusal))
            return None


def values_of(channel: Channel) -> dict[str, Any]:
    return {"name": channel.name, "is_active": channel.is_active}
