"""An installation as one file, there and back."""

import errno
import gzip
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command

from allocation.demo import DemoExperiment, seed_demo
from allocation.models import Allocation, AllocationShare
from bandit_project.models import ApiKey, Scope
from bandit_project.ops.transfer import export_installation, import_installation
from experiments.campaign.models import Guard
from experiments.campaign.watch import add_guard, add_note
from experiments.exceptions import ConflictError, InvalidError
from experiments.metrics import DailyCounts
from experiments.models import DailyMetric, Experiment, Status, Variant
from tests.bandit_project.starts import manage
from tests.factory import NOW, TODAY, make_experiment, record
from tests.processes.clusters import MIGRATED, database_of_its_own, postgresql_url

pytestmark = pytest.mark.django_db

RATES = {"control": 0.05, "=b": 0.06, "ação 'c'": 0.055}


@pytest.fixture
def installation() -> None:
    """Experiments of every kind, values, a note and a guard, people with roles, a key."""
    stories = [
        DemoExperiment("Runs", "", 20, 3000, RATES),
        DemoExperiment("Done", "", 16, 2000, RATES, ends_as=Status.COMPLETED),
        DemoExperiment("Planned", "", 0, 0, {}, ends_as=Status.DRAFT),
    ]
    seed_demo(today=TODAY, now=NOW, seed=2, stories=stories)
    careful = make_experiment("Careful", control_floor=0.3, exploitation=0.1 + 0.2, ends_at=NOW)
    record(careful, DailyCounts(TODAY, "b", 100, 10, 12, Decimal("12345678901.2345"), 1.5e20))
    Experiment.objects.filter(pk=careful.pk).update(on_end_variant=careful.variants.get(), value_cap="0.0001")
    add_note(experiment_id=careful.pk, date=TODAY, text="Sale", now=NOW)
    add_guard(experiment_id=careful.pk, metric="ctr", max_fall=0.1 + 0.2, action="act", now=NOW)
    ann = User.objects.create_user("ann", password="long-enough-9")
    ann.groups.add(Group.objects.get(name="analyst"), Group.objects.create(name="agency"))
    ApiKey.objects.create_key(name="shop", scope=Scope.WRITE)


def _export() -> bytes:
    file = io.BytesIO()
    export_installation(file, now=NOW)
    return file.getvalue()


def _rows(exported: bytes) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(exported).splitlines()]


def _empty() -> None:
    Experiment.objects.all().delete()
    for model in (Experiment.history, Variant.history, Guard.history, User.objects, ApiKey.objects):
        model.all().delete()
    Group.objects.filter(name="agency").delete()


def _changed(exported: bytes, place: int, line: bytes | None) -> bytes:
    lines = gzip.decompress(exported).splitlines(keepends=True)
    lines[place : place + 1 or None] = [] if line is None else [line]
    return gzip.compress(b"".join(lines))


@pytest.mark.usefixtures("installation")
def test_import__of_an_export__restores_every_row() -> None:
    exported = _export()
    before = {
        model: model.objects.count()
        for model in (Experiment, Variant, DailyMetric, Allocation, AllocationShare)
    }
    _empty()

    counts = import_installation(io.BytesIO(exported))

    assert _rows(_export()) == _rows(exported)
    assert {model: model.objects.count() for model in before} == before
    assert counts["experiments.experiment"] == 4
    assert set(User.objects.get().groups.values_list("name", flat=True)) == {"analyst", "agency"}
    assert User.objects.get().check_password("long-enough-9")


@pytest.mark.usefixtures("installation")
def test_import__then_new_rows__ids_go_on_after_the_imported_ones() -> None:
    exported = _export()
    highest = Experiment.objects.latest("pk").pk
    _empty()
    import_installation(io.BytesIO(exported))

    assert make_experiment("New").pk > highest


def test_import__into_an_installation_with_something__is_refused() -> None:
    exported = _export()
    make_experiment()

    with pytest.raises(ConflictError, match="something in experiments"):
        import_installation(io.BytesIO(exported))


DAMAGES = [
    (-1, None),
    (3, None),
    (5, b'{"table": "experiments.unknown", "row": {}}\n'),
    (0, b'{"format": "other"}\n'),
    (0, b'{"format": "bandit-installation", "version": 1, "migrations": {"experiments": "0000_old"}}\n'),
    (-1, b"not json\n"),
]


@pytest.mark.usefixtures("installation")
def test_import__damaged_file__writes_nothing() -> None:
    exported = _export()
    _empty()

    for place, line in DAMAGES:
        with pytest.raises(InvalidError, match="cannot be imported"):
            import_installation(io.BytesIO(_changed(exported, place, line)))

        assert not Experiment.objects.exists(), (place, line)
        assert not User.objects.exists(), (place, line)


@pytest.mark.parametrize(
    "content",
    [b"", b"experiment_id,date", gzip.compress(b""), gzip.compress(b"{}\n")[:-4]],
    ids=["empty", "csv", "empty gzip", "cut gzip"],
)
def test_import__no_export_at_all__is_refused(content: bytes) -> None:
    with pytest.raises(InvalidError, match="cannot be imported"):
        import_installation(io.BytesIO(content))


@pytest.mark.usefixtures("installation")
def test_export_data__fails_half_way__leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    # the disk fills once the file is there
    monkeypatch.setattr("gzip.GzipFile.write", full)

    with pytest.raises(CommandError, match="No space left"):
        call_command("export_data", str(tmp_path / "backup.jsonl.gz"))

    assert not list(tmp_path.iterdir())


# The other one is PostgreSQL's, so that each database reads what the other has written.
@pytest.mark.long
@pytest.mark.database_free
@pytest.mark.usefixtures("installation")
def test_commands__through_another_database__come_back_the_same(tmp_path: Path) -> None:
    exported = _export()
    (tmp_path / "there.jsonl.gz").write_bytes(exported)
    with database_of_its_own() as folder:
        other = {"DATABASE_URL": postgresql_url(folder, MIGRATED), "DEBUG": "true"}
        manage("import_data", str(tmp_path / "there.jsonl.gz"), **other)
        manage("export_data", str(tmp_path / "back.jsonl.gz"), **other)
    back = (tmp_path / "back.jsonl.gz").read_bytes()
    _empty()

    import_installation(io.BytesIO(back))

    assert _rows(_export())[1:] == _rows(exported)[1:]
