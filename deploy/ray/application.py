"""The service as a Ray Serve application: the environment in, `app` out. Each replica runs one application.

Ray's proxies balance the requests over the replicas. Importing this module starts nothing. Out of scope: the number of
replicas, which serve.yaml configures.
"""

from __future__ import annotations

import httpx
from fastapi import FastAPI
from ray import serve

from service.app import create_app
from service.settings import read_settings


def build() -> FastAPI:
    """Return the application of one replica, with settings from the environment of the replica."""
    return create_app(read_settings())


# `build` is passed uncalled: Ray calls it in each replica, and runs the lifespan of the application there.
@serve.ingress(build)
class Digits:
    """One replica. Ray replaces a replica that is not healthy."""

    app: FastAPI

    async def check_health(self) -> None:
        """Raise httpx.HTTPStatusError when the application is not ready. Ray calls it every few seconds."""
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://replica") as client:
            (await client.get("/readyz")).raise_for_status()


app = serve.deployment(Digits).bind()
