//! Where the facts in the pairs are from: each has a source in `golden/sources-*.txt`.

use std::collections::{BTreeMap, BTreeSet};

use super::path;

/// `Operation = source` or `Operation: title = source`; lines that begin with `#` say what sources are called.
fn sources(dialect: &str) -> BTreeMap<String, String> {
    let name = format!("sources-{dialect}.txt");
    let text = std::fs::read_to_string(path(&name)).unwrap();
    let mut sources = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (of, source) = line.split_once(" = ").unwrap_or_else(|| panic!("{name}: {line}"));
        let (of, source) = (of.trim().to_owned(), source.trim().to_owned());
        let known = ["cos-api ", "COS page ", "S3 model, ", "S3 error page ", "decision ", "ours: "];
        assert!(known.iter().any(|begin| source.starts_with(begin)), "{name}: {source}");
        assert!(sources.insert(of, source).is_none(), "{name}: {line}");
    }
    sources
}

/// The titles of the pairs in a file.
fn titles(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(path(name)).unwrap();
    text.lines().filter_map(|line| Some(line.strip_prefix("=== ")?.to_owned())).collect()
}

fn each_pair_has_one(dialect: &str) {
    let sources = sources(dialect);
    let mut used = BTreeSet::new();
    let end = format!("-{dialect}.txt");
    for entry in std::fs::read_dir(path("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(&end) || name.starts_with("sources") {
            continue;
        }
        for title in titles(&name) {
            let op = title.split(':').next().unwrap();
            let of = [title.as_str(), op].into_iter().find(|of| sources.contains_key(*of));
            used.insert(of.unwrap_or_else(|| panic!("{name}: {title} has no source")).to_owned());
        }
    }
    let unused: Vec<_> = sources.keys().filter(|of| !used.contains(*of)).collect();
    assert!(unused.is_empty(), "sources of nothing: {unused:?}");
}

#[test]
fn each_pair_of_cos_names_its_source() {
    each_pair_has_one("cos");
}

#[test]
fn each_pair_of_s3_names_its_source() {
    each_pair_has_one("s3");
}
