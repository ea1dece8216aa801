"""Pages speak the reader's language, with its numbers and dates; the APIs always English."""

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from rest_framework.test import APIClient

from experiments.models import Experiment, Status
from experiments.roles import Role
from tests.factory import TODAY, allocate, make_experiment, make_running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("today")]

PORTUGUESE = "pt-BR,pt;q=0.9,en;q=0.5"
_ONE = "/dashboard/experiments/button-colour/"


@pytest.fixture
def reader(settings: Any) -> Client:
    """Let a visitor do everything without a login, as in DEBUG; the browser asks for Portuguese."""
    settings.DASHBOARD_LOGIN_REQUIRED, settings.DASHBOARD_VISITOR_ROLE = False, Role.ADMIN
    return Client(headers={"Accept-Language": PORTUGUESE})


@pytest.fixture
def running() -> Experiment:
    experiment = make_running()
    allocate(experiment)
    return experiment


def page(reader: Client, path: str) -> str:
    return reader.get(path).content.decode()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            "/dashboard/",
            ["Experimentos", "variant_b 70,0%", "<dt>Cliques a mais que a divisão igual, últimos 7 dias"],
        ),
        (_ONE, ["variant_b lidera: ", "Classificação", "% do tráfego", "Aumento diário máximo"]),
        (f"{_ONE}explore/", ["Todos os dados", "Prob. de superar o controle", "9,50%"]),
        (f"{_ONE}traffic/", ["Registro de decisões", "1 set. 2025, 12:00", "Limitada por", "Otimizado"]),
        (f"{_ONE}data/", ["Dados diários", "Seg, 1 set. 2025", "20.000 impressões"]),
        (f"{_ONE}data/upload/", ["Enviar um arquivo", "Ver o que mudaria"]),
        (
            f"{_ONE}settings/",
            [
                "Mínimo do controle",
                "Padrão: 20 pontos percentuais. De 0,01% a 100%.",
                "Excluir definitivamente",
            ],
        ),
        (f"{_ONE}history/", ["2 variantes adicionadas", "Criado", "o serviço"]),
        ("/dashboard/experiments/new/", ["Novo experimento", "Iniciar experimento", "1.000 impressões"]),
        ("/dashboard/simulator/", ["Taxas verdadeiras (%)", "Executar"]),
        ("/dashboard/backtest/", ["Testes passados (CSV ou Excel)", "Executar com a amostra"]),
        ("/dashboard/planner/", ["Taxa de base (%)", "Variantes, incluindo o controle"]),
        ("/dashboard/algorithm/", ["Em resumo", "Dados insuficientes", "Configurações padrão"]),
        ("/accounts/login/", ["Entrar", "Senha"]),
        ("/accounts/password_reset/", ["Redefinir a senha"]),
    ],
)
@pytest.mark.usefixtures("running")
def test_page__portuguese_reader__has_words_numbers_and_dates(
    reader: Client, path: str, words: list[str]
) -> None:
    text = page(reader, path)

    assert '<html lang="pt-br">' in text
    assert [word for word in words if word not in text] == []


def test_navigation__three_languages__offers_the_two_others_under_their_own_names(
    reader: Client, settings: Any
) -> None:
    settings.LANGUAGES = [*settings.LANGUAGES, ("de", "Deutsch")]

    text = page(reader, "/dashboard/")

    assert re.findall(r'name="language"\s+value="([^"]+)"\s+lang="[^"]+">([^<]+)<', text) == [
        ("en", "English"),
        ("de", "Deutsch"),
    ]


def test_error_page__says_what_it_is_and_what_to_do(client: Client) -> None:
    page = client.get("/dashboard/experiments/nothing/", HTTP_ACCEPT="text/html").content.decode()

    assert '<h1 class="empty-title">Page not found</h1>' in page
    assert "There is nothing at /dashboard/experiments/nothing/. It may have been deleted or renamed." in page


def test_error_page__portuguese_reader__is_in_portuguese(reader: Client) -> None:
    answer = reader.get("/dashboard/experiments/nothing/", HTTP_ACCEPT="text/html")

    assert (answer.status_code, '<html lang="pt-br">' in answer.content.decode()) == (404, True)
    assert "Página não encontrada" in answer.content.decode()


def test_activity__changed_settings__are_in_the_words_of_the_pages(reader: Client) -> None:
    experiment = make_experiment(status=Status.DRAFT)
    reader.force_login(get_user_model().objects.create_superuser("ana"))
    fields = {"name": experiment.name, "reward": "conversion_rate", "max_daily_shift": "2.5"}

    reader.post(f"{_ONE}settings/", fields)
    text = page(reader, f"{_ONE}history/")

    assert "Métrica principal: <del>Taxa de cliques (CTR)</del> → <ins>Taxa de conversão</ins>" in text
    assert "Mudança diária máxima: <del>padrão</del> → <ins>2,5 pontos percentuais</ins>" in text


def test_refusal_of_a_service__portuguese_reader__is_reported_in_portuguese(reader: Client) -> None:
    make_experiment(status=Status.DRAFT)

    answer = reader.post(f"{_ONE}pause/", follow=True).content.decode()

    assert "está como rascunho; pode passar a ativo." in answer


def test_apis__portuguese_reader__stay_english(api: APIClient, running: Experiment) -> None:
    draft = make_experiment("Draft", status=Status.DRAFT)
    api.credentials(HTTP_ACCEPT_LANGUAGE=PORTUGUESE)

    classic = api.get("/experiments/99").json()
    statistics = api.get(f"/api/v1/experiments/{running.pk}/statistics/").json()
    conflict = api.post(
        "/api/v1/events/",
        {
            "experiment_id": draft.key,
            "date": TODAY.isoformat(),
            "variants": [{"variant_name": "a", "impressions": 1, "clicks": 1}],
        },
    )

    assert (
        classic["detail"] == "There is no experiment '99'. GET /api/v1/experiments/ lists the ids and keys."
    )
    assert "leads: > 99.9% probability to be best" in statistics["sentence"]
    assert "is draft and takes no events. Start it first." in str(conflict.json())
