package main

import (
	"context"
	"strings"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"
)

// A bucket with object lock stays behind, with what it holds.
func lock(ctx context.Context, client *cos.Client) {
	_, err := client.Bucket.Put(ctx, nil)
	check(err == nil, "PUT Bucket to be locked", err)
	_, err = client.Bucket.PutObjectLockConfiguration(ctx, &cos.BucketPutObjectLockOptions{
		ObjectLockEnabled: "Enabled", Rule: &cos.ObjectLockRule{Days: 1},
	})
	check(err == nil, "PUT Bucket object lock", err)
	set, _, err := client.Bucket.GetObjectLockConfiguration(ctx)
	check(err == nil && set.Rule.Days == 1, "GET Bucket object lock", err)
	_, err = client.Object.Put(ctx, "k", strings.NewReader("kept"), nil)
	check(err == nil, "PUT Object that is locked", err)
	retention, _, err := client.Object.GetRetention(ctx, "k", nil)
	check(err == nil, "GET Object retention", err)
	until, err := time.Parse(time.RFC3339, retention.RetainUntilDate)
	check(err == nil, "the date of a retention", err)
	later := until.Add(24 * time.Hour).UTC().Format("2006-01-02T15:04:05.000Z")
	_, err = client.Object.PutRetention(ctx, "k", &cos.ObjectPutRetentionOptions{
		RetainUntilDate: later, Mode: retention.Mode,
	})
	check(err == nil, "PUT Object retention", err)
	retention, _, err = client.Object.GetRetention(ctx, "k", nil)
	check(err == nil && retention.RetainUntilDate[:19] == later[:19], "GET Object retention, longer", err, retention)
	_, err = client.Object.Delete(ctx, "k")
	check(cos.IsNotFoundError(err) == false && err != nil, "DELETE Object that is locked", err)
}
