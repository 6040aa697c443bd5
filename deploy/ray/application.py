"""The service as a Ray Serve application: environment in, `app` out, whose replicas each run one create_app.

Ray's proxies take the requests and spread them; how many replicas there are stands in serve.yaml beside this file.
Importing this starts nothing.
"""

from __future__ import annotations

import httpx
from fastapi import FastAPI
from ray import serve

from service.app import create_app
from service.settings import read_settings


def build() -> FastAPI:
    """Return the application of one replica, with the settings of the environment that the replica runs in."""
    return create_app(read_settings())


# Given the function and not what it returns, Ray calls it in each replica, and runs the lifespan there.
@serve.ingress(build)
class Digits:
    """One replica; Ray starts another in place of one that is not healthy."""

    app: FastAPI

    async def check_health(self) -> None:
        """Raise when the application is not ready; Ray asks every few seconds."""
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://replica") as client:
            (await client.get("/readyz")).raise_for_status()


app = serve.deployment(Digits).bind()
