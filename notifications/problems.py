"""Plain words for why an attempt to deliver failed, with what to do; the attempt itself keeps the exact error."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from experiments.text import Text
from notifications.models import Attempt

_BY_STATUS: dict[int, Text] = {
    401: gettext_lazy("The receiver wants other credentials (401). Check the address and its token."),
    403: gettext_lazy("The receiver refuses it (403). Check the address and its token."),
    404: gettext_lazy("There is nothing at this address (404). It may have been deleted at the receiver."),
    410: gettext_lazy("This address has been closed by the receiver (410). Create a new one there."),
    429: gettext_lazy("The receiver gets too many messages (429). Choose fewer events."),
}
# By what the stored error contains.
_BY_ERROR: tuple[tuple[str, Text], ...] = (
    ("not public", gettext_lazy("The address leads into a private network, which is not allowed.")),
    ("gaierror", gettext_lazy("The host's name is unknown. Check the address.")),
    ("UnicodeError", gettext_lazy("The host's name is not valid. Check the address.")),
    ("ConnectionRefusedError", gettext_lazy("Nothing accepts connections at this address.")),
    ("TimeoutError", gettext_lazy("The receiver did not answer in time.")),
    ("SSL", gettext_lazy("The receiver's certificate is not valid.")),
    ("SMTP", gettext_lazy("The mail server refused the message.")),
    ("did not take", gettext_lazy("The service did not take the message. Check the tokens in its URL.")),
)


def plain_problem(attempt: Attempt) -> str:
    """Say why an attempt failed; blank for one that did not."""
    status, problem = attempt.status_code, attempt.problem
    if status is not None and 200 <= status < 300:
        return ""
    if status in _BY_STATUS:
        return str(_BY_STATUS[status])
    if status is not None and status >= 500:
        return _("The receiver has a fault (%(status)s). It is tried again.") % {"status": status}
    if status is not None:
        return _("The receiver answered %(status)s instead of success.") % {"status": status}
    known = next((said for part, said in _BY_ERROR if part in problem), None)
    if known is None and not problem:
        return ""
    return str(known or _("It could not be sent: %(problem)s") % {"problem": problem})
