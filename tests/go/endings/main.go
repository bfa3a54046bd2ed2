// A function that ends in every way there is, on the library for Go functions.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/tencentyun/scf-go-lib/cloudfunction"
	"github.com/tencentyun/scf-go-lib/functioncontext"
)

type Event struct {
	Do   string `json:"do"`
	Text string `json:"text"`
	Pids string `json:"pids"`
	Size int    `json:"size"`
}

var calls int
var kept [][]byte

func start(newSession bool) int {
	child := exec.Command("sleep", "600")
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: newSession}
	if err := child.Start(); err != nil {
		panic(err)
	}
	return child.Process.Pid
}

func handle(ctx context.Context, event Event) (any, error) {
	calls++
	switch event.Do {
	case "tell":
		about, _ := functioncontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		directory, _ := os.Getwd()
		var tmp syscall.Statfs_t
		if err := syscall.Statfs("/tmp", &tmp); err != nil {
			return nil, err
		}
		return map[string]any{
			"calls": calls, "text": event.Text, "directory": directory,
			"request_id": about.RequestID, "function_name": about.FunctionName,
			"function_version": about.FunctionVersion, "namespace": about.Namespace,
			"memory_limit_in_mb": about.MemoryLimitInMb, "time_limit_in_ms": about.TimeLimitInMs,
			"environment": about.Environment, "tencentcloud_region": about.TencentcloudRegion,
			"tencentcloud_appid": about.TencentcloudAppID, "tencentcloud_uin": about.TencentcloudUin,
			"deadline": deadline.Unix(), "variables": os.Environ(),
			"room":    tmp.Blocks * uint64(tmp.Bsize),
			"package": []any{functioncontext.FunctionName, functioncontext.FunctionVersion, functioncontext.MemoryLimitInMB},
		}, nil
	case "print":
		fmt.Println("to standard output")
		fmt.Fprintln(os.Stderr, "to standard error")
		return nil, nil
	case "large":
		return string(make([]byte, event.Size)), nil
	case "throw":
		return nil, errors.New("thrown on purpose")
	case "panic":
		panic("panicked on purpose")
	case "hang":
		pids := fmt.Sprintf("%d %d %d", os.Getpid(), start(false), start(true))
		if err := os.WriteFile(event.Pids, []byte(pids), 0o644); err != nil {
			return nil, err
		}
		select {}
	case "memory":
		for {
			block := make([]byte, 1<<20)
			for i := range block {
				block[i] = 1
			}
			kept = append(kept, block)
		}
	case "exit":
		os.Exit(7)
	}
	return nil, fmt.Errorf("do what: %q", event.Do)
}

func main() {
	if os.Getenv("FAIL") == "init" {
		fmt.Println("cannot begin")
		os.Exit(7)
	}
	if os.Getenv("FAIL") == "wait" {
		time.Sleep(10 * time.Minute)
	}
	cloudfunction.Start(handle)
}
