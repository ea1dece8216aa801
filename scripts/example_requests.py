"""A client of the API in one page: create an experiment, post counts, get an allocation, assign visitors.

python scripts/example_requests.py http://127.0.0.1:8000 [API_KEY]    (needs the package requests)
"""

import argparse
import datetime as dt
import uuid
from typing import Any

import requests


class Bandit:
    """A session with the API. Retries are safe: every write has its own Idempotency-Key."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = f"{url.rstrip('/')}/api/v1"
        self.session = requests.Session()
        if key:
            self.session.headers["Authorization"] = f"Api-Key {key}"

    def get(self, path: str, **query: Any) -> Any:
        return self._answer(self.session.get(f"{self.url}/{path}", params=query, timeout=30))

    def post(self, path: str, body: Any = None) -> Any:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        for attempt in range(3):
            try:
                response = self.session.post(
                    f"{self.url}/{path}", json=body or {}, headers=headers, timeout=30
                )
            except requests.ConnectionError:
                if attempt == 2:
                    raise
            else:
                break
        return self._answer(response)

    @staticmethod
    def _answer(response: requests.Response) -> Any:
        if not response.ok:
            problem = response.json()
            raise SystemExit(f"{problem['status']} {problem['code']}: {problem['detail']}")
        return response.json()


def main() -> None:
    parser = argparse.ArgumentParser(description="Create an experiment, post counts, assign a visitor.")
    parser.add_argument("url", help="of the service, such as http://127.0.0.1:8000")
    parser.add_argument("key", nargs="?", help="an API key, if the service asks for one")
    given = parser.parse_args()
    bandit = Bandit(given.url, given.key)
    experiment = bandit.post(
        "experiments/",
        {"name": "Button", "status": "active", "variants": [{"name": "control"}, {"name": "blue"}]},
    )
    key, today = experiment["key"], dt.datetime.now(tz=dt.UTC).date().isoformat()
    place = {"experiment_id": key, "date": today}
    # An impression is a visitor's first exposure, or at most one a day: remove duplicates before counting.
    rows = [
        {**place, "variant_name": "control", "impressions": 10000, "clicks": 700},
        {**place, "variant_name": "blue", "impressions": 10000, "clicks": 950},
    ]
    print("recorded", bandit.post("events/", {"rows": rows}))
    allocation = bandit.post(f"experiments/{key}/allocation/")
    print(allocation["reason"])
    for share in allocation["shares"]:
        print(f"  {share['variant_name']}: {share['share']:.2%}, held by: {share['bound']}")
    print("visitor-42 sees", bandit.get(f"experiments/{key}/assignment/", unit="visitor-42")["variant_name"])
    print(bandit.get(f"experiments/{key}/statistics/")["sentence"])


if __name__ == "__main__":
    main()
