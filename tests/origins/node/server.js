// Express with better-sse: every client joins a channel, which is told a number now and then. The program sets no ids;
// those that better-sse makes up are random, and nobody can resume from them.
//
//   npm ci && node server.js 127.0.0.1:9000
const { createChannel, createSession } = require("better-sse");
const express = require("express");

const [host, port] = process.argv[2].split(":");
const channel = createChannel();
const app = express();

app.get("/events", async (request, response) => {
  channel.register(await createSession(request, response));
});

let n = 0;
setInterval(() => channel.broadcast({ n: (n += 1) }, "tick"), 100);

app.listen(Number(port), host);
