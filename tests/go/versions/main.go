// The Tencent Cloud Go SDK: a namespace, and in it a function's layers, versions, aliases, instances that are kept
// ready, and URL. Prints `done` last.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common"
	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/errors"
	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/profile"
	scf "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/scf/v20180416"
)

type Argument struct{ Host, Region, Id, Key, Name, Layer, Zip string }

type Answer struct{ Of, Layer, Colour string }

var (
	text     = common.StringPtr
	argument Argument
	client   *scf.Client
	name     *string
)

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

func refused(err error, code string) {
	known, ok := err.(*errors.TencentCloudSDKError)
	if !ok || known.GetCode() != code {
		panic(fmt.Sprintf("got %v, not %s", err, code))
	}
}

func colour(name string) *scf.Environment {
	return &scf.Environment{Variables: []*scf.Variable{{Key: text("COLOUR"), Value: text(name)}}}
}

func says(qualifier, key string) Answer {
	request := scf.NewInvokeRequest()
	request.FunctionName, request.Namespace, request.Qualifier = name, name, &qualifier
	if key != "" {
		request.RoutingKey = &key
	}
	var answer Answer
	result := must(client.Invoke(request)).Response.Result
	if err := json.Unmarshal([]byte(*result.RetMsg), &answer); err != nil {
		panic(*result.RetMsg)
	}
	return answer
}

func versions() *int64 {
	create := scf.NewCreateNamespaceRequest()
	create.Namespace, create.Description = name, text("of a test")
	must(client.CreateNamespace(create))
	found := false
	for _, namespace := range must(client.ListNamespaces(scf.NewListNamespacesRequest())).Response.Namespaces {
		found = found || *namespace.Name == *name && *namespace.Description == "of a test"
	}
	same(found, true)

	layer := scf.NewPublishLayerVersionRequest()
	layer.LayerName, layer.CompatibleRuntimes = name, []*string{text("Python3.9")}
	layer.Content = &scf.Code{ZipFile: &argument.Layer}
	version := must(client.PublishLayerVersion(layer)).Response.LayerVersion
	all := scf.NewListLayerVersionsRequest()
	all.LayerName = name
	same(len(must(client.ListLayerVersions(all)).Response.LayerVersions), 1)
	make := scf.NewCreateFunctionRequest()
	make.FunctionName, make.Namespace, make.Runtime, make.Handler = name, name, text("Python3.9"), text("index.main_handler")
	make.Code, make.Environment = &scf.Code{ZipFile: &argument.Zip}, colour("blue")
	make.Layers = []*scf.LayerVersionSimple{{LayerName: name, LayerVersion: version}}
	must(client.CreateFunction(make))
	same(says("$LATEST", ""), Answer{*name, "thick", "blue"})

	publish := scf.NewPublishVersionRequest()
	publish.FunctionName, publish.Namespace = name, name
	same(*must(client.PublishVersion(publish)).Response.FunctionVersion, "1")
	configure := scf.NewUpdateFunctionConfigurationRequest()
	configure.FunctionName, configure.Namespace, configure.Environment = name, name, colour("red")
	must(client.UpdateFunctionConfiguration(configure))
	same(*must(client.PublishVersion(publish)).Response.FunctionVersion, "2")
	list := scf.NewListVersionByFunctionRequest()
	list.FunctionName, list.Namespace = name, name
	same(len(must(client.ListVersionByFunction(list)).Response.Versions), 3)
	return version
}

func aliases() {
	create := scf.NewCreateAliasRequest()
	create.FunctionName, create.Namespace, create.Name, create.FunctionVersion = name, name, text("live"), text("1")
	create.RoutingConfig = &scf.RoutingConfig{AddtionVersionMatchs: []*scf.VersionMatch{{
		Version: text("2"), Key: text("invoke.headers.who"), Method: text("exact"), Expression: text("me"),
	}}}
	must(client.CreateAlias(create))
	same(says("live", "").Colour, "blue")
	same(says("live", `{"who":"me"}`).Colour, "red")
	update := scf.NewUpdateAliasRequest()
	update.FunctionName, update.Namespace, update.Name, update.FunctionVersion = name, name, text("live"), text("2")
	must(client.UpdateAlias(update))
	get := scf.NewGetAliasRequest()
	get.FunctionName, get.Namespace, get.Name = name, name, text("live")
	same(*must(client.GetAlias(get)).Response.FunctionVersion, "2")
	same(says("live", "").Colour, "red")
	list := scf.NewListAliasesRequest()
	list.FunctionName, list.Namespace = name, name
	same(len(must(client.ListAliases(list)).Response.Aliases), 2)
	remove := scf.NewDeleteFunctionRequest()
	remove.FunctionName, remove.Namespace, remove.Qualifier = name, name, text("2")
	_, err := client.DeleteFunction(remove)
	refused(err, "UnsupportedOperation.AliasBind")
}

func ready() {
	put := scf.NewPutProvisionedConcurrencyConfigRequest()
	put.FunctionName, put.Namespace, put.Qualifier = name, name, text("2")
	put.VersionProvisionedConcurrencyNum = common.Uint64Ptr(1)
	must(client.PutProvisionedConcurrencyConfig(put))
	get := scf.NewGetProvisionedConcurrencyConfigRequest()
	get.FunctionName, get.Namespace = name, name
	for until := time.Now().Add(30 * time.Second); ; {
		allocated := must(client.GetProvisionedConcurrencyConfig(get)).Response.Allocated
		if *allocated[0].Status == "Done" {
			break
		}
		if time.Now().After(until) {
			panic(*allocated[0].Status)
		}
	}
	remove := scf.NewDeleteProvisionedConcurrencyConfigRequest()
	remove.FunctionName, remove.Namespace, remove.Qualifier = name, name, text("2")
	must(client.DeleteProvisionedConcurrencyConfig(remove))
	same(len(must(client.GetProvisionedConcurrencyConfig(get)).Response.Allocated), 0)
}

func url() {
	create := scf.NewCreateTriggerRequest()
	create.FunctionName, create.Namespace, create.Qualifier = name, name, text("live")
	create.Type, create.TriggerName = text("http"), text("page")
	create.TriggerDesc = text(`{"AuthType":"NONE","NetConfig":{"EnableIntranet":false,"EnableExtranet":true}}`)
	var made struct{ NetConfig struct{ ExtranetUrl string } }
	described := must(client.CreateTrigger(create)).Response.TriggerInfo.TriggerDesc
	if err := json.Unmarshal([]byte(*described), &made); err != nil {
		panic(err)
	}
	_, part, _ := strings.Cut(made.NetConfig.ExtranetUrl, "-")
	part, _, _ = strings.Cut(part, ".")
	page := "http://" + argument.Host + "/_cosette/url/" + part + "/"
	answer := must(http.Get(page))
	var said Answer
	if err := json.Unmarshal(must(io.ReadAll(answer.Body)), &said); err != nil {
		panic(err)
	}
	same(said.Colour, "red")
	remove := scf.NewDeleteTriggerRequest()
	remove.FunctionName, remove.Namespace, remove.Qualifier = name, name, text("live")
	remove.Type, remove.TriggerName = text("http"), text("page")
	must(client.DeleteTrigger(remove))
	same(must(http.Get(page)).StatusCode, 404)
}

func main() {
	if err := json.Unmarshal([]byte(os.Args[1]), &argument); err != nil {
		panic(err)
	}
	settings := profile.NewClientProfile()
	settings.HttpProfile.Scheme = "HTTP"
	settings.HttpProfile.Endpoint = argument.Host
	client = must(scf.NewClient(common.NewCredential(argument.Id, argument.Key), argument.Region, settings))
	name = &argument.Name
	layer := versions()
	aliases()
	ready()
	url()

	alias := scf.NewDeleteAliasRequest()
	alias.FunctionName, alias.Namespace, alias.Name = name, name, text("live")
	must(client.DeleteAlias(alias))
	remove := scf.NewDeleteFunctionRequest()
	remove.FunctionName, remove.Namespace = name, name
	must(client.DeleteFunction(remove))
	gone := scf.NewDeleteLayerVersionRequest()
	gone.LayerName, gone.LayerVersion = name, layer
	must(client.DeleteLayerVersion(gone))
	namespace := scf.NewDeleteNamespaceRequest()
	namespace.Namespace = name
	must(client.DeleteNamespace(namespace))
	get := scf.NewGetFunctionRequest()
	get.FunctionName, get.Namespace = name, name
	_, err := client.GetFunction(get)
	refused(err, "ResourceNotFound.Namespace")
	fmt.Println("done")
}
