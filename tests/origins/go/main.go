// An origin as people write it: four headers, a loop, a flush. It knows nothing of ids, heartbeats or CORS.
//
//	go run main.go 127.0.0.1:9000
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Connection", "keep-alive")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	for {
		if _, err := fmt.Fprintf(w, "data: %s\n\n", time.Now().Format(time.RFC3339Nano)); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		time.Sleep(100 * time.Millisecond)
	}
}

func main() {
	http.HandleFunc("/events", events)
	http.Handle("/", http.FileServer(http.Dir(".")))
	panic(http.ListenAndServe(os.Args[1], nil))
}
