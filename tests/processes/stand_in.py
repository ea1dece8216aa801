"""Stand in for the interpreter: have a program forked, pass signals on to it, and end as it does.

It is run as a program, with the address of the process that forks before what follows the interpreter's name.
"""

import contextlib
import json
import os
import signal
import socket
import sys
from typing import Any


def main(address: str, *arguments: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(address)
        asked = {
            "arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd(),
            "session": False,
        }  # fmt: skip
        socket.send_fds(client, [b" "], [0, 1, 2])
        client.sendall(json.dumps(asked).encode() + b"\n")
        with client.makefile() as lines:
            _pass_signals_on(int(lines.readline()))
            _end(int(lines.readline()))


def _pass_signals_on(program: int) -> None:
    def pass_on(number: int, _frame: Any) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(program, number)

    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, pass_on)


def _end(code: int) -> None:
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
