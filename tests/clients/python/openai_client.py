"""The openai package on a stream of completions. Prints what it hears, one JSON object a line.

    pip install -r requirements.txt && python openai_client.py http://127.0.0.1:8080 GET /ticks/a
    python openai_client.py http://127.0.0.1:8080 POST

GET reads a stream that others share, by the decoder that is behind every stream of the package; POST asks for a
completion of one's own.
"""

import json
import sys

from openai import OpenAI, Stream
from openai.types.chat import ChatCompletionChunk


def say(**report):
    print(json.dumps(report), flush=True)


base_url, method, *path = sys.argv[1:]
client = OpenAI(base_url=base_url, api_key="of-nobody", max_retries=0)
if method == "GET":
    kind = Stream[ChatCompletionChunk]
    chunks = client.get(path[0], cast_to=ChatCompletionChunk, stream=True, stream_cls=kind)
else:
    messages = [{"role": "user", "content": "count"}]
    chunks = client.chat.completions.create(model="any", messages=messages, stream=True)
say(report="open")
for chunk in chunks:
    say(report="event", type="message", data=chunk.choices[0].delta.content, id="")
say(report="done")
