"""Answers that are kept, so that a write which is sent again happens once."""

from django.db import models


class IdempotentAnswer(models.Model):
    """The first answer to a write with an Idempotency-Key, stored in the write's own transaction.

    Either both happened or neither: a repetition can never find the write without its answer.
    """

    principal = models.CharField(max_length=160, help_text="Who asked: a key's id, a user, or anyone.")
    key = models.CharField(max_length=255)
    request_digest = models.CharField(max_length=64)
    status_code = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.TextField()
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("principal", "key"), name="idempotentanswer_key_unique"),
        )

    def __str__(self) -> str:
        return self.key
