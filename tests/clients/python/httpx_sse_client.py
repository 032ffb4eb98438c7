"""httpx-sse, with the loop around it that its users write. Prints what it hears, one JSON object a line.

    pip install -r requirements.txt && python httpx_sse_client.py http://127.0.0.1:8080/ticks/a

With `--http2` it speaks HTTP/2 where the server offers it.
"""

import json
import sys
import time

import httpx
from httpx_sse import connect_sse


def say(**report):
    print(json.dumps(report), flush=True)


last_id = ""
with httpx.Client(timeout=None, http2="--http2" in sys.argv) as client:
    while True:
        try:
            headers = {"Last-Event-ID": last_id} if last_id else {}
            with connect_sse(client, "GET", sys.argv[1], headers=headers) as source:
                source.response.raise_for_status()
                say(report="open")
                for event in source.iter_sse():
                    last_id = event.id
                    say(report="event", type=event.event, data=event.data, id=event.id)
        except httpx.HTTPError:
            pass
        say(report="lost")
        time.sleep(0.05)
