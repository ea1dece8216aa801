"""The admin in Portuguese: no page of it shows a message or a label of ours in English."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import polib
import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import label_for_field, quote
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import translation

from tests.conftest import ROOT
from tests.factory import allocate, make_running
from tests.security.places import make_one_of_each

pytestmark = [pytest.mark.django_db, pytest.mark.database_free, pytest.mark.usefixtures("today")]

PORTUGUESE = {"Accept-Language": "pt-BR"}
# The name of a variant, and what the history's page makes of nobody.
_DATA = {"control", "None"}
# Written alike in both languages.
_ALIKE = {"status", "tags", "revisão", "id", "ID"}


class _Texts(HTMLParser):
    """The texts that a page shows, without those of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden = tag in {"script", "style", "pre"}
        for name, value in attrs:
            if name in {"title", "aria-label", "placeholder"} and value:
                self.found.add(value)

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.found.add(" ".join(data.split()).rstrip(":"))


def _english() -> set[str]:
    """Our messages that have another text in Portuguese, capitalised or not, as labels are."""
    catalogue = polib.pofile(str(ROOT / "locale/pt_BR/LC_MESSAGES/django.po"))
    ours = {entry.msgid: entry.msgstr for entry in catalogue}
    said = {text.casefold() for text in ours.values()}
    return {
        form
        for text in ours
        for form in (text, text[:1].upper() + text[1:])
        if text and form.casefold() not in said
    }


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("op", "op@example.com", "pw"))
    return client


def _paths() -> Iterator[str]:
    """Each list, each form to add and to change, and each history."""
    yield "/admin/"
    for model in admin.site._registry:
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        yield base
        yield f"{base}add/"
        first = model._default_manager.order_by("pk").first()
        if first is not None:
            yield f"{base}{quote(first.pk)}/change/"
            yield f"{base}{quote(first.pk)}/history/"


def test_admin__every_page_in_portuguese__shows_no_english_of_ours(operator: Client) -> None:
    experiment = make_running()
    allocate(experiment)
    make_one_of_each(experiment)
    english, wrong, seen = _english(), [], 0

    for path in _paths():
        response = operator.get(path, headers=PORTUGUESE)
        if response.status_code == 403:
            continue
        texts = _Texts()
        texts.feed(response.content.decode())
        seen += 1
        wrong += [(path, text) for text in sorted(texts.found & english - _DATA)]

    assert wrong == []
    assert seen > 25


def _labels() -> Iterator[tuple[str, str]]:
    """Each label of a model or a field of ours in the admin, in the current language."""
    for model, page in admin.site._registry.items():
        if model._meta.app_label == "auth":
            continue
        yield f"{model.__name__}", str(model._meta.verbose_name)
        yield f"{model.__name__}s", str(model._meta.verbose_name_plural)
        named = [*page.list_display, *page.readonly_fields, *(page.fields or ())]
        for name in dict.fromkeys(named):
            if isinstance(name, str) and name != "reason":
                yield f"{model.__name__}.{name}", str(label_for_field(name, model, page))
    for app in ("experiments", "allocation", "notifications", "axes"):
        yield app, str(apps.get_app_config(app).verbose_name)


def test_labels__of_every_model_and_column__are_translated() -> None:
    with translation.override("en"):
        english = dict(_labels())
    with translation.override("pt-br"):
        portuguese = dict(_labels())

    same = [name for name, label in portuguese.items() if label == english[name] and label not in _ALIKE]
    assert same == []
    assert not [label for label in english.values() if re.search(r"_", label)]


def test_decision__in_portuguese__has_its_name_numbers_and_settings_so(operator: Client) -> None:
    allocation = allocate(make_running("Botão"))

    page = operator.get(f"/admin/allocation/allocation/{allocation.pk}/change/", headers=PORTUGUESE)

    texts = _Texts()
    texts.feed(page.content.decode())
    assert f"Botão, {allocation.target_date}, revisão 1" in texts.found
    assert "30,00%" in texts.found
    assert any("Mínimo do controle: 0.1; " in text for text in texts.found)
