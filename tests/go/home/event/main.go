// A function of the Go1 runtime.
package main

import (
	"github.com/tencentyun/scf-go-lib/cloudfunction"

	"cosette-tests/home"
)

func main() {
	cloudfunction.Start(func(event home.Event) error {
		home.Handle(event)
		return nil
	})
}
