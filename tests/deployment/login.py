"""Sessions of the person who operates the installation, logged in through its pages, and of a program."""

import re

import requests

from tests.deployment.installation import Installation

PASSWORD = "a long one, 4 tests"


def log_in(made: Installation, path: str = "/accounts/login/") -> requests.Session:
    """A session of the user ann, who must exist with PASSWORD."""
    session = made.session()
    page = session.get(f"{made.url}{path}")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token is not None
    answer = session.post(
        f"{made.url}{path}",
        data={
            "username": "ann",
            "password": PASSWORD,
            "csrfmiddlewaretoken": token[1],
            "next": "/dashboard/",
        },
        headers={"Referer": f"{made.url}{path}", "Origin": made.url},
    )
    assert answer.status_code == 200
    return session


def client_of(served: Installation, key: str) -> requests.Session:
    """A program's session with its key."""
    session = served.session()
    session.headers["Authorization"] = f"Api-Key {key}"
    return session
