"""/schema and /docs. The document is generated once, as it is the same for every caller."""

from threading import Lock
from typing import Any

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.http import HttpResponse
from django.utils.translation import get_language
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

# By format and language of the descriptions. One at a time, since the generator is not thread-safe.
_made: dict[tuple[str, str | None], bytes] = {}
_making = Lock()


class SchemaView(SpectacularAPIView):
    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer = request.accepted_renderer
        place = (renderer.media_type, get_language())
        with _making:
            if place not in _made:
                _made[place] = _document(renderer)
        name = f'inline; filename="bandit-openapi.{renderer.format}"'
        return HttpResponse(
            _made[place], content_type=renderer.media_type, headers={"Content-Disposition": name}
        )


def _document(renderer: BaseRenderer) -> bytes:
    generator: Any = SchemaGenerator
    body: Any = renderer.render(generator().get_schema(public=True), renderer.media_type, {})
    return bytes(body)


class DocsView(SpectacularSwaggerSplitView):
    # REST framework's answer to OPTIONS has no template.
    http_method_names = ["get", "head"]  # noqa: RUF012 (the way of Django)


docs_view = csp_update({"style-src": [SELF, UNSAFE_INLINE]})(DocsView.as_view(url_name="schema"))
