// Every object operation through the COS Go SDK, whose CRC-64 checks are on by default.
// The server is the HTTP proxy, so the cloud's host names stay as they are.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/tencentyun/cos-go-sdk-v5"
)

func check(ok bool, what string, details ...any) {
	if !ok {
		fmt.Println("failed:", what, details)
		os.Exit(1)
	}
	fmt.Println("passed:", what)
}

func main() {
	server, bucket, id, key, directory := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	ctx := context.Background()
	proxy, _ := url.Parse(server)
	connect := func(host string) *cos.Client {
		return cos.NewClient(
			&cos.BaseURL{BucketURL: &url.URL{Scheme: "http", Host: host}},
			&http.Client{Transport: &cos.AuthorizationTransport{
				SecretID: id, SecretKey: key, Transport: &http.Transport{Proxy: http.ProxyURL(proxy)},
			}},
		)
	}
	host := bucket + ".cos.ap-guangzhou.myqcloud.com"
	client := connect(host)

	_, err := client.Bucket.Put(ctx, nil)
	check(err == nil, "PUT Bucket", err)
	buckets, _, err := client.Service.Get(ctx)
	check(err == nil && len(buckets.Buckets) > 0, "GET Service", err)
	place, _, err := client.Bucket.GetLocation(ctx)
	check(err == nil && place.Location == "ap-guangzhou", "GET Bucket location", err)

	settings(ctx, client)
	rules(ctx, client)
	versions(ctx, connect("versions-"+host))
	name := "dir/a b+c 中.txt"
	_, err = client.Object.Put(ctx, name, strings.NewReader("hello"), nil)
	check(err == nil, "PUT Object", err)
	got, err := client.Object.Get(ctx, name, &cos.ObjectGetOptions{Range: "bytes=1-2"})
	check(err == nil, "GET Object", err)
	text, _ := io.ReadAll(got.Body)
	check(string(text) == "el" && got.Header.Get("x-cos-hash-crc64ecma") == "11177612005948864433", "Range", string(text))
	_, err = client.Object.Head(ctx, "missing", nil)
	check(cos.IsNotFoundError(err), "HEAD Object of a missing key", err)
	list, _, err := client.Bucket.Get(ctx, &cos.BucketGetOptions{Prefix: "dir/", Delimiter: "/", MaxKeys: 10, EncodingType: "url"})
	check(err == nil && len(list.Contents) == 1, "GET Bucket", err)
	_, _, err = client.Object.Copy(ctx, "copy", host+"/"+name, nil)
	check(err == nil, "PUT Object - Copy", err)

	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	there, back := filepath.Join(directory, "there"), filepath.Join(directory, "back")
	check(os.WriteFile(there, body, 0o644) == nil, "a file of 4 MiB")
	_, _, err = client.Object.Upload(ctx, "big", there, &cos.MultiUploadOptions{PartSize: 1, ThreadPoolSize: 4})
	check(err == nil, "Upload in parts, CRC-64 of each and of the whole", err)
	_, err = client.Object.Download(ctx, "big", back, &cos.MultiDownloadOptions{PartSize: 1, ThreadPoolSize: 4})
	check(err == nil, "Download in ranges", err)
	same, _ := os.ReadFile(back)
	check(bytes.Equal(body, same), "what comes back")
	begun, _, err := client.Object.InitiateMultipartUpload(ctx, "open", nil)
	check(err == nil, "Initiate Multipart Upload", err)
	uploads, _, err := client.Bucket.ListMultipartUploads(ctx, nil)
	check(err == nil && len(uploads.Uploads) == 1, "List Multipart Uploads", err)
	_, err = client.Object.AbortMultipartUpload(ctx, "open", begun.UploadID)
	check(err == nil, "Abort Multipart Upload", err)

	signed, err := client.Object.GetPresignedURL(ctx, http.MethodGet, "copy", id, key, 3600e9, nil)
	check(err == nil, "a presigned URL", err)
	answer, err := http.Get(strings.Replace(signed.String(), "http://"+host, server+"/"+bucket, 1))
	check(err == nil && answer.StatusCode == 200, "the URL under another name of the server", err)

	deleted, _, err := client.Object.DeleteMulti(ctx, &cos.ObjectDeleteMultiOptions{
		Objects: []cos.Object{{Key: "copy"}, {Key: "big"}, {Key: name}},
	})
	check(err == nil && len(deleted.DeletedObjects) == 3, "DELETE Multiple", err)
	_, err = client.Bucket.Delete(ctx)
	check(err == nil, "DELETE Bucket", err)
	lock(ctx, connect("worm-"+host))
	fmt.Println("done")
}
