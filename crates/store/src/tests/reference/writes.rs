//! What writes bytes, encrypted in every way.

use cosette_model::op::Conditions;
use cosette_model::{Attributes, ETag, EventType, PartNumber, Properties, UploadId};

use super::compare::{agrees, drained};
use super::model::{Place, Thing, UploadOf, When};
use super::operations::At;
use super::sealed::Way;
use super::subject::Subject;
use crate::tests::{cause, copy_of, key, name, put_body, seal_under, try_seal};
use crate::{AppendObject, CompleteUpload, CopiedContent, CopyObject, PutPart, Result, Seen, Upload};

impl Subject {
    pub(super) async fn put(&mut self, place: Place, body: &[u8], when: When, way: Way) {
        let store = self.store();
        let sealed = async {
            let seal = self.seal(way).await?;
            Ok((way.tag(seal.as_ref(), body), seal_under(&store, body, seal).await?))
        };
        let (tag, sealed) = match sealed.await {
            Ok(sealed) => sealed,
            Err(error) => return self.same(Err(error), Ok(())),
        };
        let thing = Thing::new(body, way, tag);
        let conditions = self.conditions(place, when);
        let expected = self.model.write(place, thing.clone(), when, self.now(), EventType::CreatedPut);
        let put = put_body(&store, place.0, place.1, sealed, conditions).await;
        put.iter().for_each(|object| agrees(object, &thing));
        self.same(put.map(|object| object.version.id()), expected);
    }

    pub(super) async fn append(&mut self, place: Place, more: &[u8], off: u8, way: Way) {
        let store = self.store();
        let current = self.model.current(place).cloned();
        let own = current.as_ref().filter(|object| object.appendable).map(|object| object.way);
        // Two that are not encrypted are encrypted alike.
        let other = own.is_some_and(|own| off == 2 && (own, way) != (Way(0), Way(0)));
        let sealed = async {
            let seal = match own.filter(|_| !other) {
                Some(own) => self.unseal(&store.object(&name(place.0), &key(place.1), None)?, own)?,
                None => self.seal(way).await?,
            };
            seal_under(&store, more, seal).await
        };
        let body = match sealed.await {
            Ok(body) => body,
            Err(error) => return self.same(Err(error), Ok(())),
        };
        let off = u8::from(off == 1);
        let append = AppendObject {
            bucket: name(place.0).into(),
            key: key(place.1),
            position: current.map_or(0, |object| object.body.len() as u64) + u64::from(off),
            attributes: Attributes::default(),
            properties: Properties::default(),
            body,
            cause: cause(),
        };
        let expected = self.model.append(place, more, off, (!other).then_some(way), self.now());
        let appended = store.append_object(append).await;
        if let (Ok(object), Ok(_)) = (&appended, &expected) {
            assert_ne!(Some(&object.etag), self.model.current(place).map(|thing| &thing.etag));
            agrees(object, &self.model.appended(place, object.etag.clone()).unwrap());
        }
        self.same(appended.map(|object| object.size), expected);
    }

    pub(super) async fn begin(&mut self, place: Place, way: Way) {
        let seal = match self.seal(way).await {
            Ok(seal) => seal,
            Err(error) => return self.same(Err(error), Ok(())),
        };
        let expected = self.model.bucket(place.0).map(drop);
        let (attributes, properties) = (Attributes::default(), Properties::default());
        let sealing = seal.map(|seal| seal.sealing);
        let (bucket, object) = (name(place.0), key(place.1));
        let begun = self.store().create_upload(bucket, object, attributes, properties, None, sealing).await;
        if let Ok(upload) = &begun {
            self.model.begin(place, upload.id.clone().into_string(), way);
        }
        self.same(begun.map(drop), expected);
    }

    pub(super) async fn part(&mut self, id: &UploadOf, number: u64, body: &[u8]) {
        let store = self.store();
        let (bucket, object, upload) = (name(id.0.0), key(id.0.1), UploadId::new(id.1.clone()));
        let way = self.model.uploads.get(id).map_or(Way(0), |open| open.way);
        let sealed = async {
            let seal = match store.upload(&bucket, &object, &upload) {
                Ok(Upload { sealing: Some(sealing), .. }) => {
                    Some(store.unseal(&sealing, way.customer().as_ref())?)
                }
                _ => None,
            };
            Ok((way.tag(seal.as_ref(), body), seal_under(&store, body, seal).await?))
        };
        let (tag, sealed) = match sealed.await {
            Ok(sealed) => sealed,
            Err(error) => return self.same(Err(error), Ok(())),
        };
        let expected = self.model.put_part(id, number, body, tag).map(|()| (number, tag));
        let part = PutPart {
            bucket: bucket.into(),
            key: object,
            upload,
            number: PartNumber::new(number).unwrap(),
            body: sealed,
        };
        let put = store.put_part(part).await;
        self.same(put.map(|part| (u64::from(part.number.get()), part.md5)), expected);
    }

    pub(super) async fn complete(&mut self, id: &UploadOf, bits: u8, when: When) {
        let chosen = self.model.chosen(id, bits);
        let named = chosen.iter().map(|(number, part)| (*number, ETag::of_md5(part.tag)));
        let complete = CompleteUpload {
            bucket: name(id.0.0).into(),
            key: key(id.0.1),
            upload: UploadId::new(id.1.clone()),
            parts: named.map(|(number, etag)| (PartNumber::new(number).unwrap(), etag)).collect(),
            part_size_min: 0,
            checksums: Vec::new(),
            checksum_type: None,
            conditions: self.conditions(id.0, when),
            cause: cause(),
        };
        let expected = self.model.complete(id, &chosen, when, self.now());
        let completed = self.store().complete_upload(complete).await;
        self.same(completed.map(|object| object.version.id()), expected);
    }

    /// A copy as handlers make it: it shares what it can, and else the bytes are written anew.
    pub(super) async fn copy(&mut self, from: At, version: Option<u8>, to: At, when: When, way: Way) {
        let (from, to) = (from.place(), to.place());
        let version = self.model.version(from, version);
        let mut copy = copy_of(from, to);
        copy.conditions = self.conditions(to, when);
        copy.source.version = version.clone();
        copy.source.conditions = Conditions::default();
        let (way, tag) = match self.model.read(from, version.as_ref()) {
            // It will be refused.
            Err(_) => (Way(0), None),
            Ok(source) => match self.content(from, &source, way, &mut copy).await {
                Ok(tag) => (way, tag),
                Err(error) => return self.same(Err(error), Ok(())),
            },
        };
        let now = self.now();
        let expected = self.model.copy((from, version.as_ref()), (to, way, tag), when, now);
        let copied = self.store().copy_object(copy).await;
        if let (Ok((object, _)), Ok(_)) = (&copied, &expected) {
            way.agrees(object.sealing.as_ref().map(|sealing| &sealing.by));
        }
        self.same(copied.map(|(object, source)| (object.version.id(), source)), expected);
    }

    /// Adds the content to a copy. Returns what stands for its MD5 where the ETag is not the source's.
    async fn content(
        &self,
        from: Place,
        source: &Thing,
        way: Way,
        copy: &mut CopyObject,
    ) -> Result<Option<[u8; 16]>> {
        let look_up = || self.store().object(&name(from.0), &key(from.1), copy.source.version.as_ref());
        let read = || self.opened_for(from, &look_up()?, source.way, None);
        let found = look_up()?;
        copy.seen = Some(Seen::of(&self.store().need_bucket(&name(from.0))?, &found));
        let Some(how) = way.encryption().filter(|_| source.way != Way(0)) else {
            if source.way == way {
                return Ok(None);
            }
            let bytes = drained(read).await?;
            assert!(bytes == *source.body);
            let seal = self.seal(way).await?;
            let tag = way.tag(seal.as_ref(), &bytes);
            let body = seal_under(&self.store(), &bytes, seal).await?;
            copy.digests = Some(body.digests.clone());
            copy.content = CopiedContent::Anew(body);
            return Ok(Some(tag));
        };
        let seal = self.unseal(&found, source.way)?.unwrap();
        let seal = self.store().reseal(&seal, &how).await?;
        let tag = way.tag(Some(&seal), &source.body);
        let is_whole = source.made_of == 0 && !source.appendable;
        if !is_whole || (source.way.hides() && !way.hides()) {
            let bytes = drained(read).await?;
            copy.digests = Some(try_seal(&self.store(), &bytes).await?.digests.clone());
        } else if source.way.hides() {
            assert_eq!(source.etag.md5(), Some(tag), "the same content under the same key");
        }
        copy.content = CopiedContent::Shared(Some(seal));
        Ok(Some(tag))
    }
}
