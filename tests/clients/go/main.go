// Go's net/http and a scanner: the loop that one writes by hand. Prints what it hears, one JSON object a line.
//
//	go run main.go http://127.0.0.1:8080/ticks/a
package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	out := json.NewEncoder(os.Stdout)
	id := ""
	for ; ; time.Sleep(50 * time.Millisecond) {
		request, err := http.NewRequest("GET", os.Args[1], nil)
		if err != nil {
			panic(err)
		}
		request.Header.Set("Accept", "text/event-stream")
		if id != "" {
			request.Header.Set("Last-Event-ID", id)
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil && response.StatusCode == http.StatusOK {
			out.Encode(map[string]string{"report": "open"})
			id = listen(response, id, out)
			response.Body.Close()
		}
		out.Encode(map[string]string{"report": "lost"})
	}
}

// listen reports every event of a response, and returns the newest id.
func listen(response *http.Response, id string, out *json.Encoder) string {
	kind, data := "message", []string{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if len(data) > 0 {
				out.Encode(map[string]string{"report": "event", "type": kind, "data": strings.Join(data, "\n"), "id": id})
			}
			kind, data = "message", []string{}
		case field == "event":
			kind = value
		case field == "data":
			data = append(data, value)
		case field == "id":
			id = value
		}
	}
	return id
}
