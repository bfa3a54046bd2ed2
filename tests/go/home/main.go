// A function as it runs on SCF: the official SDKs, the services' own host names, and the keys of the environment. Speaks
// the custom runtime's protocol.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common"
	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/profile"
	scf "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/scf/v20180416"
	sts "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/sts/v20180813"
	"github.com/tencentyun/cos-go-sdk-v5"
)

type Event struct {
	Records []struct {
		Cos struct {
			CosBucket struct{ Name, Appid string }
			CosObject struct{ Key string }
		}
	}
}

var region = os.Getenv("TENCENTCLOUD_REGION")

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func bucket(name string) *cos.Client {
	host := must(url.Parse(fmt.Sprintf("https://%s.cos.%s.myqcloud.com", name, region)))
	return cos.NewClient(&cos.BaseURL{BucketURL: host}, &http.Client{Transport: &cos.AuthorizationTransport{
		SecretID:     os.Getenv("TENCENTCLOUD_SECRETID"),
		SecretKey:    os.Getenv("TENCENTCLOUD_SECRETKEY"),
		SessionToken: os.Getenv("TENCENTCLOUD_SESSIONTOKEN"),
	}})
}

func handle(event Event) {
	record := event.Records[0].Cos
	source := record.CosBucket.Name + "-" + record.CosBucket.Appid
	key := strings.SplitN(record.CosObject.Key, "/", 4)[3]
	got := must(bucket(source).Object.Get(context.Background(), key, nil))
	body := string(must(io.ReadAll(got.Body)))

	keys := common.NewTokenCredential(os.Getenv("TENCENTCLOUD_SECRETID"), os.Getenv("TENCENTCLOUD_SECRETKEY"),
		os.Getenv("TENCENTCLOUD_SESSIONTOKEN"))
	invoke := scf.NewInvokeRequest()
	invoke.FunctionName = common.StringPtr(os.Getenv("OTHER"))
	invoke.ClientContext = common.StringPtr(string(must(json.Marshal(body))))
	invoked := must(must(scf.NewClient(keys, region, profile.NewClientProfile())).Invoke(invoke))
	assume := sts.NewAssumeRoleRequest()
	assume.RoleArn = common.StringPtr("qcs::cam::uin/" + os.Getenv("TENCENTCLOUD_UIN") + ":roleName/other")
	assume.RoleSessionName = common.StringPtr("home")
	assumed := must(must(sts.NewClient(keys, region, profile.NewClientProfile())).AssumeRole(assume))

	var other string
	if err := json.Unmarshal([]byte(*invoked.Response.Result.RetMsg), &other); err != nil {
		panic(err)
	}
	answer := must(json.Marshal(map[string]any{
		"body":    strings.ToUpper(body),
		"other":   other,
		"assumed": *assumed.Response.Credentials.Token != "",
	}))
	must(bucket(os.Getenv("TARGET")).Object.Put(context.Background(), key, strings.NewReader(string(answer)), nil))
}

func main() {
	host := fmt.Sprintf("http://%s:%s/runtime/", os.Getenv("SCF_RUNTIME_API"), os.Getenv("SCF_RUNTIME_API_PORT"))
	must(http.Post(host+"init/ready", "", strings.NewReader(" ")))
	for {
		next := must(http.Get(host + "invocation/next"))
		var event Event
		if err := json.NewDecoder(next.Body).Decode(&event); err != nil {
			panic(err)
		}
		handle(event)
		must(http.Post(host+"invocation/response", "", strings.NewReader("null")))
	}
}
