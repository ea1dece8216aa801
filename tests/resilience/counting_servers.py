"""An application server that counts with clients/python; run as a program, and killed by the test."""

import os
import sys
import time
from pathlib import Path

from bandit_client import Client


class _Server(Client):
    """A client whose journal stays readable: each segment has a second name in ``kept``, which nobody deletes."""

    kept = Path()

    def _next_segment(self) -> Path | None:
        path = super()._next_segment()
        if path is not None:
            path.touch(0o600)
            os.link(path, self.kept / f"{path.parent.name}-{path.name}")
        return path


def main() -> None:
    """Count visitors number ``done`` to ``visitors`` of this server; one of four clicks. Each is noted afterwards."""
    url, folder, name, visitors = sys.argv[1:]
    _Server.kept, notes = Path(folder, "kept"), Path(folder, f"{name}.notes")
    done = notes.stat().st_size if notes.exists() else 0
    with (
        _Server(url, "", spool_dir=Path(folder, "spool"), durable=True, flush_interval=0.5) as client,
        notes.open("ab", 0) as noted,
    ):
        # A hundred of these start at once in full, while the service is killed beside them.
        assert client.wait_until_ready(600)
        for n in range(done, int(visitors)):
            client.exposure("experiment-0", f"{name}-{n}")
            if n % 4 == 0:
                client.click("experiment-0", f"{name}-{n}")
            noted.write(b".")
            if n % 10 == 0:
                time.sleep(0.01)  # as visitors come, so that kills find it at work


if __name__ == "__main__":
    main()
