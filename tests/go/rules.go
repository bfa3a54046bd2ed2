package main

import (
	"context"
	"strings"

	"github.com/tencentyun/cos-go-sdk-v5"
)

// Tags, rules for other origins and lifecycle rules of a bucket that is there.
func rules(ctx context.Context, client *cos.Client) {
	tags := []cos.BucketTaggingTag{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}}
	_, err := client.Bucket.PutTagging(ctx, &cos.BucketPutTaggingOptions{TagSet: tags})
	check(err == nil, "PUT Bucket tagging", err)
	tagged, _, err := client.Bucket.GetTagging(ctx)
	check(err == nil && len(tagged.TagSet) == 2, "GET Bucket tagging", err, tagged)
	_, err = client.Bucket.DeleteTagging(ctx)
	check(err == nil, "DELETE Bucket tagging", err)

	origin := cos.BucketCORSRule{
		ID: "o", AllowedMethods: []string{"GET", "PUT"}, AllowedOrigins: []string{"https://www.example.com"},
		AllowedHeaders: []string{"x-cos-meta-a"}, MaxAgeSeconds: 100, ExposeHeaders: []string{"etag"},
	}
	_, err = client.Bucket.PutCORS(ctx, &cos.BucketPutCORSOptions{Rules: []cos.BucketCORSRule{origin}})
	check(err == nil, "PUT Bucket cors", err)
	crossing, _, err := client.Bucket.GetCORS(ctx)
	check(err == nil && crossing.Rules[0].MaxAgeSeconds == 100, "GET Bucket cors", err, crossing)
	asked := &cos.ObjectOptionsOptions{Origin: "https://www.example.com", AccessControlRequestMethod: "PUT"}
	allowed, err := client.Object.Options(ctx, "k", asked)
	check(err == nil, "OPTIONS Object", err)
	check(strings.Contains(allowed.Header.Get("Access-Control-Allow-Methods"), "PUT"), "what is allowed", allowed.Header)
	_, err = client.Bucket.DeleteCORS(ctx)
	check(err == nil, "DELETE Bucket cors", err)

	ageing := &cos.BucketPutLifecycleOptions{Rules: []cos.BucketLifecycleRule{
		{
			ID: "old", Status: "Enabled", Filter: &cos.BucketLifecycleFilter{Prefix: "old/"},
			Transition: []cos.BucketLifecycleTransition{{Days: 30, StorageClass: "ARCHIVE"}},
			Expiration: &cos.BucketLifecycleExpiration{Days: 60},
		},
		{
			ID: "cut", Status: "Enabled", Filter: &cos.BucketLifecycleFilter{},
			AbortIncompleteMultipartUpload: &cos.BucketLifecycleAbortIncompleteMultipartUpload{DaysAfterInitiation: 5},
			NoncurrentVersionExpiration:    &cos.BucketLifecycleNoncurrentVersion{NoncurrentDays: 7},
		},
	}}
	_, err = client.Bucket.PutLifecycle(ctx, ageing)
	check(err == nil, "PUT Bucket lifecycle", err)
	kept, _, err := client.Bucket.GetLifecycle(ctx)
	check(err == nil && len(kept.Rules) == 2 && kept.Rules[0].Expiration.Days == 60, "GET Bucket lifecycle", err, kept)
	put, err := client.Object.Put(ctx, "old/k", strings.NewReader("x"), nil)
	told := put.Header.Get("x-cos-expiration")
	check(err == nil && strings.HasSuffix(told, `GMT", rule-id="old"`), "when an object ends", err, told)
	_, err = client.Object.Delete(ctx, "old/k")
	check(err == nil, "DELETE Object before it ends", err)
	ageing.Rules[0].Expiration.Days = 30
	_, err = client.Bucket.PutLifecycle(ctx, ageing)
	refused, is := cos.IsCOSError(err)
	check(is && refused.Code == "InvalidArgument", "PUT Bucket lifecycle that ends before it moves", err)
	_, err = client.Bucket.DeleteLifecycle(ctx)
	check(err == nil, "DELETE Bucket lifecycle", err)
	_, _, err = client.Bucket.GetLifecycle(ctx)
	check(cos.IsNotFoundError(err), "GET Bucket lifecycle that is gone", err)
}
