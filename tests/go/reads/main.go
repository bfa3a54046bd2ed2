// A function that says which files it could open.
package main

import (
	"context"
	"os"

	"github.com/tencentyun/scf-go-lib/cloudfunction"
)

func handle(_ context.Context, paths []string) ([]bool, error) {
	opened := []bool{}
	for _, path := range paths {
		file, err := os.Open(path)
		opened = append(opened, err == nil)
		if err == nil {
			file.Close()
		}
	}
	return opened, nil
}

func main() {
	cloudfunction.Start(handle)
}
