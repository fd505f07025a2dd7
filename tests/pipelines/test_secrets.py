"""Secrets are encrypted at rest, bound to their names, and readable with any key we still have."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from pipelines import secrets
from pipelines.models import Pipeline, Secret
from pipelines.refusal import Refusal

pytestmark = pytest.mark.django_db
VALUE = "hunter22hunter22"


def test_a_secret_comes_back_as_it_was_put() -> None:
    secrets.put("api key", "pässwörd 🔑 with\nlines")

    assert secrets.get("api key") == "pässwörd 🔑 with\nlines"


def test_an_unknown_secret_is_none() -> None:
    assert secrets.get("absent") is None


def test_putting_again_replaces_the_value() -> None:
    secrets.put("key", VALUE)
    secrets.put("key", VALUE + "2")

    assert secrets.get("key") == VALUE + "2"
    assert Secret.objects.count() == 1


def test_the_database_does_not_hold_the_value() -> None:
    secrets.put("key", VALUE)

    assert VALUE not in repr(Secret.objects.values_list())


def test_several_secrets_come_in_one_query(django_assert_num_queries: object) -> None:
    secrets.put("one", VALUE)
    secrets.put("two", VALUE + "2")
    secrets.put("three", VALUE)

    with django_assert_num_queries(1):  # type: ignore[operator]
        assert secrets.get_many({"one", "two", "absent"}) == {"one": VALUE, "two": VALUE + "2"}


def test_a_token_swapped_into_another_row_is_refused() -> None:
    secrets.put("mine", VALUE)
    secrets.put("theirs", "somebody else's")
    Secret.objects.filter(name="mine").update(token=Secret.objects.get(name="theirs").token)

    with pytest.raises(Refusal):
        secrets.get("mine")


def test_a_new_first_key_still_reads_what_the_old_one_wrote(settings: Any) -> None:
    secrets.put("key", VALUE)
    settings.SECRETS_KEYS = [Fernet.generate_key().decode(), *settings.SECRETS_KEYS]
    secrets.put("new", VALUE)

    assert secrets.get("key") == VALUE
    settings.SECRETS_KEYS = settings.SECRETS_KEYS[:1]
    assert secrets.get("new") == VALUE


def test_a_secret_whose_key_is_gone_is_refused_by_name_and_without_its_value(settings: Any) -> None:
    secrets.put("key", VALUE)
    settings.SECRETS_KEYS = [Fernet.generate_key().decode()]

    with pytest.raises(Refusal) as caught:
        secrets.get("key")

    assert caught.value.message == "The secret 'key' cannot be read with the keys in SECRETS_KEYS."


def test_a_key_that_is_none_is_refused(settings: Any) -> None:
    settings.SECRETS_KEYS = ["short"]

    with pytest.raises(Refusal) as caught:
        secrets.put("key", VALUE)

    assert caught.value.field == "SECRETS_KEYS"


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "-dash", "a'b", "a\0b"])
def test_a_name_that_is_no_good_is_refused(name: str) -> None:
    with pytest.raises(Refusal) as caught:
        secrets.put(name, VALUE)

    assert caught.value.field == "name"
    assert Secret.objects.count() == 0


@pytest.mark.parametrize("value", ["", "tiny", "x" * 65_537, "contains\0nul"])
def test_a_value_that_is_no_good_is_refused_without_telling_it(value: str) -> None:
    with pytest.raises(Refusal) as caught:
        secrets.put("key", value)

    assert caught.value.field == "value"
    assert not value or value not in str(caught.value)


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root", password="correct horse"))
    return client


def test_the_admin_stores_a_secret_and_never_shows_it(admin: Client) -> None:
    added = admin.post(reverse("admin:pipelines_secret_add"), {"name": "key", "value": f" {VALUE}"})
    shown = admin.get(reverse("admin:pipelines_secret_change", args=[Secret.objects.get().pk])).content.decode()

    assert added.status_code == 302
    assert secrets.get("key") == f" {VALUE}"
    assert VALUE not in shown
    assert Secret.objects.get().token not in shown


def test_the_admin_replaces_a_value_and_keeps_the_name(admin: Client) -> None:
    secrets.put("key", VALUE)
    url = reverse("admin:pipelines_secret_change", args=[Secret.objects.get().pk])

    admin.post(url, {"name": "other", "value": "another value"})

    assert secrets.get("key") == "another value"
    assert secrets.get("other") is None


@pytest.mark.parametrize(
    "data", [{"name": "key", "value": "short"}, {"name": "a'b", "value": VALUE}, {"name": "", "value": VALUE}]
)
def test_the_admin_refuses_what_cannot_be_kept(admin: Client, data: dict[str, str]) -> None:
    answer = admin.post(reverse("admin:pipelines_secret_add"), data)

    assert answer.status_code == 200
    assert Secret.objects.count() == 0


def test_pipelines_can_be_looked_at_and_not_changed_in_the_admin(admin: Client) -> None:
    pipeline = Pipeline.objects.create(uuid="etl", name="ETL")
    url = reverse("admin:pipelines_pipeline_change", args=[pipeline.pk])

    assert "ETL" in admin.get(url).content.decode()
    assert admin.post(url, {"name": "changed"}).status_code == 403
    assert admin.get(reverse("admin:pipelines_pipelineversion_changelist")).status_code == 200
    assert admin.get(reverse("admin:pipelines_pipeline_add")).status_code == 403
