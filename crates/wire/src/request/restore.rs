//! A request to bring an archived object back (cos-api 5).

use cosette_model::op::RestoreObject;
use cosette_model::{Error, ErrorCode, RestoreTier};

use super::{Incoming, invalid};
use crate::xml::Element;

/// The longest a restored copy may be asked to stay, in days: a hundred years.
const DAYS_MAX: u32 = 36_500;

impl Incoming<'_> {
    pub(super) async fn restore_object(mut self) -> Result<RestoreObject, Error> {
        let (bucket, key, version) = (self.bucket()?, self.key()?, self.version()?);
        let customer = self.customer_key()?;
        let document = self.payload.into_document(&self.headers, self.config.xml_bytes_max).await?;
        let (days, tier) = read(&document)?;
        Ok(RestoreObject { bucket, key, version, days, tier, customer })
    }
}

/// `RestoreRequest`, with the tier in COS's element or in S3's.
fn read(document: &[u8]) -> Result<(Option<u32>, RestoreTier), Error> {
    let root = Element::parse(document, "RestoreRequest")?;
    for name in ["Type", "SelectParameters", "OutputLocation"] {
        if root.child(name)?.is_some() {
            let why = format!("The element {name} of RestoreRequest is not implemented.");
            return Err(Error::with(ErrorCode::NotImplemented, why));
        }
    }
    let malformed = || Error::from(ErrorCode::MalformedXml);
    let days = match root.text_of("Days")? {
        None => None,
        Some(days) => {
            let days: i64 = days.parse().map_err(|_| malformed())?;
            let valid = u32::try_from(days).ok().filter(|days| (1..=DAYS_MAX).contains(days));
            let few = || invalid("Days", &days.to_string(), "restoration days should be at least 1");
            Some(valid.ok_or_else(few)?)
        }
    };
    let mut tier = root.text_of("Tier")?;
    for name in ["CASJobParameters", "GlacierJobParameters"] {
        if let Some(parameters) = root.child(name)? {
            tier = tier.or(parameters.text_of("Tier")?);
        }
    }
    let tier = match tier {
        None => RestoreTier::Standard,
        Some(tier) => RestoreTier::parse(tier).ok_or_else(malformed)?,
    };
    Ok((days, tier))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn documents() {
        let read = |inner: &str| {
            read(format!("<RestoreRequest>{inner}</RestoreRequest>").as_bytes()).map_err(|error| error.code)
        };
        use ErrorCode::*;
        use RestoreTier::*;
        for (inner, want) in [
            ("<Days>3</Days>", Ok((Some(3), Standard))),
            ("<Days>3</Days><CASJobParameters><Tier>Bulk</Tier></CASJobParameters>", Ok((Some(3), Bulk))),
            (
                "<Days>1</Days><GlacierJobParameters><Tier>Expedited</Tier></GlacierJobParameters>",
                Ok((Some(1), Expedited)),
            ),
            ("<Days>1</Days><Tier>Bulk</Tier>", Ok((Some(1), Bulk))),
            ("", Ok((None, Standard))),
            ("<Days>x</Days>", Err(MalformedXml)),
            ("<Days>0</Days>", Err(InvalidArgument)),
            ("<Days>-1</Days>", Err(InvalidArgument)),
            ("<Days>1</Days><CASJobParameters><Tier>bulk</Tier></CASJobParameters>", Err(MalformedXml)),
            ("<Type>SELECT</Type>", Err(NotImplemented)),
        ] {
            assert_eq!(read(inner), want, "{inner}");
        }
    }
}
