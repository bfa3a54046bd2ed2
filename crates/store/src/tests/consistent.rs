//! Whether an index holds together: every reference is counted, every count has its references,
//! every row belongs to something. Looks at nothing but the rows, and shares no code with what
//! writes them but the way to decode one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cosette_blob::BodyId;
use cosette_model::{Change, Versioning};

use super::*;
use crate::holder::Holder;
use crate::journal::Segments;
use crate::record::{
    Content, Layout, Live, ObjectPart, Owned, Piece, Place, Small, Summary, UploadRecord, decode,
};
use crate::restores::Restoring;
use crate::schema::{self, KINDS, Kind};
use crate::{Kept, Sealing, Tx};

/// All rows as they are at one moment: no commit can come in between. Where none is let in any
/// more, a look is enough.
pub(super) async fn rows(store: &Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    let all = |tx: &mut Tx<'_>| tx.collect(&[]);
    match store.commit(all).await {
        Err(Error::Poisoned(_)) => store.rows_of(&[]).unwrap(),
        found => found.unwrap().1,
    }
}

/// How many rows of these kinds there are.
pub(super) async fn count(store: &Store, kinds: &'static [Kind]) -> usize {
    let of_kinds = |tx: &mut Tx<'_>| {
        kinds
            .iter()
            .try_fold(0, |sum, kind| Ok::<_, Error>(sum + tx.collect(&schema::key(*kind, &[]))?.len()))
    };
    store.commit(of_kinds).await.unwrap().1
}

/// Checks every row of a store; the files of its bodies and its journal too, if they are below `dir`.
pub(super) async fn check(store: &Store, dir: Option<&Path>) {
    let mut walk = Walk::of(&rows(store).await);
    loop {
        assert!(walk.problems.is_empty(), "{:#?}", walk.problems);
        let Some(dir) = dir else { return };
        let missing = walk.missing(dir);
        if missing.is_empty() {
            return;
        }
        // Bodies go, and move from segment to segment, while we look at them.
        let now = Walk::of(&rows(store).await);
        assert!((&now.homes, &now.bodies) != (&walk.homes, &walk.bodies), "{missing:#?}");
        walk = now;
    }
}

/// Eight bytes of a key.
fn number(key: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(key[at..at + 8].try_into().unwrap())
}

type Named = (u64, String);

/// One version of a key.
struct Seen {
    stamp: u64,
    null: bool,
    marker: bool,
    /// It lies in `Object`.
    current: bool,
}

/// Where a body lies.
#[derive(PartialEq)]
enum Lies {
    File(BodyId, u64),
    Journal(u64, u64),
    Here(Bytes),
}

/// What has been seen of an index.
#[derive(Default)]
struct Walk {
    buckets: HashMap<u64, Versioning>,
    keys: BTreeMap<Named, Vec<Seen>>,
    nulls: BTreeMap<Named, u64>,
    /// Uploads and parts by the number that joins them.
    uploads: BTreeSet<u64>,
    parts_of: BTreeSet<u64>,
    /// Whether they are encrypted; the former are seen first.
    uploads_sealed: BTreeMap<u64, bool>,
    /// Buckets that rows name.
    named: BTreeSet<u64>,
    bodies: BTreeMap<BodyId, Owned>,
    garbage: BTreeSet<BodyId>,
    manifests: BTreeMap<u64, Owned>,
    discarded: BTreeSet<u64>,
    /// Pieces of a manifest: how many bytes so far.
    pieces: BTreeMap<u64, u64>,
    smalls: BTreeMap<Vec<u8>, Small>,
    live: BTreeMap<u64, Live>,
    /// Part lists: parts and bytes; and what their objects say of them.
    lists: BTreeMap<u64, (u32, u64)>,
    listed: BTreeMap<u64, (u32, u64)>,
    /// What the contents refer to.
    body_refs: BTreeMap<BodyId, (u64, u64)>,
    manifest_refs: BTreeMap<u64, (u64, u64)>,
    small_refs: BTreeMap<Vec<u8>, Small>,
    /// Where the body with a salt lies; and manifests by whether what refers to them is encrypted.
    salts: HashMap<u128, Lies>,
    sealed: BTreeMap<u64, bool>,
    /// Content keys, as they are kept.
    keys_kept: HashSet<String>,
    /// Who refers to a body in the journal without being listed.
    homes: BTreeMap<(u64, u64), Holder>,
    lives: BTreeMap<u64, Live>,
    problems: Vec<String>,
}

impl Walk {
    fn of(rows: &[(Vec<u8>, Vec<u8>)]) -> Self {
        let mut walk = Self::default();
        rows.iter().for_each(|(key, value)| walk.see(key, value));
        walk.conclude();
        walk
    }

    fn problem(&mut self, what: impl Into<String>) {
        self.problems.push(what.into());
    }

    fn see(&mut self, key: &[u8], value: &[u8]) {
        let Some(kind) = KINDS.iter().find(|kind| **kind as u8 == key[0]) else {
            if key[0] < crate::Table::Function as u8 {
                self.problem(format!("a row of no kind: {key:?}"));
            }
            return;
        };
        match kind {
            Kind::Meta | Kind::Swept => {}
            Kind::Bucket => {
                let bucket: Bucket = decode("bucket", value).unwrap();
                assert_eq!(bucket.name.as_str().as_bytes(), &key[1..]);
                if self.buckets.insert(bucket.id, bucket.versioning).is_some() {
                    self.problem(format!("two buckets have id {}", bucket.id));
                }
            }
            Kind::Object => {
                let name = String::from_utf8(key[9..].to_vec()).unwrap();
                self.see_version((number(key, 1), name), value, true);
            }
            Kind::Version => {
                let (name, tail) = schema::unescape(&key[9..]).unwrap();
                let stamp = !u64::from_be_bytes(tail.try_into().unwrap());
                if Summary::decode(value).unwrap().version.stamp != stamp {
                    self.problem(format!("{name:?} has another stamp than its row's {stamp}"));
                }
                self.see_version((number(key, 1), name), value, false);
            }
            Kind::Null => {
                let (name, tail) = schema::unescape(&key[9..]).unwrap();
                assert!(tail.is_empty());
                self.named.insert(number(key, 1));
                self.nulls.insert((number(key, 1), name), number(value, 0));
            }
            Kind::Setting => {
                self.named.insert(number(key, 1));
            }
            Kind::Upload => {
                let record: UploadRecord = decode("upload", value).unwrap();
                self.named.insert(number(key, 1));
                self.uploads.insert(record.number);
                self.uploads_sealed.insert(record.number, record.upload.sealing.is_some());
                self.see_key(record.upload.sealing.as_ref());
            }
            Kind::Part => {
                let part: Part = decode("part", value).unwrap();
                let upload = number(key, 1);
                self.parts_of.insert(upload);
                let holder = Holder::Part { upload, number: part.number };
                let sealed = self.uploads_sealed.get(&upload) == Some(&true);
                self.see_content(&part.content, &holder, part.size, sealed);
            }
            Kind::Change => {
                let change: Change = decode("change", value).unwrap();
                assert_eq!(change.seq.0, number(key, 1));
            }
            Kind::Body => {
                self.bodies.insert(schema::body_of(key).unwrap(), decode("body", value).unwrap());
            }
            Kind::Garbage => {
                self.garbage.insert(schema::body_of(key).unwrap());
            }
            Kind::Manifest => {
                self.manifests.insert(number(key, 1), decode("manifest", value).unwrap());
            }
            Kind::Discarded => {
                self.discarded.insert(number(key, 1));
            }
            Kind::Pieces => {
                let (manifest, offset) = (number(key, 1), number(key, 9));
                let pieces: Vec<Piece> = decode("pieces", value).unwrap();
                let so_far = self.pieces.entry(manifest).or_default();
                let gap = *so_far != offset || pieces.is_empty();
                *so_far = offset + pieces.iter().map(|piece| piece.len).sum::<u64>();
                if gap {
                    self.problem(format!("manifest {manifest} has a gap before {offset}"));
                }
                let holder = Holder::Pieces { manifest, offset };
                // Those of one that is discarded are nobody's.
                let sealed = self.sealed.get(&manifest).copied();
                pieces.iter().for_each(|p| self.see_piece(p, &holder, sealed.unwrap_or(p.salt.is_some())));
            }
            Kind::Small => {
                self.smalls.insert(key.to_vec(), decode("small", value).unwrap());
            }
            Kind::Segment => {
                self.live.insert(number(key, 1), decode("segment", value).unwrap());
            }
            Kind::PartList => {
                let (parts, bytes) = self.lists.entry(number(key, 1)).or_default();
                let mut gaps = 0;
                for part in decode::<Vec<ObjectPart>>("part list", value).unwrap() {
                    gaps += usize::from(part.offset != *bytes);
                    *parts += 1;
                    *bytes += part.size;
                }
                if gaps > 0 {
                    self.problem(format!("part list {} has gaps", number(key, 1)));
                }
            }
            Kind::Restoring => {
                schema::restored_at(key).unwrap();
                decode::<Restoring>("a restore", value).unwrap();
            }
            Kind::Kept => {
                let content: Content = decode("kept", value).unwrap();
                let count = u16::from_be_bytes(key[9..].try_into().unwrap());
                let holder = Holder::Kept(Kept(number(key, 1), count));
                self.see_content(&content, &holder, content.len(), false);
            }
        }
    }

    fn see_version(&mut self, named: Named, record: &[u8], current: bool) {
        let summary = Summary::decode(record).unwrap();
        self.named.insert(named.0);
        let (stamp, null, marker) = (summary.version.stamp, summary.version.null, summary.delete_marker);
        if let Some(object) = Object::decode(record).unwrap() {
            assert_eq!(object.summary(), summary);
            let holder = Holder::version(named.0, &key(&named.1), stamp);
            self.see_key(object.sealing.as_ref());
            self.see_content(&object.content, &holder, object.size, object.sealing.is_some());
            if let Some(list) = object.part_list {
                let said = (object.parts.unwrap(), object.size);
                if self.listed.insert(list, said).is_some() {
                    self.problem(format!("part list {list} has two objects"));
                }
            }
        }
        if current && marker {
            self.problem(format!("{named:?} has a marker among the objects"));
        }
        self.keys.entry(named).or_default().push(Seen { stamp, null, marker, current });
    }

    /// No two records keep their key in the same words: each wrapping has a salt of its own.
    fn see_key(&mut self, sealing: Option<&Sealing>) {
        if let Some(sealing) = sealing
            && !self.keys_kept.insert(format!("{sealing:?}"))
        {
            self.problem("two records have the same wrapped key");
        }
    }

    fn see_content(&mut self, content: &Content, holder: &Holder, size: u64, sealed: bool) {
        if content.len() != size {
            self.problem(format!("{holder:?} has {} bytes and says {size}", content.len()));
        }
        match &content.0 {
            Layout::Pieces(pieces) => {
                pieces.iter().for_each(|piece| self.see_piece(piece, holder, sealed));
            }
            Layout::Manifest { id, len } => {
                let (refs, longest) = self.manifest_refs.entry(*id).or_default();
                *refs += 1;
                *longest = *len;
                if self.sealed.insert(*id, sealed).is_some_and(|other| other != sealed) {
                    self.problem(format!("manifest {id} is encrypted and is not"));
                }
            }
        }
    }

    fn see_piece(&mut self, piece: &Piece, holder: &Holder, sealed: bool) {
        if piece.salt.is_some() != sealed {
            self.problem(format!("{holder:?} has a body that is encrypted otherwise than it is"));
        }
        if let Some(salt) = piece.salt {
            let lies = match &piece.place {
                Place::Inline(bytes) => Lies::Here(bytes.clone()),
                Place::Body { id, at, .. } => Lies::File(*id, *at),
                Place::Journal { segment, offset, .. } => Lies::Journal(*segment, *offset),
            };
            let lies =
                self.salts.insert(salt.0, lies).is_some_and(|other| self.salts.get(&salt.0) != Some(&other));
            if lies {
                self.problem(format!("{holder:?} has a body with the salt of another"));
            }
        }
        match &piece.place {
            Place::Inline(bytes) => assert_eq!(bytes.len() as u64, piece.stored()),
            Place::Body { id, size, at } => {
                self.body_refs.entry(*id).or_insert((0, *size)).0 += 1;
                if at + piece.stored() > *size {
                    self.problem(format!("{holder:?} goes past the end of body {id}"));
                }
            }
            Place::Journal { segment, offset, listed } => {
                let live = self.lives.entry(*segment).or_default();
                live.refs += 1;
                if *listed {
                    let row = schema::small(*segment, *offset, holder);
                    let found = Small { refs: 0, len: piece.stored(), crc64: piece.crc64 };
                    self.small_refs.entry(row).or_insert(found).refs += 1;
                    return;
                }
                live.bytes += piece.stored();
                if let Some(other) = self.homes.insert((*segment, *offset), holder.clone()) {
                    self.problem(format!("{other:?} and {holder:?} are home to one body"));
                }
            }
        }
    }

    /// Bodies without a file, and references that are neither listed nor found beside their body.
    fn missing(&self, dir: &Path) -> Vec<String> {
        let path = |id: &BodyId| dir.join(format!("bodies/{}/{}", id.epoch, id.number));
        let bodies = self.bodies.keys().filter(|id| !path(id).exists());
        let mut missing: Vec<String> = bodies.map(|id| format!("no file of body {id}")).collect();
        let segments = Segments::new(dir.join("journal"), Disk::default());
        let mut homes = self.homes.clone();
        for segment in self.lives.keys() {
            // One that is gone by now has none.
            let _ = crate::holder::each_home(&segments, *segment, &mut |holder, _, offset| {
                if homes.get(&(*segment, offset)) == Some(holder) {
                    homes.remove(&(*segment, offset));
                }
                Ok(())
            });
        }
        missing.extend(homes.iter().map(|home| format!("not beside its body: {home:?}")));
        missing
    }

    fn conclude(&mut self) {
        let mut problems = std::mem::take(&mut self.problems);
        let unknown = self.named.iter().filter(|id| !self.buckets.contains_key(id));
        problems.extend(unknown.map(|id| format!("rows of bucket {id}, which is not there")));
        for (named, versions) in &mut self.keys {
            versions.sort_by_key(|version| (!version.current, std::cmp::Reverse(version.stamp)));
            if !versions.is_sorted_by(|newer, older| newer.stamp > older.stamp) {
                problems.push(format!("{named:?} has an older version on top"));
            }
            if !versions[0].current && !versions[0].marker {
                problems.push(format!("{named:?} has an object on top that is not current"));
            }
            if versions.iter().filter(|version| version.null).count() > 1 {
                problems.push(format!("{named:?} has two null versions"));
            }
            let null = versions.iter().find(|version| version.null && !version.current);
            if self.nulls.remove(named) != null.map(|version| version.stamp) {
                problems.push(format!("the null version of {named:?} is not where it is said to be"));
            }
            let is_plain = versions.len() == 1 && versions[0].null && versions[0].current;
            if self.buckets.get(&named.0) == Some(&Versioning::Off) && !is_plain {
                problems.push(format!("{named:?} has versions in a bucket without"));
            }
        }
        problems.extend(self.nulls.keys().map(|named| format!("{named:?} has a null row and no versions")));
        let orphans = self.parts_of.difference(&self.uploads);
        problems.extend(orphans.map(|upload| format!("parts of upload {upload}, which is not there")));
        differences("body", &self.bodies, &self.body_refs, &mut problems, |owned| (owned.refs, owned.len));
        let both = self.garbage.iter().filter(|id| self.bodies.contains_key(id));
        problems.extend(both.map(|id| format!("body {id} is garbage and referred to")));
        differences("manifest", &self.manifests, &self.manifest_refs, &mut problems, |owned| {
            (owned.refs, owned.len)
        });
        for (id, len) in &self.pieces {
            match (self.manifests.get(id), self.discarded.contains(id)) {
                (Some(owned), false) if owned.len == *len => {}
                (None, true) => {}
                other => problems.push(format!("manifest {id} has {len} bytes of pieces and is {other:?}")),
            }
        }
        let empty = self.manifests.keys().filter(|id| !self.pieces.contains_key(id));
        problems.extend(empty.map(|id| format!("manifest {id} has no pieces")));
        differences("small body", &self.smalls, &self.small_refs, &mut problems, |small| *small);
        differences("segment", &self.live, &self.lives, &mut problems, |live| *live);
        differences("part list", &self.lists, &self.listed, &mut problems, |sums| *sums);
        self.problems = problems;
    }
}

/// What is written of each thing, and what was found of it, must be the same.
fn differences<K: Ord + std::fmt::Debug, W, F: PartialEq + std::fmt::Debug>(
    what: &str,
    written: &BTreeMap<K, W>,
    found: &BTreeMap<K, F>,
    problems: &mut Vec<String>,
    project: impl Fn(&W) -> F,
) {
    let keys: BTreeSet<&K> = written.keys().chain(found.keys()).collect();
    for key in keys {
        let (written, found) = (written.get(key).map(&project), found.get(key));
        if written.as_ref() != found {
            problems.push(format!("{what} {key:?}: written {written:?}, found {found:?}"));
        }
    }
}
