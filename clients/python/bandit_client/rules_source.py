"""Keeps the rule set fresh, and the last good copy for as long as it takes."""

import json
import logging
import threading
import uuid
from pathlib import Path
from typing import Any

from bandit_client.ruleset import RuleSet, parse_rule_set
from bandit_client.service import Answer, Service
from bandit_client.stream import write_file

_log = logging.getLogger("bandit_client")


class RulesSource:
    """``current`` is replaced as a whole: readers need no lock."""

    def __init__(self, service: Service, copy: Path | None) -> None:
        self._service, self._copy = service, copy
        self._etag: str | None = None
        self._failing = False
        self.current = RuleSet()
        self.ready = threading.Event()
        self._load_copy()

    def refresh(self) -> None:
        answer = self._service.fetch_rule_set(self._etag)
        if answer.status == 200 and self._use(answer.document):
            self._etag = answer.etag
            self._keep_copy(answer.document)
        elif answer.status != 304:
            self._report(answer)
            return
        self._failing = False

    def after_fork(self) -> None:
        """In the child: the parent's thread may have held the event's lock."""
        was_ready, self.ready = self.ready.is_set(), threading.Event()
        if was_ready:
            self.ready.set()

    def _use(self, document: Any) -> bool:
        try:
            self.current = parse_rule_set(document)
        except ValueError as error:
            _log.error("bandit: %s: %s", self._meanwhile(), error)
            return False
        self.ready.set()
        return True

    def _report(self, answer: Answer) -> None:
        if not self._failing:
            _log.warning("bandit: %s: %s %s", self._meanwhile(), answer.status, answer.problem)
        self._failing = True

    def _meanwhile(self) -> str:
        if self.ready.is_set():
            return "the last rule set stays in use"
        return "there is no rule set yet, so visitors get the default and are not counted"

    def _load_copy(self) -> None:
        """Start with the copy of an earlier process: the service may be away now."""
        if self._copy and self._copy.exists():
            try:
                self._use(json.loads(self._copy.read_text(encoding="utf-8")))
            except (OSError, ValueError) as error:
                _log.warning("bandit: the copy of the rule set cannot be read: %s", error)

    def _keep_copy(self, document: Any) -> None:
        if self._copy:
            try:
                # several processes may share the folder; in containers they may have one and the same id
                own = self._copy.with_suffix(f".{uuid.uuid4().hex}")
                write_file(self._copy, json.dumps(document), own)
            except OSError as error:
                _log.warning("bandit: the rule set could not be kept: %s", error)
