//! Who may ask by a function URL that wants signed requests (scf.md 6.7): TC3 as for the Cloud API, whose headers have
//! names of their own there, `X-Scf-Cam-Timestamp` and, with a temporary key, `X-Scf-Cam-Token`.

use cosette_function::Function;
use cosette_model::{Chain, Issuer};
use http::request::Parts;

use crate::Control;
use crate::error::ApiError;
use crate::request::checked;
use crate::signature::tc3;

/// Why somebody may not ask, with the status of scf.md 6.4.
#[derive(Debug)]
pub struct UrlRefused {
    pub status: u16,
    pub message: String,
}

impl Control {
    /// Whether whoever has signed the request may ask the function; what led to it, if a function has.
    ///
    /// # Errors
    /// 401 where nobody has signed it soundly, 441 where the key may not.
    pub fn admit_to_url(
        &self,
        function: &Function,
        parts: &Parts,
        body: &[u8],
        issuer: &dyn Issuer,
    ) -> Result<Chain, UrlRefused> {
        let unknown = |error: ApiError| UrlRefused {
            status: 401,
            message: format!("{}: {}", error.code, error.message),
        };
        let times = self.parts.clock.times();
        let key = tc3::verify(parts, body, issuer, times.machine).map_err(unknown)?;
        let named = ["x-tc-token", "x-scf-cam-token"].into_iter().find_map(|name| parts.headers.get(name));
        let key = checked(key, named.and_then(|value| value.to_str().ok()), times).map_err(unknown)?;
        let Function { region, uin, namespace, name, .. } = function;
        let resource = format!("qcs::scf:{region}:uin/{uin}:namespace/{namespace}/function/{name}");
        let may = key.account.appid == function.appid
            && key.session.as_ref().is_none_or(|it| issuer.permits(it, "scf:InvokeFunctionUrl", &resource));
        if !may {
            let message = format!("the key does not allow scf:InvokeFunctionUrl on {resource}");
            return Err(UrlRefused { status: 441, message });
        }
        Ok(issuer.chain(&key.account.secret_id))
    }
}
