"""Webhook signatures: bytes and secrets in, a header or a yes/no out. GitHub's scheme, HMAC with SHA-256.

https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from trainwarden.github.settings import Secret

HEADER = "X-Hub-Signature-256"


def sign(body: bytes, secret: Secret) -> str:
    """The value of the signature header for ``body``."""
    return "sha256=" + hmac.new(secret.reveal().encode(), body, hashlib.sha256).hexdigest()


def valid(body: bytes, header: str, secrets: Iterable[Secret]) -> bool:
    """Whether ``header`` signs ``body`` under one of ``secrets`` (two of them while one is rotated).

    Every secret is tried whatever the outcome, each in constant time; an empty secret never validates.
    """
    given = header.encode("utf-8", "surrogateescape")
    matches = [hmac.compare_digest(sign(body, secret).encode(), given) for secret in secrets if secret]
    return any(matches)
