//! Listings, by example and against every way of paging.

use super::*;
use crate::Page;

async fn filled(keys: &[&str]) -> Store {
    let store = memory();
    create(&store, "bucket").await.unwrap();
    for key in keys {
        put(&store, "bucket", key, key.as_bytes()).await.unwrap();
    }
    // A bucket beside it, which must never show.
    create(&store, "other").await.unwrap();
    put(&store, "other", "a", b"").await.unwrap();
    store
}

fn page(store: &Store, prefix: &str, delimiter: &str, after: &str, max: u32) -> Page {
    store.list_objects(&name("bucket"), &listing(prefix, delimiter, after, max)).unwrap()
}

fn shown(page: &Page) -> (Vec<&str>, Vec<&str>) {
    (
        page.objects.iter().map(|(key, _)| key.as_str()).collect(),
        page.common_prefixes.iter().map(String::as_str).collect(),
    )
}

const KEYS: &[&str] =
    &["a", "a\0b", "a/", "a/1", "a/2/x", "a/2/y", "a0", "b//c", "b/c", "dir/", "é/ü", "z", "\u{10ffff}"];

#[tokio::test]
async fn keys_roll_up_at_the_delimiter() {
    let store = filled(KEYS).await;
    let all = page(&store, "", "", "", 1000);
    let mut sorted = KEYS.to_vec();
    sorted.sort_unstable();
    assert_eq!(shown(&all), (sorted, vec![]));
    assert_eq!(all.next, None);
    let top = page(&store, "", "/", "", 1000);
    assert_eq!(shown(&top), (vec!["a", "a\0b", "a0", "z", "\u{10ffff}"], vec!["a/", "b/", "dir/", "é/"]));
    assert_eq!(shown(&page(&store, "a/", "/", "", 1000)), (vec!["a/", "a/1"], vec!["a/2/"]));
    assert_eq!(shown(&page(&store, "a", "/", "", 1000)), (vec!["a", "a\0b", "a0"], vec!["a/"]));
    assert_eq!(shown(&page(&store, "", "//", "", 1000)).1, ["b//"]);
    assert_eq!(shown(&page(&store, "b/", "/", "", 1000)), (vec!["b/c"], vec!["b//"]));
    assert_eq!(shown(&page(&store, "", "ü", "a0", 1000)).1, ["é/ü"]);
    assert_eq!(shown(&page(&store, "nothing", "/", "", 1000)), (vec![], vec![]));
}

#[tokio::test]
async fn a_page_goes_on_after_its_last_entry() {
    let store = filled(KEYS).await;
    for (prefix, delimiter) in
        [("", ""), ("", "/"), ("a", "/"), ("a/", "/"), ("", "//"), ("b", "c"), ("x", "/")]
    {
        let whole = page(&store, prefix, delimiter, "", 1000);
        for max in 1..6 {
            let (mut objects, mut common) = (Vec::new(), Vec::new());
            let mut after = String::new();
            loop {
                let one = page(&store, prefix, delimiter, &after, max);
                assert!(one.objects.len() + one.common_prefixes.len() <= max as usize);
                objects.extend(one.objects);
                common.extend(one.common_prefixes);
                match one.next {
                    Some(next) => after = next,
                    None => break,
                }
            }
            assert_eq!(
                (&objects, &common),
                (&whole.objects, &whole.common_prefixes),
                "{prefix:?} {delimiter:?} {max}"
            );
        }
    }
}

#[tokio::test]
async fn edges_of_paging() {
    let store = filled(&["a/1", "a/2", "b"]).await;
    let none = page(&store, "", "/", "", 0);
    assert_eq!((shown(&none), none.next.as_deref()), ((vec![], vec![]), None));
    let first = page(&store, "", "/", "", 1);
    assert_eq!((shown(&first), first.next.as_deref()), ((vec![], vec!["a/"]), Some("a/")));
    let last = page(&store, "", "/", "a/", 1);
    assert_eq!((shown(&last), last.next.as_deref()), ((vec!["b"], vec![]), None));
    // A marker inside a common prefix does not hide what is left of it.
    assert_eq!(shown(&page(&store, "", "/", "a/1", 9)), (vec!["b"], vec!["a/"]));
    // Exactly full, and nothing follows.
    assert_eq!(page(&store, "", "/", "", 2).next, None);
    // Markers before, within and after the prefix.
    assert_eq!(shown(&page(&store, "a/", "", "A", 9)).0, ["a/1", "a/2"]);
    assert_eq!(shown(&page(&store, "a/", "", "a/1", 9)).0, ["a/2"]);
    assert_eq!(shown(&page(&store, "a/", "", "b", 9)).0, Vec::<&str>::new());
    assert!(matches!(
        store.list_objects(&name("absent"), &listing("", "", "", 9)),
        Err(Error::NoSuchBucket(_))
    ));
}
