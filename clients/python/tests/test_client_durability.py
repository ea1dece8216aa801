"""Counts outlive processes, forks and full disks."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from bandit_client import Client, Exposure
from bandit_client.journal import WINDOW, Journal, line_head, read_journal
from bandit_client.rows import Row
from bandit_client.stream import STATE_FILE, Stream, write_file
from fake_service import FakeService, MakeClient

PLACE = Exposure("hero", "blue", "2026-11-26")


def _folders(spool: Path) -> list[Path]:
    return [path for path in spool.iterdir() if path.is_dir()]


def _run(program: str, *arguments: str) -> subprocess.Popen[str]:
    """A process that uses the client, and writes a line when it has got somewhere."""
    path = str(Path(__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_close__service_is_away__leaves_the_counts_to_the_next_process(
    service: FakeService, make_client: MakeClient, tmp_path: Path
) -> None:
    with make_client(spool_dir=tmp_path) as first:
        service.away = True
        first.exposure("hero", "u")
    assert len(_folders(tmp_path)) == 1

    service.away = False
    second = make_client(spool_dir=tmp_path)
    second._flush_all()

    assert service.total("impressions") == 1
    assert _folders(tmp_path) == [second._place.folder]  # type: ignore[union-attr]


def test_close__everything_sent__leaves_no_folder(make_client: MakeClient, tmp_path: Path) -> None:
    with make_client(spool_dir=tmp_path, durable=True) as client:
        client.exposure("hero", "u")

    assert [path.name for path in tmp_path.iterdir()] == ["ruleset.json"]


@pytest.mark.parametrize("durable", [True, False])
def test_close__a_thread_counts_while_the_rest_is_sent__sends_that_too(
    service: FakeService, make_client: MakeClient, tmp_path: Path, durable: bool
) -> None:
    client = make_client(spool_dir=tmp_path, durable=durable)
    client.exposure("hero", "u")
    service.on_counts = lambda: client.exposure("hero", "v")

    client.close()

    assert (service.total("impressions"), _folders(tmp_path)) == (2, [])


def test_orphans__of_a_living_process__are_left_alone(
    service: FakeService, make_client: MakeClient, tmp_path: Path
) -> None:
    first, second = make_client(spool_dir=tmp_path, durable=True), make_client(spool_dir=tmp_path)
    first.exposure("hero", "u")

    second._flush_all()

    assert service.total("impressions") == 0


def test_durable__killed_after_the_call__loses_no_event(
    service: FakeService, make_client: MakeClient, tmp_path: Path
) -> None:
    program = """
        import sys, time
        from bandit_client import Client
        client = Client(sys.argv[1], "key", spool_dir=sys.argv[2], durable=True, flush_interval=3600)
        client.wait_until_ready(10)
        for n in range(50):
            client.exposure("hero", str(n))
            client.conversion("hero", str(n), n)
        print("counted", flush=True)
        time.sleep(60)
    """
    with _run(program, service.url, str(tmp_path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "counted\n"
        process.kill()

    make_client(spool_dir=tmp_path)._flush_all()

    assert (service.total("impressions"), service.total("conversions")) == (50, 50)
    assert sorted(map(float, service.values)) == list(range(50))


def test_durable__killed_after_an_answer_was_lost__sends_the_same_batch(
    service: FakeService, make_client: MakeClient, tmp_path: Path
) -> None:
    program = """
        import sys, os, signal
        from bandit_client import Client
        client = Client(sys.argv[1], "key", spool_dir=sys.argv[2], durable=True, flush_interval=3600)
        client.wait_until_ready(10)
        client.exposure("hero", "a")
        client.flush()
        client.exposure("hero", "b")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    service.faults = ["after"]
    with _run(program, service.url, str(tmp_path)) as process:
        assert process.wait(30) == -signal.SIGKILL
    assert service.total("impressions") == 1

    make_client(spool_dir=tmp_path)._flush_all()

    assert service.total("impressions") == 2
    assert len(service.bodies) == 2


def test_fork__client_of_the_parent__counts_in_both_once_each(service: FakeService, tmp_path: Path) -> None:
    program = """
        import os, sys
        from bandit_client import Client
        client = Client(sys.argv[1], "key", spool_dir=sys.argv[2] or None, durable=bool(sys.argv[2]))
        client.wait_until_ready(10)
        client.exposure("hero", "parent")
        children = []
        for n in range(3):
            child = os.fork()
            if not child:
                client.exposure("hero", "parent")  # known from before the fork
                client.exposure("hero", f"child {n}")
                sys.exit()
            children.append(child)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
    """
    for spool in ("", str(tmp_path)):
        before = service.total("impressions")
        with _run(program, service.url, spool) as process:
            assert process.wait(60) == 0
        assert service.total("impressions") - before == 4
    assert [path.name for path in tmp_path.iterdir()] == ["ruleset.json"]


def test_fork__threads_of_the_child__flush_by_themselves(service: FakeService) -> None:
    program = """
        import os, sys, time
        from bandit_client import Client
        client = Client(sys.argv[1], "key", flush_interval=0.05)
        client.wait_until_ready(10)
        if child := os.fork():
            os.waitpid(child, 0)
            os._exit(0)
        client.exposure("hero", "u")
        while client.pending:
            time.sleep(0.01)
        os._exit(0)
    """
    with _run(program, service.url) as process:
        assert process.wait(60) == 0
    assert service.total("impressions") == 1


def test_recovered__segments_that_the_file_holds_already__count_once(tmp_path: Path) -> None:
    """A process was killed between the write of its file and the deletion of the segment in it."""
    stream = Stream(tmp_path)
    for _ in range(2):
        segment = stream.next_segment()
        assert segment is not None
        journal = Journal(segment)
        journal.write(line_head("i", PLACE) + b"]\n")
        journal.close()
        kept = segment.read_bytes()
        stream.add(read_journal(segment), segment)
        assert stream._save()
        segment.write_bytes(kept)

    assert Stream.recovered(tmp_path).size == 2


def test_recovered__file_that_cannot_be_read__is_put_aside(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_text("{")

    assert Stream.recovered(tmp_path).is_empty
    assert (tmp_path / "counts.broken").read_text() == "{"


def test_read_journal__torn_line__is_left_out_and_the_others_count(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    line = line_head("v", PLACE) + b', "2.0000"]\n'
    path.write_bytes(line + b'["i", "he\n' + line + line[:-5])

    assert read_journal(path) == {PLACE: Row(conversions=2, values=["2.0000", "2.0000"])}


def test_journal__longer_than_its_windows__holds_each_event(tmp_path: Path) -> None:
    path, line = tmp_path / "journal", line_head("v", PLACE) + b', "2.0000"]\n'
    journal = Journal(path)
    count = 3 * WINDOW // len(line)  # lines lie across the ends of windows

    for _ in range(count):
        journal.write(line)

    assert read_journal(path)[PLACE].conversions == count
    journal.close()
    assert read_journal(path)[PLACE].conversions == count


def test_journal__disk_is_full__says_so_once_and_stops_no_caller(
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal = Journal(Path("/dev/full"))

    for _ in range(3):
        journal.write(b"line\n")
    journal.close()

    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_rule_set__another_process_is_amid_writing_its_copy__is_kept_whole(
    make_client: MakeClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "ruleset.new").mkdir()  # where another process writes

    client = make_client(spool_dir=tmp_path)
    client._rules._etag = None
    client._rules.refresh()

    assert json.loads((tmp_path / "ruleset.json").read_text())["version"] == 1
    assert caplog.records == []


def test_rule_set__process_of_another_container_with_its_id_is_writing__is_kept_whole(
    make_client: MakeClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / f"ruleset.{os.getpid()}").mkdir()  # where that process writes

    client = make_client(spool_dir=tmp_path)
    client._rules._etag = None
    client._rules.refresh()

    assert json.loads((tmp_path / "ruleset.json").read_text())["version"] == 1
    assert caplog.records == []


def test_write_file__cannot_take_its_place__leaves_nothing_beside(tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()

    with pytest.raises(OSError, match="state"):
        write_file(tmp_path / "state.json", "{}")

    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("unreadable", ["lock", STATE_FILE])
def test_orphans__one_cannot_be_read__others_are_sent_and_it_waits(
    service: FakeService,
    make_client: MakeClient,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    unreadable: str,
) -> None:
    broken = tmp_path / "0-of-another-user"
    (broken / unreadable).mkdir(parents=True)
    with make_client(spool_dir=tmp_path) as first:
        service.away = True
        first.exposure("hero", "u")
    service.away = False
    caplog.clear()

    second = make_client(spool_dir=tmp_path)
    for _ in range(2):
        second._flush_all()

    assert service.total("impressions") == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    (broken / unreadable).rmdir()
    second._flush_all()
    assert not broken.exists()


def test_durable__folder_is_gone__counts_in_memory_and_loses_nothing(
    service: FakeService, make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bandit_client.stream._DISK_PAUSE", 0.0)
    client = make_client(spool_dir=tmp_path, durable=True)
    folder = client._place.folder  # type: ignore[union-attr]
    folder.rename(tmp_path / ".new-away")

    for unit in ("u", "v"):
        client.exposure("hero", unit)
        client.flush()
    assert client.pending == 2
    (tmp_path / ".new-away").rename(folder)
    client.flush()

    assert (service.total("impressions"), client.pending) == (2, 0)


def test_flush__disk_does_not_take_the_batch__sends_nothing_until_it_does(
    service: FakeService, make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that is only in memory would be sent again under another key by the next process."""
    client = make_client(spool_dir=tmp_path, durable=True)
    monkeypatch.setattr("bandit_client.stream._DISK_PAUSE", 0.0)
    folder = client._place.folder  # type: ignore[union-attr]
    (folder / "counts.new").mkdir()
    client.exposure("hero", "u")

    client.flush()
    assert (service.total("impressions"), client.pending) == (0, 1)
    (folder / "counts.new").rmdir()
    client.flush()

    assert (service.total("impressions"), client.pending) == (1, 0)
    state = json.loads((folder / STATE_FILE).read_text())
    assert (state["sending"], state["waiting"]) == (None, [])


def test_client__durable_without_a_folder__is_refused() -> None:
    with pytest.raises(ValueError, match="spool_dir"):
        Client("http://127.0.0.1:9", "key", durable=True)
