importScripts("listen.js");
const parameters = new URL(location).searchParams;
listen(parameters.get("stream"), false, (report) => postMessage(report));
