//! Functions of images. There is nothing here that runs images; a command of this machine may stand for one
//! (`serve --image`), and is started in its place.

use bytes::Bytes;
use cosette_function::{Function, Image, image_package};
use serde_json::{Value, json};

use super::web::PORT;
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;

/// The runtime that such functions are said to have (scf.md 5.1).
pub(super) const RUNTIME: &str = "CustomImage";

/// What a request's `Code` says of an image, and the package that stands for it.
pub(super) fn read(call: &Call<'_>, params: &Params<'_>) -> Result<Option<(Image, Bytes)>, ApiError> {
    let Some(code) = params.object("Code")? else { return Ok(None) };
    let Some(config) = code.object("ImageConfig")? else { return Ok(None) };
    let text = |name| config.text(name).map(|text| text.unwrap_or_default().to_owned());
    let image = Image { kind: text("ImageType")?, uri: text("ImageUri")?, registry: text("RegistryId")? };
    if image.uri.is_empty() {
        return Err(ApiError::missing("ImageUri"));
    }
    if let Some(port) = config.count::<i32>("ImagePort")?.filter(|port| *port != i32::from(PORT)) {
        return Err(ApiError::unsupported(format!("ImagePort {port} is not supported; {PORT} is")));
    }
    let named = |name: &str| names(&image.uri).any(|one| one == name);
    let Some((_, command)) = call.images.iter().find(|(name, _)| named(name)) else {
        let message = format!(
            "nothing here runs images, and no command stands for {}: serve --image {}=COMMAND names one",
            image.uri,
            names(&image.uri).last().unwrap_or_default()
        );
        return Err(ApiError::unsupported(message));
    };
    let package = image_package(command)?;
    Ok(Some((image, package)))
}

/// By which an image may be meant: its URI; that without its tag and digest; and the last part of this.
fn names(uri: &str) -> impl Iterator<Item = &str> {
    let bare = uri.split('@').next().unwrap_or(uri);
    let bare = match bare.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') => before,
        _ => bare,
    };
    [uri, bare, bare.rsplit('/').next().unwrap_or(bare)].into_iter()
}

/// The `ImageConfig` of answers.
pub(super) fn shown(function: &Function) -> Value {
    match &function.configuration.image {
        Some(Image { kind, uri, registry }) => {
            json!({"ImageType": kind, "ImageUri": uri, "RegistryId": registry, "ImagePort": PORT})
        }
        None => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_short_names() {
        let of = |uri| names(uri).collect::<Vec<_>>();
        let whole = "ccr.ccs.tencentyun.com/team/app:v1@sha256:0a";
        assert_eq!(of(whole), [whole, "ccr.ccs.tencentyun.com/team/app", "app"]);
        assert_eq!(of("localhost:5000/app"), ["localhost:5000/app", "localhost:5000/app", "app"]);
        assert_eq!(of("app"), ["app"; 3]);
    }
}
