"""A user's own API tokens in the API: list, make (shown once), revoke."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from orchestrator_site import tokens
from orchestrator_site.models import ApiToken
from pipelines.serializers import Instant, StrictSerializer, Text
from pipelines.viewsets import Resource


class ApiTokenSerializer(serializers.ModelSerializer[ApiToken]):
    """A token without its secret."""

    class Meta:
        model = ApiToken
        fields = ["id", "name", "key_id", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at"]
        read_only_fields = fields

    scopes = serializers.ListField(child=serializers.ChoiceField(choices=tokens.SCOPES), read_only=True)


class MadeTokenSerializer(ApiTokenSerializer):
    class Meta(ApiTokenSerializer.Meta):
        fields = [*ApiTokenSerializer.Meta.fields, "token"]
        read_only_fields = fields

    token = serializers.CharField(read_only=True, help_text="Shown this once.")


class NewTokenSerializer(StrictSerializer):
    """`expires_at` is in 90 days unless given, and at most a year from now."""

    name = Text(max_length=100)
    scopes = serializers.ListField(child=Text(max_length=10), max_length=len(tokens.SCOPES))
    expires_at = Instant(required=False)


@extend_schema(tags=["tokens"])
class TokenViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """The tokens of whoever asks."""

    queryset = ApiToken.objects.all()
    serializer_class = ApiTokenSerializer

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().filter(user_id=self.request.user.pk)

    @extend_schema(request=NewTokenSerializer, responses={201: MadeTokenSerializer})
    def create(self, request: Request) -> Response:
        """Make a token. Its text is in this answer and nowhere else."""
        wanted = NewTokenSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        moment, data = timezone.now(), wanted.validated_data
        if isinstance(request.auth, ApiToken) and not set(data["scopes"]) <= set(request.auth.scopes):
            raise PermissionDenied("A token cannot make one that may do more than itself.", code="missing_scope")
        assert request.user.is_authenticated  # or the permission classes would have refused
        token, plain = tokens.issue(
            request.user,
            name=data["name"],
            scopes=data["scopes"],
            expires_at=data.get("expires_at", moment + tokens.DEFAULT_LIFE),
            moment=moment,
        )
        body = {**ApiTokenSerializer(token).data, "token": plain}
        return Response(body, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Revoke a token: it ends at once, its row stays in the list."""
        tokens.revoke(self.get_object(), timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)
