//! Taking a request's body in: to disk while its digests are computed, then checked against
//! what its sender promised. Nothing is stored of a body that breaks a promise.

use std::future::poll_fn;

use cosette_model::{
    Body, BodyError, Checksum, ChecksumAlgorithm, Digests, Error, ErrorCode, Expected, Wanted,
};
use cosette_store::{Seal, Sealed, Store};

use crate::error::Result;

/// Largest body of one request, in bytes: 5 GiB on both services (cos-api 3.7).
pub(crate) const BODY_BYTES_MAX: u64 = 5 << 30;

/// A body that has been taken in, with the checksums to be stored and answered.
pub(crate) struct Taken {
    pub(crate) sealed: Sealed,
    pub(crate) checksums: Vec<Checksum>,
}

/// Receives the whole body. `also` are checksums to keep besides those the body brings; under `seal` it is
/// encrypted.
pub(crate) async fn take(
    store: &Store,
    body: Body,
    also: impl IntoIterator<Item = ChecksumAlgorithm>,
    seal: Option<Seal>,
) -> Result<Taken> {
    take_up_to(store, body, also, seal, BODY_BYTES_MAX).await
}

/// The same of a body that may have at most `max` bytes.
pub(crate) async fn take_up_to(
    store: &Store,
    body: Body,
    also: impl IntoIterator<Item = ChecksumAlgorithm>,
    seal: Option<Seal>,
    max: u64,
) -> Result<Taken> {
    let Body { mut stream, length, expected } = body;
    if length.is_some_and(|length| length > max) {
        return Err(ErrorCode::EntityTooLarge.into());
    }
    let kept = kept(&expected, also);
    let mut checksums = kept.clone();
    for (asked, algorithm) in [
        (expected.sha256.is_some(), ChecksumAlgorithm::Sha256),
        (expected.sha1.is_some(), ChecksumAlgorithm::Sha1),
    ] {
        if asked && !checksums.contains(&algorithm) {
            checksums.push(algorithm);
        }
    }
    let mut staged = store.stage_under(length, Wanted { checksums }, seal)?;
    let mut received = 0_u64;
    while let Some(chunk) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        let chunk = chunk?;
        received += chunk.len() as u64;
        if received > max {
            return Err(BodyError::TooLarge.into());
        }
        staged.write(chunk).await?;
    }
    if length.is_some_and(|length| length != received) {
        return Err(BodyError::Incomplete.into());
    }
    let mut sealed = staged.seal().await?;
    verify(&expected, &sealed.digests)?;
    // What was computed only to check a promise is not an attribute of the object.
    sealed.digests.checksums.retain(|checksum| kept.contains(&checksum.algorithm));
    let checksums = sealed.digests.checksums.clone();
    Ok(Taken { sealed, checksums })
}

fn kept(expected: &Expected, also: impl IntoIterator<Item = ChecksumAlgorithm>) -> Vec<ChecksumAlgorithm> {
    let sent = expected.checksums.iter().map(|checksum| checksum.algorithm);
    let mut kept: Vec<_> = sent.chain(expected.trailing.iter().copied()).chain(also).collect();
    kept.sort_unstable();
    kept.dedup();
    kept
}

fn verify(expected: &Expected, digests: &Digests) -> Result<()> {
    if expected.md5.is_some_and(|md5| md5 != digests.md5) {
        return Err(Error::with(
            ErrorCode::BadDigest,
            "The Content-MD5 you specified did not match what we received.",
        )
        .into());
    }
    let differs = |algorithm, value: &[u8]| digests.checksum(algorithm) != Some(value);
    if expected.sha256.is_some_and(|sha| differs(ChecksumAlgorithm::Sha256, &sha)) {
        return Err(ErrorCode::ContentSha256Mismatch.into());
    }
    if expected.sha1.is_some_and(|sha| differs(ChecksumAlgorithm::Sha1, &sha)) {
        return Err(ErrorCode::InvalidSha1Digest.into());
    }
    let trailed = expected.trailer.checksums();
    if let Some(missing) = expected.trailing.iter().find(|a| !trailed.iter().any(|c| c.algorithm == **a)) {
        return Err(Error::with(
            ErrorCode::InvalidRequest,
            format!("The announced trailer with the {} of the body did not come.", missing.name()),
        )
        .into());
    }
    match expected.checksums.iter().chain(trailed).find(|c| differs(c.algorithm, &c.value)) {
        Some(wrong) => Err(Error::with(
            ErrorCode::BadDigest,
            format!("The {} you specified did not match the calculated checksum.", wrong.algorithm.name()),
        )
        .into()),
        None => Ok(()),
    }
}
