// An EventSource that says what it hears; in a page and in a worker.
function listen(url, withCredentials, say) {
  const source = new EventSource(url, { withCredentials });
  source.onopen = () => say({ report: "open" });
  source.onerror = () => say({ report: source.readyState === EventSource.CLOSED ? "closed" : "lost" });
  for (const type of ["message", "tick", "gap"]) {
    source.addEventListener(type, ({ data, lastEventId }) => say({ report: "event", type, data, id: lastEventId }));
  }
}
