package main

import (
	"context"

	"github.com/tencentyun/cos-go-sdk-v5"
)

// Settings of which a bucket has several, in a bucket that is there.
func settings(ctx context.Context, client *cos.Client) {
	rule := &cos.BucketPutIntelligentTieringOptions{
		Id: "cold", Status: "Enabled", Filter: &cos.BucketIntelligentTieringFilter{Prefix: "cold/"},
		Tiering: []*cos.BucketIntelligentTieringTransition{{AccessTier: "ARCHIVE_ACCESS", Days: 91}},
	}
	_, err := client.Bucket.PutIntelligentTieringV2(ctx, rule)
	check(err == nil, "PUT Bucket intelligent tiering", err)
	got, _, err := client.Bucket.GetIntelligentTieringV2(ctx, "cold")
	check(err == nil && got.Tiering[0].Days == 91, "GET Bucket intelligent tiering", err, got)
	list, _, err := client.Bucket.ListIntelligentTiering(ctx)
	check(err == nil && len(list.Configurations) == 1, "List intelligent tiering", err, list)
	_, err = client.Bucket.DeleteIntelligentTiering(ctx, "cold")
	check(err == nil, "DELETE Bucket intelligent tiering", err)
	_, _, err = client.Bucket.GetIntelligentTieringV2(ctx, "cold")
	check(cos.IsNotFoundError(err), "GET Bucket intelligent tiering that is gone", err)
}
