"""An application server that counts with clients/python; run as a program, and killed by the test."""

import sys
import time
from pathlib import Path

from bandit_client import Client


def main() -> None:
    """Count events number ``done`` to ``events`` of this server, each noted in a file once it is journaled."""
    url, spool, notes, name, events = sys.argv[1:]
    done = Path(notes).stat().st_size if Path(notes).exists() else 0
    with (
        Client(url, "", spool_dir=spool, durable=True, flush_interval=0.5) as client,
        open(notes, "ab", 0) as noted,
    ):
        assert client.wait_until_ready(60)
        for n in range(done, int(events)):
            client.exposure("experiment-0", f"{name}-{n}")
            # A kill between these two lines leaves one event that is journaled and not noted: it comes twice, as
            # another unit would.
            noted.write(b".")
            if n % 10 == 0:
                time.sleep(0.01)  # as visitors come, so that kills find it at work


if __name__ == "__main__":
    main()
