"""A shop of one page in Django, with an experiment on its button. It needs Django and clients/python, and a service:

./dev demo                                                                 # in one terminal
PYTHONPATH=clients/python .venv/bin/python examples/shop/shop.py runserver 8081   # in another

BANDIT_URL, BANDIT_KEY and BANDIT_EXPERIMENT point it at another installation.
"""

import os
import sys
from pathlib import Path

from bandit_client.django.visitor import BanditRequest
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_POST

HERE = Path(__file__).resolve().parent
EXPERIMENT = os.environ.get("BANDIT_EXPERIMENT", "checkout-button")

settings.configure(
    DEBUG=True,
    SECRET_KEY="for this example only",  # noqa: S106
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    INSTALLED_APPS=["bandit_client.django"],
    MIDDLEWARE=[
        "django.middleware.csrf.CsrfViewMiddleware",
        "bandit_client.django.middleware.BanditMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [HERE / "templates"],
            "APP_DIRS": True,
            "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
        }
    ],
    BANDIT={
        "url": os.environ.get("BANDIT_URL", "http://127.0.0.1:8000"),
        "api_key": os.environ.get("BANDIT_KEY", ""),
        "spool_dir": os.environ.get("BANDIT_SPOOL", HERE / "spool"),
    },
)


def book(request: HttpRequest) -> HttpResponse:
    return render(request, "book.html", {"experiment": EXPERIMENT})


@require_POST
def buy(request: BanditRequest) -> HttpResponse:
    request.bandit.click(EXPERIMENT)
    return render(request, "order.html")


@require_POST
def pay(request: BanditRequest) -> HttpResponse:
    request.bandit.conversion(EXPERIMENT, value="12.50")
    return redirect("/?thanks")


urlpatterns = [path("", book), path("buy", buy), path("pay", pay)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
