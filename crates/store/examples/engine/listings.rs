//! Pages of 1,000 keys: in a small bucket and a large one, over a common prefix that nearly all
//! keys have, and over a key with very many versions. A page is to cost what it shows, whatever
//! lies around it.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use cosette_model::op::Listing;
use cosette_model::{BucketName, Cause};
use cosette_store::Store;

use crate::Scale;
use crate::measure::{Random, Spread, rest, turn};
use crate::opening::{AROUND, key_of};
use crate::subject::{self, LOADERS, key, name};

const FEW: u64 = 10_000;
const PAGE: u32 = 1_000;

/// Of each page of one kind, in microseconds: when it was asked for first, and at once again.
#[derive(Default)]
struct Pages {
    first: Vec<f64>,
    again: Vec<f64>,
}

impl Pages {
    fn list(&mut self, store: &Store, bucket: &BucketName, listing: &Listing) {
        for costs in [&mut self.first, &mut self.again] {
            let began = Instant::now();
            let page = store.list_objects(bucket, listing).unwrap();
            costs.push(began.elapsed().as_secs_f64() * 1e6);
            assert_eq!(page.objects.len() + page.common_prefixes.len(), PAGE as usize);
            assert_eq!(page.common_prefixes.len(), usize::from(listing.delimiter.is_some()));
        }
    }

    /// The least is what a page costs when nothing else wants the processor; of pages asked for
    /// first, the median has what is read from the disk besides.
    fn print(&self, what: &str, beside: Option<&Self>) {
        let (first, again) = (Spread::of(self.first.clone()), Spread::of(self.again.clone()));
        print!("  {what}: {first:.0} us, at once again {again:.0}");
        let Some(beside) = beside else { return println!() };
        let (small, small_again) = (Spread::of(beside.first.clone()), Spread::of(beside.again.clone()));
        println!(
            "; ratio of medians {:.2} [< 1.3], again {:.2}, of the least {:.2}",
            first.median / small.median,
            again.median / small_again.median,
            again.min / small_again.min,
        );
    }
}

/// Expects the large bucket in `dir`, and adds the others.
pub(crate) async fn run(dir: &Path, scale: &Scale) {
    let [few, many, versions] = [name("few"), name("many"), name("versions")];
    load(dir, scale, &few, &versions).await;
    let store = subject::open(dir);
    rest().await;
    let after = |n, of| Listing { after: key_of(n, of).to_string(), max: PAGE, ..Listing::default() };
    let mut random = Random(4);
    let (mut small, mut large, mut rolled, mut over) =
        (Pages::default(), Pages::default(), Pages::default(), Pages::default());
    let mut shown = Vec::new();
    for _ in 0..scale.pages {
        small.list(&store, &few, &after(random.below(FEW - u64::from(PAGE)), FEW));
        large.list(&store, &many, &after(random.below(scale.objects - u64::from(PAGE) - 1), scale.objects));
        let delimiter = Some("/".to_owned());
        rolled.list(&store, &many, &Listing { delimiter, ..after(AROUND / 2, scale.objects) });
        over.list(&store, &versions, &Listing { max: PAGE, ..Listing::default() });
        let within = Listing { after: version_key(PAGE / 2 - 1), max: PAGE, ..Listing::default() };
        let began = Instant::now();
        assert_eq!(store.list_versions(&versions, &within, None).unwrap().versions.len(), PAGE as usize);
        shown.push(began.elapsed().as_secs_f64() * 1e6);
    }
    small.print(&format!("anywhere among {FEW} keys"), None);
    large.print(&format!("anywhere among {} keys", scale.objects), Some(&small));
    rolled.print("over a common prefix that nearly all of these have", Some(&small));
    over.print(&format!("over a key with {} versions", scale.versions), Some(&small));
    println!("  a page of these versions themselves: {:.0} us", Spread::of(shown));
    store.close().await.unwrap();
}

fn version_key(n: u32) -> String {
    format!("common/{n:09}")
}

async fn load(dir: &Path, scale: &Scale, few: &BucketName, versions: &BucketName) {
    let store = subject::open_to_load(dir);
    let body = Bytes::from(vec![7; 100]);
    let began = Instant::now();
    subject::create(&store, few).await;
    turn(LOADERS, FEW, {
        let (store, bucket, body) = (store.clone(), few.clone(), body.clone());
        move |n| {
            let (store, bucket, body) = (store.clone(), bucket.clone(), body.clone());
            async move { subject::put(&store, &bucket, key_of(n, FEW), &[body]).await }
        }
    })
    .await;
    subject::create(&store, versions).await;
    store.set_versioning(versions.clone(), true, Cause::default()).await.unwrap();
    // One key more than a page shows, so that there is always a next.
    turn(LOADERS, u64::from(PAGE) + 1 + scale.versions, {
        let (store, bucket) = (store.clone(), versions.clone());
        move |n| {
            let n = u32::try_from(n).unwrap_or(u32::MAX);
            let key = key(version_key(if n > PAGE { PAGE / 2 } else { n }));
            let (store, bucket, body) = (store.clone(), bucket.clone(), body.clone());
            async move { subject::put(&store, &bucket, key, &[body]).await }
        }
    })
    .await;
    store.close().await.unwrap();
    println!("  {FEW} objects and {} versions put in {:.0} s", scale.versions, began.elapsed().as_secs_f64());
}
