//! Making, changing, showing and removing functions (scf.md 3.8).

use cosette_function::{Configuration, ConfigurationPatch, Function, NewFunction, Version};
use cosette_model::Region;
use cosette_store::Tx;
use cosette_trigger::Triggers;
use serde_json::{Value, json};

use super::asynchronous;
use super::layer;
use super::letter::{self, dead_letter};
use super::{
    DEFAULT_NAMESPACE, LATEST, code, function_of, image, namespace_of, qualified, reply, time, version, web,
};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;
use crate::sts;

/// The API's own default, however old (scf.md 3.8).
const RUNTIME_DEFAULT: &str = "Python2.7";
const MEMORY_DEFAULT_MB: u32 = 128;
const TIMEOUT_DEFAULT_SECS: u32 = 3;
const INIT_TIMEOUT_DEFAULT_SECS: u32 = 65;

pub(crate) async fn create(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let name = params.needed("FunctionName")?.to_owned();
    let namespace = namespace_of(&params)?.to_owned();
    let is_published = version::is_published(&params)?;
    let (async_run, trace) = asynchronous::asked(&params)?;
    let web = web::created(&params)?;
    if async_run && web.is_some() {
        return Err(ApiError::unsupported("AsyncRunEnable of a web function (Type HTTP) is not supported"));
    }
    let image = image::read(call, &params)?;
    let runtime = params.text("Runtime")?.filter(|r| !r.is_empty());
    let runtime = match &image {
        Some(_) => image::RUNTIME,
        None => runtime
            .filter(|runtime| *runtime != image::RUNTIME)
            .or(runtime.is_none().then_some(RUNTIME_DEFAULT))
            .ok_or_else(|| ApiError::missing("ImageConfig"))?,
    };
    let configuration = Configuration {
        description: params.text("Description")?.unwrap_or_default().to_owned(),
        runtime: runtime.to_owned(),
        handler: params.text("Handler")?.unwrap_or_default().to_owned(),
        memory_mb: params.count("MemorySize")?.unwrap_or(MEMORY_DEFAULT_MB),
        timeout_secs: params.count("Timeout")?.unwrap_or(TIMEOUT_DEFAULT_SECS),
        init_timeout_secs: params.count("InitTimeout")?.unwrap_or(INIT_TIMEOUT_DEFAULT_SECS),
        environment: environment(&params)?.unwrap_or_default(),
        role: sts::role(&params)?.unwrap_or_default().to_owned(),
        retry: asynchronous::retry(async_run),
        dead_letter: asynchronous::letter(async_run, dead_letter(call, &params)?.flatten())?,
        layers: layer::layers(&params)?.unwrap_or_default(),
        tags: tags(&params)?,
        async_run,
        trace,
        web,
        image: image.as_ref().map(|(image, _)| image.clone()),
    };
    let code = match image {
        Some((_, package)) => package,
        None => code::read(call, &params).await?,
    };
    let new = NewFunction {
        namespace,
        name,
        region: call.region.to_string(),
        appid: call.account.appid.clone(),
        uin: call.account.uin.clone(),
        configuration,
        code,
    };
    let made = call.functions.create(new).await?;
    version::publish_if(is_published, call, &made).await?;
    Ok(Reply::new())
}

pub(crate) async fn update_code(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    asynchronous::unchanged(&params, &function)?;
    let is_published = version::is_published(&params)?;
    let handler = params.text("Handler")?.filter(|text| !text.is_empty()).map(str::to_owned);
    let image = image::read(call, &params)?;
    if image.is_some() != function.configuration.image.is_some() {
        let message = "code in a package cannot become an image, nor an image a package";
        return Err(ApiError::invalid_value("Code", message));
    }
    let code = match &image {
        Some((_, package)) => package.clone(),
        None => code::read(call, &params).await?,
    };
    let image = image.map(|(image, _)| image);
    let made =
        call.functions.update_code(&function, handler, image, code, call.expected_code.clone()).await?;
    version::publish_if(is_published, call, &made).await?;
    Ok(Reply::new())
}

pub(crate) async fn update_configuration(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    asynchronous::unchanged(&params, &function)?;
    let is_published = version::is_published(&params)?;
    let runtime = params.text("Runtime")?.filter(|text| !text.is_empty());
    if let Some(runtime) = runtime.filter(|runtime| *runtime != function.configuration.runtime) {
        let message = format!(
            "function {} has runtime {}, which cannot become {runtime}; delete it and create it anew",
            function.name, function.configuration.runtime
        );
        return Err(ApiError::invalid_value("Runtime", message));
    }
    let text = |name| params.text(name).map(|text| text.map(str::to_owned));
    let patch = ConfigurationPatch {
        description: text("Description")?,
        runtime: None,
        handler: text("Handler")?.filter(|text| !text.is_empty()),
        memory_mb: params.count("MemorySize")?,
        timeout_secs: params.count("Timeout")?,
        init_timeout_secs: params.count("InitTimeout")?,
        environment: environment(&params)?,
        role: sts::role(&params)?.map(str::to_owned),
        retry: None,
        dead_letter: match dead_letter(call, &params)? {
            Some(letter) => Some(asynchronous::letter(function.configuration.async_run, letter)?),
            None => None,
        },
        layers: layer::layers(&params)?,
        web: web::changed(&params, &function)?,
    };
    let made = call.functions.update_configuration(&function, patch).await?;
    version::publish_if(is_published, call, &made).await?;
    Ok(Reply::new())
}

pub(crate) async fn delete(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let qualifier = params.text("Qualifier")?.unwrap_or_default();
    match Version::parse(qualifier) {
        Some(Version::Number(number)) => return version::delete_one(call, &function, number).await,
        Some(Version::Latest) if call.functions.versions(&function.full_name())?.len() > 1 => {
            let message = format!("{LATEST} goes with the whole function; leave Qualifier out");
            return Err(ApiError::invalid_value("Qualifier", message));
        }
        None if !qualifier.is_empty() => {
            let message = format!("{qualifier} is not a version of function {}", function.name);
            return Err(ApiError::new("ResourceNotFound.Qualifier", message));
        }
        _ => {}
    }
    let gone = function.clone();
    let also = move |tx: &mut Tx<'_>| {
        super::test_model::forget(tx, &gone)?;
        Triggers::forget(tx, &gone.full_name(), None)
    };
    call.functions.delete(&function, also).await?;
    call.triggers.timers_have_changed()?;
    Ok(Reply::new())
}

pub(crate) async fn get(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let reference = qualified(call, &params, &function, LATEST)?;
    let function = call.functions.qualified(&reference)?;
    let code = match params.flag("ShowCode")? {
        Some(true) => call.functions.entry_file(&function).await?.unwrap_or_default(),
        _ => String::new(),
    };
    let triggers = match params.flag("ShowTriggers")? {
        Some(false) => Vec::new(),
        _ => super::trigger::of_function(call, &function)?,
    };
    let configuration = &function.configuration;
    let variables: Vec<Value> =
        configuration.environment.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    let mut shown = reply(json!({
        "FunctionName": function.name,
        "FunctionId": function.id,
        "Namespace": function.namespace,
        "Qualifier": reference.qualifier,
        "FunctionVersion": function.version.to_string(),
        "Runtime": configuration.runtime,
        "Handler": configuration.handler,
        "MemorySize": configuration.memory_mb,
        "Timeout": configuration.timeout_secs,
        "InitTimeout": configuration.init_timeout_secs,
        "Description": configuration.description,
        "CodeSize": function.code_size,
        "CodeInfo": code,
        "CodeResult": "success",
        "CodeError": "",
        "ErrNo": 0,
        "Environment": {"Variables": variables},
        "Role": configuration.role,
        "Status": "Active",
        "StatusDesc": function.status_desc,
        "StatusReasons": [],
        "AvailableStatus": "Available",
        "Type": web::kind(&function),
        "AddTime": time(function.created),
        "ModTime": time(function.modified),
        "Triggers": triggers,
        "Tags": shown_tags(&function),
        "Layers": layer::of_function(call, &configuration.layers)?,
    }));
    shown.extend(unused());
    shown.extend(web::shown(&function));
    shown.extend(reply(json!({"ImageConfig": image::shown(&function)})));
    shown.extend(reply(json!({"DeadLetterConfig": letter::shown(&function)})));
    shown.extend(asynchronous::shown(configuration));
    Ok(shown)
}

/// The fields of `GetFunction` for what no function here has, as one that uses nothing of it shows
/// them (scf.md 3.8).
fn unused() -> Reply {
    reply(json!({
        "VpcConfig": {"VpcId": "", "SubnetId": ""},
        "UseGpu": "FALSE",
        "InstallDependency": "FALSE",
        "ClsLogsetId": "",
        "ClsTopicId": "",
        "EipConfig": {"EipFixed": "FALSE", "Eips": []},
        "AccessInfo": {"Host": "", "Vip": ""},
        "L5Enable": "FALSE",
        "OnsEnable": "FALSE",
        "PublicNetConfig": {
            "PublicNetStatus": "ENABLE",
            "EipConfig": {"EipStatus": "DISABLE", "EipAddress": []},
        },
        "CfsConfig": {"CfsInsList": []},
        "AsyncRunEnable": "FALSE",
        "TraceEnable": "FALSE",
        "ImageConfig": null,
        "ProtocolType": "",
        "ProtocolParams": null,
        "InstanceConcurrencyConfig": null,
        "DnsCache": "FALSE",
        "IntranetConfig": {"IpFixed": "DISABLE", "IpAddress": []},
    }))
}

/// Makes a function of another's code and, if nobody says otherwise, of its settings; triggers stay with the other
/// one (scf.md 3.8).
pub(crate) async fn copy(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let source = function_of(call, &params)?;
    let target = params.text("TargetRegion")?.filter(|region| !region.is_empty());
    let region = target.map_or(Ok(call.region.clone()), Region::new);
    let region = region.map_err(|error| ApiError::invalid_value("TargetRegion", error.to_string()))?;
    let mut configuration = source.configuration.clone();
    if params.flag("CopyConfiguration")? == Some(false) {
        configuration = Configuration {
            description: String::new(),
            memory_mb: MEMORY_DEFAULT_MB,
            timeout_secs: TIMEOUT_DEFAULT_SECS,
            init_timeout_secs: INIT_TIMEOUT_DEFAULT_SECS,
            environment: Vec::new(),
            role: String::new(),
            retry: asynchronous::retry(configuration.async_run),
            dead_letter: None,
            layers: Vec::new(),
            tags: Vec::new(),
            ..configuration
        };
    }
    if let Some(description) = params.text("Description")?.filter(|text| !text.is_empty()) {
        configuration.description = description.to_owned();
    }
    let new = NewFunction {
        namespace: params
            .text("TargetNamespace")?
            .filter(|n| !n.is_empty())
            .unwrap_or(DEFAULT_NAMESPACE)
            .to_owned(),
        name: params.needed("NewFunctionName")?.to_owned(),
        region: region.to_string(),
        appid: call.account.appid.clone(),
        uin: call.account.uin.clone(),
        configuration,
        code: call.functions.zip(&source).await?,
    };
    let is_override = params.flag("Override")? == Some(true);
    call.functions.copy(new, is_override).await?;
    Ok(Reply::new())
}

pub(crate) async fn address(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    let function = call.functions.qualified(&qualified(call, &params, &function, LATEST)?)?;
    Ok(reply(json!({"Url": call.link(function.code), "CodeSha256": function.code_sha256})))
}

pub(super) fn tags(params: &Params<'_>) -> Result<Vec<(String, String)>, ApiError> {
    let tags = params.objects("Tags")?.unwrap_or_default();
    let text = |tag: &Params<'_>, name| tag.text(name).map(|text| text.unwrap_or_default().to_owned());
    tags.iter().map(|tag| Ok((text(tag, "Key")?, text(tag, "Value")?))).collect()
}

pub(super) fn shown_tags(function: &Function) -> Vec<Value> {
    let tags = function.configuration.tags.iter();
    tags.map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// `Environment.Variables`, when it is given. That one empty variable clears them all is known to the
/// registry.
fn environment(params: &Params<'_>) -> Result<Option<Vec<(String, String)>>, ApiError> {
    let Some(environment) = params.object("Environment")? else { return Ok(None) };
    let variables = environment.objects("Variables")?.unwrap_or_default();
    let mut list = Vec::new();
    for variable in variables {
        let key = variable.text("Key")?.unwrap_or_default();
        let value = variable.text("Value")?.unwrap_or_default();
        list.push((key.to_owned(), value.to_owned()));
    }
    Ok(Some(list))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn params(value: &Value) -> Params<'_> {
        Params::new(value.as_object().unwrap())
    }

    #[test]
    fn environment_is_left_or_replaced() {
        let of = |value: Value| environment(&params(&value)).unwrap();
        assert_eq!(of(json!({})), None);
        assert_eq!(of(json!({"Environment": {}})), Some(vec![]));
        assert_eq!(
            of(json!({"Environment": {"Variables": [{"Key": "A", "Value": "1"}]}})),
            Some(vec![("A".into(), "1".into())])
        );
    }
}
