// A function that does nothing; with an argument, a program that does nothing.
package main

import (
	"os"

	"github.com/tencentyun/scf-go-lib/cloudfunction"
)

func main() {
	if len(os.Args) == 1 {
		cloudfunction.Start(func() (int, error) { return 1, nil })
	}
}
