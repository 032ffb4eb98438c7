// Several streams on one session of Node's `http2`. After the loss of the session, each stream goes on after the last
// id that was heard on it. Prints what it hears, one JSON object a line.
//
//   node http2.mjs https://localhost:8443 3 /ticks/a /ticks/b
//
// It destroys its first session by itself when each stream has had so many events (here 3).
import { connect } from "node:http2";

const say = (report) => console.log(JSON.stringify(report));
const [origin, events, ...paths] = process.argv.slice(2);
const streams = paths.map((path) => ({ path, id: "", heard: 0 }));
let hasLeft = false;

function open() {
  const session = connect(origin);
  session.on("error", () => {});
  session.on("close", () => {
    say({ report: "lost" });
    setTimeout(open, 20);
  });
  session.on("connect", () => say({ report: "open" }));
  for (const stream of streams) {
    listen(session, stream);
  }
}

function listen(session, stream) {
  const fields = { ":path": stream.path, accept: "text/event-stream" };
  if (stream.id) {
    fields["last-event-id"] = stream.id;
  }
  const request = session.request(fields);
  request.on("error", () => {});
  request.on("response", ({ ":status": status }) => {
    if (status !== 200) {
      say({ report: "closed" });
      process.exit(1);
    }
  });
  // A stream that ends alone is not opened again. The end of the session is what is tried here.
  request.on("close", () => session.destroy());
  request.setEncoding("utf8");
  let unread = "";
  request.on("data", (piece) => {
    const blocks = (unread + piece).split("\n\n");
    unread = blocks.pop();
    for (const block of blocks) {
      hear(stream, block);
    }
    if (!hasLeft && streams.every(({ heard }) => heard >= Number(events))) {
      hasLeft = true;
      session.destroy();
    }
  });
}

function hear(stream, block) {
  const event = { report: "event", type: "message", data: "", id: stream.id };
  let hasData = false;
  for (const line of block.split("\n")) {
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (field === "id") {
      event.id = value;
    } else if (field === "event") {
      event.type = value;
    } else if (field === "data") {
      event.data += hasData ? `\n${value}` : value;
      hasData = true;
    }
  }
  stream.id = event.id;
  if (hasData) {
    stream.heard += 1;
    say(event);
  }
}

open();
