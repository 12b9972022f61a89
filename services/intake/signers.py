"""Whether whoever must sign a post's body did so: with a secret of the policy, or as Amazon SNS."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from services.intake.admission.integrations import Integration
from services.intake.admission.signatures import Signing
from services.intake.amazon_sns.subscriptions import Subscriptions
from services.intake.formats import Answer
from services.intake.publisher import unavailable
from shared import telemetry
from shared.auth.failed_attempts import WrongKey
from shared.loops.outage import Outage
from shared.security.secret_files import SecretMissingError, Secrets

log = telemetry.logger(__name__)

ID_LENGTH: Final = 255


class Signers:
    """Without `subscriptions` no post of Amazon SNS can be checked, and none is accepted."""

    def __init__(self, secrets: Secrets, subscriptions: Subscriptions | None) -> None:
        self._secrets = secrets
        self._subscriptions = subscriptions
        self._unreadable = Outage(log, "intake.secret", what="a secret of a signature")

    async def check(
        self, integration: Integration, headers: Mapping[bytes, bytes], body: bytes, now: datetime
    ) -> Answer | str:
        """The id that the body's signer gave it, '' for none; or what is answered to what is no event.

        Raises Problem 401, 403, 503 for a body that whoever must sign it did not.
        """
        if integration.signing is not None:
            self._check_signature(integration, integration.signing, headers, body, now)
        if integration.topics is None:
            return ""
        if self._subscriptions is None:
            raise unavailable("no-certificate", "Certificates of SNS cannot be fetched here")
        message = await self._subscriptions.verified(integration, body, now)
        return await self._subscriptions.answer(integration, message) or message.id[:ID_LENGTH]

    def _check_signature(
        self,
        integration: Integration,
        signing: Signing,
        headers: Mapping[bytes, bytes],
        body: bytes,
        now: datetime,
    ) -> None:
        """Raises Problem 401 for a body that no secret signed, 503 where no secret can be read."""
        why = signing.fault(headers, body, self._revealed(integration, signing), now)
        if why:
            raise WrongKey(401, "wrong-signature", "The signature is not this body's", why, sort="signature")

    def _revealed(self, integration: Integration, signing: Signing) -> list[str]:
        """The secrets that can be read: while they are rotated one of them may be missing."""
        found: list[str] = []
        missing: SecretMissingError | None = None
        for named in signing.secrets:
            try:
                text = self._secrets.revealed(named)
            except SecretMissingError as err:
                missing = err
                continue
            if text:
                found.append(text)
            else:
                missing = SecretMissingError(f"{named} is empty")  # only a named one can be
        if missing is not None:
            self._unreadable.began(missing, integration.name)
        else:
            self._unreadable.ended(integration.name)
        if not found:
            raise unavailable("no-secret", "The integration's signing secret cannot be read") from missing
        return found
