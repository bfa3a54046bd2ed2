//! Contents that are encrypted: in which ways, what an answer says of it, and who can read them.

use cosette_model::{ByteStream, CustomerKey, Encryption, KmsKey};

use super::model::{Place, md5};
use super::subject::Subject;
use crate::tests::{key, name};
use crate::{Error, Object, Result, Seal, SealedBy};

/// How a content is encrypted; 0: not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way(pub(crate) u8);

impl Way {
    pub(super) const COUNT: u8 = 6;

    pub(super) fn encryption(self) -> Option<Encryption> {
        let kms = |id: &str, context: Option<&str>| KmsKey {
            id: Some(id.to_owned()),
            context: context.map(str::to_owned),
            bucket_key: None,
        };
        match self.0 {
            0 => None,
            1 => Some(Encryption::Service),
            2 => Some(Encryption::Kms(kms("one", None))),
            3 => Some(Encryption::Kms(kms("two", Some("{}")))),
            _ => self.customer().map(Encryption::Customer),
        }
    }

    /// The key that must come with a request.
    pub(super) fn customer(self) -> Option<CustomerKey> {
        (self.0 > 3).then_some(CustomerKey { key: [self.0; 32], md5: [0; 16] })
    }

    /// The MD5 is not to be seen in ETags.
    pub(super) fn hides(self) -> bool {
        self.0 > 1
    }

    /// What stands for the MD5 of a body that is encrypted so.
    pub(super) fn tag(self, seal: Option<&Seal>, body: &[u8]) -> [u8; 16] {
        let (plain, tag) = (md5(body), seal.map_or(md5(body), |seal| seal.tag(md5(body))));
        assert_eq!(tag != plain, self.hides(), "{self:?}");
        tag
    }

    /// The record must say how it is.
    pub(super) fn agrees(self, by: Option<&SealedBy>) {
        let same = match (self.encryption(), by) {
            (None, None) | (Some(Encryption::Service), Some(SealedBy::Service)) => true,
            (Some(Encryption::Kms(key)), Some(SealedBy::Kms(own))) => key == *own,
            (Some(Encryption::Customer(_)), Some(SealedBy::Customer { .. })) => true,
            _ => false,
        };
        assert!(same, "{by:?} is not {self:?}");
    }
}

impl Subject {
    /// A new content key.
    pub(super) async fn seal(&self, way: Way) -> Result<Option<Seal>> {
        match way.encryption() {
            Some(how) => self.store().seal(&how).await.map(Some),
            None => Ok(None),
        }
    }

    /// That of an object.
    pub(super) fn unseal(&self, object: &Object, way: Way) -> Result<Option<Seal>> {
        let sealing = object.sealing.as_ref();
        sealing.map(|sealing| self.store().unseal(sealing, way.customer().as_ref())).transpose()
    }

    /// The stream of an object's bytes for who has the key, and for nobody else.
    pub(super) fn opened_for(
        &self,
        place: Place,
        found: &Object,
        way: Way,
        range: Option<(u64, u64)>,
    ) -> Result<ByteStream> {
        let (store, bucket, key) = (self.store(), name(place.0), key(place.1));
        let read = |customer: Option<&CustomerKey>| store.read_for(&bucket, &key, found, range, customer);
        if let Some(customer) = way.customer() {
            assert!(matches!(read(None), Err(Error::CustomerKeyMissing)));
            let other = CustomerKey { key: [99; 32], ..customer };
            assert!(matches!(read(Some(&other)), Err(Error::CustomerKeyWrong)));
        }
        read(way.customer().as_ref())
    }
}
