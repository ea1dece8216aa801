"""Health check of the container, for images without curl: exits with 0 when /health answers 200."""

import os
import sys
import urllib.error
import urllib.request

_SECONDS = 5

address = f"http://127.0.0.1:{os.environ.get('PORT') or 8000}/health"
try:
    with urllib.request.urlopen(address, timeout=_SECONDS) as answer:
        print(answer.read().decode())
except urllib.error.HTTPError as error:
    sys.exit(f"{error.code} {error.read().decode()}")
except OSError as error:
    sys.exit(str(error))
