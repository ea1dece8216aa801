"""The queue of tasks has the name of the code that does them."""

import pytest

from tests.bandit_project.starts import start

pytestmark = pytest.mark.database_free

_NOT_NAMED = """
import inspect, pathlib
import django
django.setup()
from bandit_project import workers
from bandit_project.workers import tasks
ours = [task.run for name, task in workers.app.tasks.items() if not name.startswith("celery.")]
assert ours
files = {pathlib.Path(tasks.__file__), *(pathlib.Path(inspect.getfile(function)) for function in ours)}
print(sorted(map(str, files - set(workers.files_of_code()))))
"""


def test_queue__named_by_code__covers_the_list_of_tasks_and_what_they_call() -> None:
    done = start(_NOT_NAMED, DEBUG="true", CELERY_BROKER_URL="redis://127.0.0.1:1/0")

    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
