"""An event as a short mail."""

import json

from notifications.models import Event, EventKind

_SENTENCES = {
    EventKind.ALLOCATION_CHANGED: "Traffic is split anew from {target_date}: {reason}",
    EventKind.LEADER_FOUND: "{leader} leads: it is the best with a probability of {probability_best:.1%}.",
    EventKind.EXPERIMENT_DECIDED: "{leader} can be chosen: little is left to gain from more data.",
    EventKind.SAMPLE_RATIO_MISMATCH: "Traffic does not arrive as it was split (p = {p_value:.2g}). "
    "Look at how units are assigned and counted before trusting the results.",
    EventKind.NO_DATA: "No data have arrived for {days} days.",
    EventKind.TEST: "{message}",
}


def as_mail(event: Event) -> tuple[str, str]:
    """Subject and body; a subject is one line, whatever the experiment's name holds."""
    experiment = event.payload["experiment"]
    about = f"{experiment['name']}: " if experiment else ""
    subject = " ".join(f"[bandit] {about}{event.get_kind_display()}".split())
    sentence = _SENTENCES[EventKind(event.kind)].format_map(event.payload["data"])
    facts = json.dumps(event.payload, indent=2, ensure_ascii=False)
    return subject, f"{sentence}\n\n{facts}\n"
