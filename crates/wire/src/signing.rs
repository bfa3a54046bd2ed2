//! Requests of the server's own to its buckets, signed as COS's clients sign theirs.

use cosette_model::{Key, Timestamp};
use http::{HeaderValue, Request, header};
use sha1::{Digest, Sha1};

use crate::{auth, path};

/// How long a signature holds, in seconds: the request is answered in the same process.
const HOLDS: u64 = 60;

/// Signs method and path for the key. `machine` is the machine's time.
/// `None` for a path that is not UTF-8, or a key that no header can hold.
pub fn sign(request: &mut Request<()>, key: &Key, machine: Timestamp) -> Option<()> {
    let account = &key.account;
    let times = format!("{};{}", machine.as_secs(), machine.as_secs() + HOLDS);
    let method = request.method().as_str().to_ascii_lowercase();
    let path = path::decode(request.uri().path())?;
    let sign_key = hex::encode(auth::cos::hmac(account.secret_key.as_bytes(), &times));
    let hash = hex::encode(Sha1::digest(format!("{method}\n{path}\n\n\n")));
    let signature = hex::encode(auth::cos::hmac(sign_key.as_bytes(), &format!("sha1\n{times}\n{hash}\n")));
    let text = format!(
        "q-sign-algorithm=sha1&q-ak={}&q-sign-time={times}&q-key-time={times}&q-header-list=&q-url-param-list=&q-signature={signature}",
        account.secret_id
    );
    request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_str(&text).ok()?);
    if let Some(session) = &key.session {
        let token = HeaderValue::from_str(&session.token).ok()?;
        request.headers_mut().insert("x-cos-security-token", token);
    }
    Some(())
}
