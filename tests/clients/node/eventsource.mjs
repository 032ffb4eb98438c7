// Node's `eventsource`: the interface of a browser. Prints what it hears, one JSON object a line.
//
//   npm ci && node eventsource.mjs http://127.0.0.1:8080/ticks/a
import { EventSource } from "eventsource";

const say = (report) => console.log(JSON.stringify(report));
const source = new EventSource(process.argv[2]);

source.onopen = () => say({ report: "open" });
source.onerror = () => say({ report: source.readyState === EventSource.CLOSED ? "closed" : "lost" });
for (const type of ["message", "tick", "gap"]) {
  source.addEventListener(type, ({ data, lastEventId }) => say({ report: "event", type, data, id: lastEventId }));
}
