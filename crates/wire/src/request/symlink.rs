//! Symlinks (cos-api 3.4).

use cosette_model::op::PutSymlink;
use cosette_model::{Error, ErrorCode, ObjectKey};

use super::{Incoming, attributes, condition, invalid, setting};
use crate::{header, path};

impl Incoming<'_> {
    pub(super) fn put_symlink(mut self) -> Result<PutSymlink, Error> {
        let name = header::SYMLINK_TARGET.of(self.dialect);
        let text = self.headers.concept(header::SYMLINK_TARGET)?.ok_or_else(|| {
            Error::with(ErrorCode::InvalidArgument, "A symlink needs a target.").detail("ArgumentName", name)
        })?;
        let target =
            target(text).ok_or_else(|| invalid(name, text, "The target must be the key of an object."))?;
        let attributes = attributes::read(&self.headers)?;
        self.check_attributes(&attributes)?;
        Ok(PutSymlink {
            bucket: self.bucket()?,
            key: self.key()?,
            target,
            attributes,
            properties: setting::properties(&self.headers)?,
            acl: self.asked_acl()?,
            conditions: condition::write(&self.headers)?,
        })
    }
}

/// The key that a header names: percent-encoded as the Go SDK sends it, or as it is, as the Python SDK
/// does; with a slash before it as COS's page on symlinks writes paths, or without.
fn target(text: &str) -> Option<ObjectKey> {
    let decoded = path::decode(text).unwrap_or_else(|| text.to_owned());
    ObjectKey::new(decoded.strip_prefix('/').unwrap_or(&decoded)).ok()
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn a_target_is_read_in_every_spelling() {
        let key = |text| target(text).map(|key| key.as_str().to_owned());
        for (text, want) in [
            ("dir/a.txt", Some("dir/a.txt")),
            ("/dir/a.txt", Some("dir/a.txt")),
            ("dir%2Fa%20b", Some("dir/a b")),
            ("照片", Some("照片")),
            ("%E7%85%A7", Some("照")),
            ("50%", Some("50%")),
            ("a+b", Some("a+b")),
            ("", None),
            ("/", None),
        ] {
            assert_eq!(key(text).as_deref(), want, "{text}");
        }
    }
}
