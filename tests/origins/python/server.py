"""Starlette with sse-starlette: a generator for each client. No ids.

    pip install -r requirements.txt && python server.py 127.0.0.1:9000
"""

import asyncio
import sys
import time

import uvicorn
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.routing import Route


async def ticks():
    while True:
        yield {"event": "tick", "data": f"{time.time():.6f}"}
        await asyncio.sleep(0.1)


async def events(request):
    return EventSourceResponse(ticks())


if __name__ == "__main__":
    host, port = sys.argv[1].split(":")
    uvicorn.run(Starlette(routes=[Route("/events", events)]), host=host, port=int(port))
