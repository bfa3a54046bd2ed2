// Speaks the custom runtime's protocol.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"

	"cosette-tests/home"
)

func main() {
	host := fmt.Sprintf("http://%s:%s/runtime/", os.Getenv("SCF_RUNTIME_API"), os.Getenv("SCF_RUNTIME_API_PORT"))
	home.Must(http.Post(host+"init/ready", "", strings.NewReader(" ")))
	for {
		next := home.Must(http.Get(host + "invocation/next"))
		var event home.Event
		if err := json.NewDecoder(next.Body).Decode(&event); err != nil {
			panic(err)
		}
		home.Handle(event)
		home.Must(http.Post(host+"invocation/response", "", strings.NewReader("null")))
	}
}
