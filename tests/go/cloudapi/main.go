// The Tencent Cloud Go SDK: a function from its creation to its end. Prints `done` last.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common"
	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/errors"
	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/profile"
	scf "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/scf/v20180416"
)

type Argument struct{ Host, Region, Id, Key, Name, Bucket, Zip, Other string }

type Answer struct {
	Code, Colour string
	StatusCode   int
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func same[T comparable](got, want T) {
	if got != want {
		panic(fmt.Sprintf("got %v, not %v", got, want))
	}
}

func holds(text, part string) {
	if !strings.Contains(text, part) {
		panic(fmt.Sprintf("%q is not in %q", part, text))
	}
}

func refused(err error, code string) {
	known, ok := err.(*errors.TencentCloudSDKError)
	if !ok || known.GetCode() != code || known.GetRequestId() == "" {
		panic(fmt.Sprintf("got %v, not %s", err, code))
	}
}

func colour(name string) *scf.Environment {
	return &scf.Environment{Variables: []*scf.Variable{{Key: text("COLOUR"), Value: text(name)}}}
}

var text, number = common.StringPtr, common.Int64Ptr

func main() {
	var argument Argument
	if err := json.Unmarshal([]byte(os.Args[1]), &argument); err != nil {
		panic(err)
	}
	settings := profile.NewClientProfile()
	settings.HttpProfile.Scheme = "HTTP"
	settings.HttpProfile.Endpoint = argument.Host
	client := must(scf.NewClient(common.NewCredential(argument.Id, argument.Key), argument.Region, settings))
	name := &argument.Name

	invoke := func(event string) (*scf.Result, Answer) {
		request := scf.NewInvokeRequest()
		request.FunctionName, request.ClientContext, request.LogType = name, &event, text("Tail")
		result := must(client.Invoke(request)).Response.Result
		var answer Answer
		if err := json.Unmarshal([]byte(*result.RetMsg), &answer); err != nil {
			panic(err)
		}
		return result, answer
	}

	create := scf.NewCreateFunctionRequest()
	create.FunctionName, create.Runtime, create.Handler = name, text("Python3.9"), text("index.main_handler")
	create.Code, create.Timeout, create.Environment = &scf.Code{ZipFile: &argument.Zip}, number(5), colour("blue")
	must(client.CreateFunction(create))
	get := scf.NewGetFunctionRequest()
	get.FunctionName, get.ShowCode = name, text("TRUE")
	got := must(client.GetFunction(get)).Response
	same(*got.Status, "Active")
	same(*got.Timeout, 5)
	same(*got.Environment.Variables[0].Value, "blue")
	holds(*got.CodeInfo, "def main_handler")
	list := scf.NewListFunctionsRequest()
	list.SearchKey = name
	same(*must(client.ListFunctions(list)).Response.TotalCount, 1)

	ran, answer := invoke(`{"a": "ü"}`)
	same(*ran.InvokeResult, 0)
	same(answer.Code+answer.Colour, "firstblue")
	holds(*ran.Log, "the first code ran")
	failed, answer := invoke(`{"fail": true}`)
	same(*failed.InvokeResult, 1)
	same(answer.StatusCode, 430)

	configure := scf.NewUpdateFunctionConfigurationRequest()
	configure.FunctionName, configure.MemorySize, configure.Environment = name, number(256), colour("red")
	must(client.UpdateFunctionConfiguration(configure))
	update := scf.NewUpdateFunctionCodeRequest()
	update.FunctionName, update.ZipFile = name, &argument.Other
	must(client.UpdateFunctionCode(update))
	_, answer = invoke("{}")
	same(answer.Code+answer.Colour, "secondred")

	bind := scf.NewCreateTriggerRequest()
	bind.FunctionName, bind.Type, bind.Qualifier, bind.Enable = name, text("cos"), text("$DEFAULT"), text("OPEN")
	bind.TriggerName = text(argument.Bucket + ".cos." + argument.Region + ".myqcloud.com")
	bind.TriggerDesc = text(`{"event":"cos:ObjectCreated:*","filter":{"Prefix":"in/","Suffix":".txt"}}`)
	must(client.CreateTrigger(bind))
	triggers := scf.NewListTriggersRequest()
	triggers.FunctionName = name
	same(*must(client.ListTriggers(triggers)).Response.TotalCount, 1)
	unbind := scf.NewDeleteTriggerRequest()
	unbind.FunctionName, unbind.Type, unbind.Qualifier = name, bind.Type, bind.Qualifier
	unbind.TriggerName, unbind.TriggerDesc = bind.TriggerName, bind.TriggerDesc
	must(client.DeleteTrigger(unbind))
	same(*must(client.ListTriggers(triggers)).Response.TotalCount, 0)

	logs := scf.NewGetFunctionLogsRequest()
	logs.FunctionName, logs.FunctionRequestId = name, ran.FunctionRequestId
	entries := must(client.GetFunctionLogs(logs)).Response.Data
	same(len(entries), 1)
	holds(*entries[0].Log, "the first code ran")

	missing := scf.NewInvokeRequest()
	missing.FunctionName, missing.Qualifier = name, text("nobody")
	_, err := client.Invoke(missing)
	refused(err, "ResourceNotFound.Qualifier")
	remove := scf.NewDeleteFunctionRequest()
	remove.FunctionName = name
	must(client.DeleteFunction(remove))
	_, err = client.GetFunction(get)
	refused(err, "ResourceNotFound.FunctionName")
	fmt.Println("done")
}
