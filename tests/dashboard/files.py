"""Files that pages send."""

import io
import zipfile
from typing import Any


def text_of(response: Any) -> str:
    return b"".join(response.streaming_content).decode()


def zip_of(response: Any) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content)))
