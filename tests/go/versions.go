package main

import (
	"context"
	"io"
	"strings"

	"github.com/tencentyun/cos-go-sdk-v5"
)

// Versions, with what each has of its own: access list and tags. In a bucket of its own.
func versions(ctx context.Context, client *cos.Client) {
	_, err := client.Bucket.Put(ctx, nil)
	check(err == nil, "PUT Bucket with versions", err)
	_, err = client.Bucket.PutVersioning(ctx, &cos.BucketPutVersionOptions{Status: "Enabled"})
	check(err == nil, "PUT Bucket versioning", err)
	state, _, err := client.Bucket.GetVersioning(ctx)
	check(err == nil && state.Status == "Enabled", "GET Bucket versioning", err, state)

	var ids []string
	for _, text := range []string{"first", "second"} {
		put, err := client.Object.Put(ctx, "k", strings.NewReader(text), nil)
		check(err == nil, "PUT Object with versions", err)
		ids = append(ids, put.Header.Get("x-cos-version-id"))
	}
	got, err := client.Object.Get(ctx, "k", nil, ids[0])
	check(err == nil, "GET Object of a version", err)
	text, _ := io.ReadAll(got.Body)
	check(string(text) == "first", "what a version holds", string(text))

	tag := func(value string) *cos.ObjectPutTaggingOptions {
		return &cos.ObjectPutTaggingOptions{TagSet: []cos.ObjectTaggingTag{{Key: "t", Value: value}}}
	}
	_, err = client.Object.PutTagging(ctx, "k", tag("1"), ids[0])
	check(err == nil, "PUT Object tagging of a version", err)
	tags, _, err := client.Object.GetTagging(ctx, "k", ids[0])
	check(err == nil && tags.TagSet[0].Value == "1", "GET Object tagging of a version", err, tags)
	tags, _, err = client.Object.GetTagging(ctx, "k")
	check(err == nil && len(tags.TagSet) == 0, "GET Object tagging of the newest", err, tags)
	_, err = client.Object.DeleteTagging(ctx, "k", ids[0])
	check(err == nil, "DELETE Object tagging of a version", err)

	open := &cos.ACLHeaderOptions{XCosACL: "public-read"}
	_, err = client.Object.PutACL(ctx, "k", &cos.ObjectPutACLOptions{Header: open})
	check(err == nil, "PUT Object acl", err)
	list, _, err := client.Object.GetACL(ctx, "k")
	check(err == nil && len(list.AccessControlList) == 2, "GET Object acl", err, list)
	_, err = client.Bucket.PutACL(ctx, &cos.BucketPutACLOptions{Header: open})
	check(err == nil, "PUT Bucket acl", err)
	all, answer, err := client.Bucket.GetACL(ctx)
	check(err == nil && len(all.AccessControlList) == 2, "GET Bucket acl", err, all)
	check(answer.Header.Get("x-cos-acl") == "public-read", "the acl in words", answer.Header)

	deleted, err := client.Object.Delete(ctx, "k")
	check(err == nil && deleted.Header.Get("x-cos-delete-marker") == "true", "DELETE Object with versions", err)
	_, err = client.Object.Head(ctx, "k", nil)
	check(cos.IsNotFoundError(err), "HEAD Object that is marked", err)
	page, _, err := client.Bucket.GetObjectVersions(ctx, &cos.BucketGetObjectVersionsOptions{Prefix: "k"})
	check(err == nil && len(page.Version) == 2 && len(page.DeleteMarker) == 1, "GET Bucket versions", err, page)
	check(page.DeleteMarker[0].IsLatest && page.Version[0].VersionId == ids[1], "the newest first", page)
	ids = append(ids, page.DeleteMarker[0].VersionId)
	for _, id := range ids {
		_, err = client.Object.Delete(ctx, "k", &cos.ObjectDeleteOptions{VersionId: id})
		check(err == nil, "DELETE Object of a version", err)
	}
	_, err = client.Bucket.Delete(ctx)
	check(err == nil, "DELETE Bucket with versions", err)
}
