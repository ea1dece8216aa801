"""Fork Python programs from one process that has loaded the libraries.

Most of a program's start is loading libraries. This one has loaded them, and nothing that reads the environment. Each
program that it forks has arguments, an environment, a folder and files of its own, as a new interpreter would. One in
the folder FOLDER, this repository or an image, also finds loaded what of our code there needs neither settings nor
database; one in another folder loads the code that is there.

It is run as a program: ``server.py ADDRESS FOLDER [MODULE ...]``, and loads these modules as well. It ends with its
standard input, and removes the folder of its address. A client connects to the address, sends three open files, then a
line of JSON. It gets the program's process id, and at its end the exit code, a line each. A program whose client goes
away is killed.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

# Each can be imported before there are settings, and brings many others. gunicorn and prometheus_client are not among
# them: they read the environment and the folder when they are loaded.
_LIBRARIES = (
    "axes",
    "csp.checks",
    "csp.middleware",
    "django.conf.urls.i18n",
    "django.contrib.admin",
    "django.contrib.admin.templatetags.admin_list",
    "django.contrib.admindocs.views",
    "django.contrib.auth.apps",
    "django.contrib.auth.management",
    "django.contrib.auth.password_validation",
    "django.contrib.auth.tokens",
    "django.contrib.contenttypes.checks",
    "django.contrib.messages.middleware",
    "django.contrib.postgres.fields",
    "django.contrib.sessions.middleware",
    "django.contrib.staticfiles.apps",
    "django.core.management",
    "django.core.management.commands.check",
    "django.core.management.commands.migrate",
    "django.core.wsgi",
    "django.db.backends.sqlite3.base",
    "django.db.migrations.executor",
    "django.middleware.locale",
    "django.test",
    "django.views.debug",
    "django.views.defaults",
    "django_filters",
    "django_stubs_ext",
    "drf_spectacular.checks",
    "drf_spectacular.utils",
    "environ",
    "jsonschema",
    "latex2mathml.converter",
    "markdown",
    "multiprocessing.reduction",
    "numpy",
    "numpy.polynomial",
    "numpy.random",
    "numpy.typing",
    "orjson",
    "psycopg",
    "pydantic_core",
    "python_calamine",
    "requests",
    "rest_framework.compat",
    "rest_framework.fields",
    "rest_framework.metadata",
    "rest_framework.mixins",
    "rest_framework.negotiation",
    "rest_framework.permissions",
    "rest_framework_api_key.crypto",
    "simple_history.middleware",
    "simple_history.template_utils",
    "smtplib",
    "structlog",
    "whitenoise.middleware",
    "xml.parsers.expat",
)
# Of our code: numerics, tables and words. Their imports name no model, and nothing registers itself with a library.
_OURS = (
    "allocation.engine.lab.report",
    "allocation.engine.lab.sample_size",
    "allocation.engine.limits_preview",
    "allocation.packing.rice",
    "experiments.settings_schema",
    "experiments.tables.importing.rows",
    "notifications.channels.table",
)


def _serve(address: str, folder: str, *modules: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(100)
        sys.path.insert(0, folder)
        for name in (*_LIBRARIES, *modules, *_OURS):
            importlib.import_module(name)
        del sys.path[0]
        # What is loaded stays: a collection that touched it would copy it into each program.
        gc.collect()
        gc.freeze()
        # Nobody waits for those that attend to programs.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while sys.stdin not in (ready := select.select([listener, sys.stdin], [], [])[0]):
            assert listener in ready
            connection, _ = listener.accept()
            with connection:
                _fork(listener, connection, Path(folder))


def _fork(listener: socket.socket, connection: socket.socket, folder: Path) -> None:
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    if not files:
        return  # one who only looked whether somebody listens
    with connection.makefile() as lines:
        line = lines.readline()
    if line.endswith("\n"):  # else its client has been killed
        asked = json.loads(line)
        if not os.fork():
            listener.close()
            if Path(asked["folder"]) != folder:
                _forget_ours()
            _attend(connection, files, asked)
    for file in files:
        os.close(file)


def _forget_ours() -> None:
    apps = {name.partition(".")[0] for name in _OURS}
    for name in [name for name in sys.modules if name.partition(".")[0] in apps]:
        del sys.modules[name]


def _attend(connection: socket.socket, files: list[int], asked: dict[str, Any]) -> NoReturn:
    """Start the program and tell its client how it ends; whatever happens, leave what is the server's alone."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        program = os.fork()
        if not program:
            connection.close()
            _become(files, asked)
        for file in (0, 1, 2, *files):
            os.close(file)
        with contextlib.suppress(OSError):  # a client that is gone
            connection.sendall(f"{program}\n".encode())
        code = _exit_code(program, connection)
        with contextlib.suppress(OSError):
            connection.sendall(f"{code}\n".encode())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _exit_code(program: int, connection: socket.socket) -> int:
    if sys.platform == "linux":
        end = os.pidfd_open(program)
        if end not in select.select([end, connection.fileno()], [], [])[0]:
            os.kill(program, signal.SIGKILL)  # its client is gone
    return os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])


def _become(files: list[int], asked: dict[str, Any]) -> NoReturn:
    """End as the interpreter would: with a traceback and 1 for an error, with the code of an exit for an exit."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    if asked["session"]:
        os.setsid()
    _enter(asked["folder"], asked["environment"])
    code: object = 0
    try:
        _run(*asked["arguments"])
    except SystemExit as leaving:
        code = leaving.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    _finish(code)


def _finish(code: Any) -> NoReturn:
    """Do what the interpreter does at its end, and leave out what it tidies up."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads; not in the stubs
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _enter(folder: str, environment: dict[str, str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    tempfile.tempdir = None
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    sys.path[1:1] = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]


def _run(what: str, *more: str) -> None:
    """Run what follows the interpreter's name on a command line: -c CODE, -m MODULE or a file."""
    sys.path[0] = os.getcwd()
    if what == "-c":
        sys.argv = ["-c", *more[1:]]
        exec(compile(more[0], "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102  (the test's own)
    elif what == "-m":
        sys.argv = list(more)
        runpy.run_module(more[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [what, *more]
        sys.path[0] = str(Path(what).resolve().parent)
        runpy.run_path(what, run_name="__main__")


if __name__ == "__main__":
    try:
        _serve(*sys.argv[1:])
    finally:
        shutil.rmtree(Path(sys.argv[1]).parent)
