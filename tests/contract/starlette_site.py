"""A site made with Starlette that mounts an application for each model in a folder."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from serving.hosts.asgi import create_app

MODELS = {
    folder.name: create_app(SERVING_MODEL=str(folder))
    for folder in Path(os.environ["SITE_MODELS"]).iterdir()
}


@asynccontextmanager
async def lifespan(_site: Starlette) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for model in MODELS.values():
            await stack.enter_async_context(model)
        yield


async def home(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("the site's own")


mounts = [Mount(f"/models of ours/{name}", model) for name, model in MODELS.items()]
site = Starlette(routes=[Route("/", home), *mounts], lifespan=lifespan)
