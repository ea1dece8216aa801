"""Refusals that a worker's loop sends by itself, without a thread, while the client may still send its request."""

_END = b"Connection: close\r\nContent-Length: 0\r\n\r\n"

TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\n" + _END
TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + _END
TOO_MUCH = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n" + _END
