"use strict";

// How many events the list shows.
const SHOWN = 12;

const element = (id) => document.getElementById(id);
const arrivals = [];
let received = 0;
let gaps = 0;

function state(name, text) {
  element("state").className = name;
  element("state").textContent = text;
}

function row(className, ...texts) {
  const item = document.createElement("li");
  item.className = className;
  for (const text of texts) {
    const part = document.createElement("span");
    part.textContent = text;
    item.append(part);
  }
  element("events").prepend(item);
  while (element("events").children.length > SHOWN) {
    element("events").lastElementChild.remove();
  }
}

function rate() {
  const now = performance.now();
  while (arrivals.length > 0 && arrivals[0] < now - 1000) {
    arrivals.shift();
  }
  element("rate").textContent = arrivals.length;
}

// The browser keeps the last id, and sends it as Last-Event-ID when it connects again.
const source = new EventSource("/events");

source.onopen = () => state("open", "open");

source.onerror = () => {
  if (source.readyState === EventSource.CLOSED) {
    state("closed", "closed: reload the page");
  } else {
    state("connecting", "connection lost, connecting again");
  }
};

source.onmessage = ({ data, lastEventId }) => {
  received += 1;
  arrivals.push(performance.now());
  element("received").textContent = received;
  element("last").textContent = lastEventId;
  // The origin's events are times such as 2026-01-31T12:00:00.123456789Z.
  const time = data.match(/T(\d\d:\d\d:\d\d\.\d)/);
  row("event", time ? time[1] : data, lastEventId);
};

// manifold's own event: what this page missed, and why.
source.addEventListener("gap", ({ data }) => {
  gaps += 1;
  element("gaps").textContent = gaps;
  const { reason, missed } = JSON.parse(data);
  element("reason").textContent = `the last reason: ${reason}`;
  row("gap", `gap: ${missed ?? "some"} lost (${reason})`);
});

setInterval(rate, 200);
