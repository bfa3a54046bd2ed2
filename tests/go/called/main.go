// A function that tells who it is called by, on the library for Go functions.
package main

import (
	"os"

	"github.com/tencentyun/scf-go-lib/cloudfunction"
)

func main() {
	cloudfunction.Start(func() (any, error) {
		if source := os.Getenv("TRIGGER_SRC"); source != "" {
			return source, nil
		}
		return nil, nil
	})
}
