"""A choice among hundreds, written at once."""

from django import forms

from runs.listing.widgets import QuickSelect


class OneChoice(forms.Form):
    """A form with one such choice."""

    name = forms.ChoiceField(choices=[("", "Any"), ("a&b", "<a>")], widget=QuickSelect(attrs={"aria-label": "Name"}))


def test_it_says_what_djangos_own_says() -> None:
    said = str(OneChoice({"name": "a&b"})["name"])

    assert said.startswith('<select aria-label="Name"')
    assert '<option value="">Any</option><option value="a&amp;b" selected>&lt;a&gt;</option></select>' in said


def test_nothing_chosen_is_the_first() -> None:
    assert '<option value="" selected>Any</option>' in str(OneChoice({})["name"])
