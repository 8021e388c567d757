"""Credentials from a place of your own, fetched again before they run out.

The client takes any credentials object of botocore, and asks it in a worker thread: fetching may block. A
``RefreshableCredentials`` is asked for new ones ahead of the end, in the background; calls wait for them only
in the last ten minutes. Without arguments three hours pass, in no time, on a local ECR Public.
"""

import asyncio
import datetime as dt
from collections.abc import Mapping

from botocore.credentials import RefreshableCredentials

from aioecrpublic import Credentials, ECRPublicClient
from aioecrpublic.local import LocalECRPublic

LIFE = dt.timedelta(hours=1)


class Vault:
    """Stands for your secret store, and for its clock. It always gives out the same key, but for an hour."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self.now = dt.datetime.now(dt.UTC)
        self.fetched = 0

    def fetch(self) -> Mapping[str, str]:
        """A key in the form in which botocore takes it; blocks, as HTTP would."""
        self.fetched += 1
        return {
            "access_key": self._credentials.access_key_id,
            "secret_key": self._credentials.secret_access_key,
            "token": self._credentials.session_token or "",
            "expiry_time": (self.now + LIFE).isoformat(),
        }

    def credentials(self) -> RefreshableCredentials:
        first = self.fetch()
        return RefreshableCredentials(
            first["access_key"],
            first["secret_key"],
            first["token"] or None,
            self.now + LIFE,
            refresh_using=self.fetch,
            method="vault",
            time_fetcher=lambda: self.now,
        )


async def main() -> None:
    async with LocalECRPublic() as server:
        vault = Vault(server.credentials)
        credentials = await asyncio.to_thread(vault.credentials)
        async with ECRPublicClient(endpoint_url=server.endpoint_url, credentials=credentials) as client:
            begun = vault.now
            for minutes in (0, 30, 55, 85, 180):
                vault.now = begun + dt.timedelta(minutes=minutes)
                response = await client.describe_registries()
                print(f"minute {minutes}: {response.registries[0].registry_id}, {vault.fetched} keys fetched")


if __name__ == "__main__":
    asyncio.run(main())
