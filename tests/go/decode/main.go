// Reads an event a line into the service's own event type, and prints what that holds.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/tencentyun/scf-go-lib/events"
)

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for {
		var event events.COSEvent
		err := in.Decode(&event)
		if err == io.EOF {
			return
		}
		if err == nil {
			err = out.Encode(event)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
