// Package home is a function as it runs on SCF: the official SDKs, the services' own host names, and the keys of the
// environment. The programs below it differ in how they are handed events.
package home

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

// Event is what COS says of an object.
type Event struct {
	Records []struct {
		Cos struct {
			CosBucket struct{ Name, Appid string }
			CosObject struct{ Key string }
		}
	}
}

var region = os.Getenv("TENCENTCLOUD_REGION")

// Must panics on an error.
func Must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func bucket(name string) *cos.Client {
	host := Must(url.Parse(fmt.Sprintf("https://%s.cos.%s.myqcloud.com", name, region)))
	return cos.NewClient(&cos.BaseURL{BucketURL: host}, &http.Client{Transport: &cos.AuthorizationTransport{
		SecretID:     os.Getenv("TENCENTCLOUD_SECRETID"),
		SecretKey:    os.Getenv("TENCENTCLOUD_SECRETKEY"),
		SessionToken: os.Getenv("TENCENTCLOUD_SESSIONTOKEN"),
	}})
}

// Handle reads the object of the event, calls another function with its text, and writes what came of it to the
// bucket that TARGET names.
func Handle(event Event) {
	record := event.Records[0].Cos
	source := record.CosBucket.Name + "-" + record.CosBucket.Appid
	key := strings.SplitN(record.CosObject.Key, "/", 4)[3]
	got := Must(bucket(source).Object.Get(context.Background(), key, nil))
	body := string(Must(io.ReadAll(got.Body)))

	keys := common.NewTokenCredential(os.Getenv("TENCENTCLOUD_SECRETID"), os.Getenv("TENCENTCLOUD_SECRETKEY"),
		os.Getenv("TENCENTCLOUD_SESSIONTOKEN"))
	invoke := scf.NewInvokeRequest()
	invoke.FunctionName = common.StringPtr(os.Getenv("OTHER"))
	invoke.ClientContext = common.StringPtr(string(Must(json.Marshal(body))))
	invoked := Must(Must(scf.NewClient(keys, region, profile.NewClientProfile())).Invoke(invoke))
	assume := sts.NewAssumeRoleRequest()
	assume.RoleArn = common.StringPtr("qcs::cam::uin/" + os.Getenv("TENCENTCLOUD_UIN") + ":roleName/other")
	assume.RoleSessionName = common.StringPtr("home")
	assumed := Must(Must(sts.NewClient(keys, region, profile.NewClientProfile())).AssumeRole(assume))

	var other string
	if err := json.Unmarshal([]byte(*invoked.Response.Result.RetMsg), &other); err != nil {
		panic(err)
	}
	answer := Must(json.Marshal(map[string]any{
		"body":    strings.ToUpper(body),
		"other":   other,
		"assumed": *assumed.Response.Credentials.Token != "",
	}))
	Must(bucket(os.Getenv("TARGET")).Object.Put(context.Background(), key, strings.NewReader(string(answer)), nil))
}
