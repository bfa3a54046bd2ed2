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
    DEFAULT_NAMESPACE, LATEST, Paging, code, descending, function_of, image, known_namespace, namespace_of,
    qualified, reply, sort_by_key, time, version, web,
};
use crate::Call;
use crate::action::Reply;
use crate::error::ApiError;
use crate::params::Params;
use crate::sts;

/// The API's own default, however old (scf.md 3.8).
const RUNTIME_DEFAULT: &str = "Python2.7";
const MEMORY_DEFAULT_MB: u32 = 128;
const TIMEOUT_DEFAULT_SECS: u32 = 3;
const INIT_TIMEOUT_DEFAULT_SECS: u32 = 65;

pub(crate) async fn create(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let name = params.needed("FunctionName")?.to_owned();
    let namespace = namespace_of(&params)?.to_owned();
    refuse_unsupported(&params)?;
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
    refuse_tags(&params)?;
    refuse_unsupported(&params)?;
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
    let mut made = call.functions.update_code(&function.full_name(), handler, code).await?;
    if let Some((image, _)) = image {
        let patch = ConfigurationPatch { image: Some(image), ..ConfigurationPatch::default() };
        made = call.functions.update_configuration(&function.full_name(), patch).await?;
    }
    version::publish_if(is_published, call, &made).await?;
    Ok(Reply::new())
}

pub(crate) async fn update_configuration(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let function = function_of(call, &params)?;
    refuse_tags(&params)?;
    refuse_unsupported(&params)?;
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
        image: None,
    };
    let made = call.functions.update_configuration(&function.full_name(), patch).await?;
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
    call.functions.delete(&function.full_name(), also).await?;
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
    let triggers = super::trigger::of_function(call, &function)?;
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

pub(crate) async fn list(call: &Call<'_>, params: Params<'_>) -> Result<Reply, ApiError> {
    let paging = Paging::of(&params)?;
    let filters = filters(&params)?;
    let name = params.text("SearchKey")?.unwrap_or_default();
    let description = params.text("Description")?.unwrap_or_default();
    let namespace = known_namespace(call, &params)?;
    let mut found = call.functions.list(&call.account.appid, call.region.as_str(), namespace)?;
    found.retain(|function| {
        function.name.contains(name)
            && function.configuration.description.contains(description)
            && filters
                .iter()
                .all(|(filter, values)| filter.of(function).is_some_and(|value| values.contains(&value)))
    });
    let descending = descending(&params, true)?;
    match params.text("Orderby")? {
        None | Some("" | "ModTime") => sort_by_key(&mut found, descending, |f| f.modified),
        Some("AddTime") => sort_by_key(&mut found, descending, |f| f.created),
        Some("FunctionName") => sort_by_key(&mut found, descending, |f| f.name.clone()),
        Some(other) => {
            let message = format!("Orderby {other} is not AddTime, ModTime or FunctionName");
            return Err(ApiError::invalid_value("OrderBy", message));
        }
    }
    let total = found.len();
    let page = paging.page(found).map(|function| {
        let reserved = call.functions.reserved_mb(&function.full_name())?;
        let provisioned = call.functions.provisioned_mb(&function)?;
        Ok(item(&function, reserved, (provisioned > 0).then_some(provisioned)))
    });
    let page: Vec<Value> = page.collect::<Result<_, ApiError>>()?;
    Ok(reply(json!({"Functions": page, "TotalCount": total})))
}

/// A function as lists show it (scf.md 3.7).
fn item(function: &Function, reserved_mb: Option<u64>, provisioned_mb: Option<u64>) -> Value {
    json!({
        "FunctionName": function.name,
        "FunctionId": function.id,
        "Namespace": function.namespace,
        "Runtime": function.configuration.runtime,
        "Type": web::kind(function),
        "Status": "Active",
        "StatusDesc": function.status_desc,
        "StatusReasons": [],
        "Description": function.configuration.description,
        "Tags": shown_tags(function),
        "AddTime": time(function.created),
        "ModTime": time(function.modified),
        "TotalProvisionedConcurrencyMem": provisioned_mb,
        "ReservedConcurrencyMem": reserved_mb,
        "AsyncRunEnable": asynchronous::word(function.configuration.async_run),
        "TraceEnable": asynchronous::word(function.configuration.trace),
    })
}

/// Filters of one request (scf.md 3.8).
const FILTERS_MAX: usize = 10;

/// What `ListFunctions` can be narrowed by.
#[derive(Clone, Copy)]
enum Filter<'a> {
    Runtime,
    Role,
    /// The value of a tag with this key.
    Tag(&'a str),
    AsyncRun,
    Trace,
    FunctionType,
    /// A property that is the same for every function here.
    Always(&'static str),
}

impl<'a> Filter<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        Some(match name {
            "Runtime" => Self::Runtime,
            "Role" => Self::Role,
            "Status" => Self::Always("Active"),
            "FunctionType" => Self::FunctionType,
            "PublicNetStatus" => Self::Always("ENABLE"),
            "AsyncRunEnable" => Self::AsyncRun,
            "TraceEnable" => Self::Trace,
            "VpcId" | "SubnetId" | "ClsTopicId" | "ClsLogsetId" | "CfsId" | "CfsMountInsId" | "Eip" => {
                Self::Always("")
            }
            _ => Self::Tag(name.strip_prefix("tag-")?),
        })
    }

    /// What a function has of it, if it can have it and does.
    fn of<'b>(&self, function: &'b Function) -> Option<&'b str>
    where
        'a: 'b,
    {
        Some(match self {
            Self::Runtime => &function.configuration.runtime,
            Self::Role => &function.configuration.role,
            Self::Tag(key) => {
                let tag = function.configuration.tags.iter().find(|(of, _)| of == key)?;
                &tag.1
            }
            Self::AsyncRun => asynchronous::word(function.configuration.async_run),
            Self::Trace => asynchronous::word(function.configuration.trace),
            Self::FunctionType => web::kind(function),
            Self::Always(value) => value,
        })
    }
}

fn filters<'a>(params: &Params<'a>) -> Result<Vec<(Filter<'a>, Vec<&'a str>)>, ApiError> {
    let list = params.objects("Filters")?.unwrap_or_default();
    if list.len() > FILTERS_MAX {
        return Err(ApiError::invalid_value("Filters", format!("there are more than {FILTERS_MAX} filters")));
    }
    list.iter()
        .map(|entry| {
            let name = entry.needed("Name")?;
            let filter = Filter::parse(name).ok_or_else(|| {
                ApiError::invalid_value("Filters", format!("functions cannot be filtered by {name}"))
            })?;
            Ok((filter, entry.texts("Values")?.unwrap_or_default()))
        })
        .collect()
}

pub(super) fn tags(params: &Params<'_>) -> Result<Vec<(String, String)>, ApiError> {
    let tags = params.objects("Tags")?.unwrap_or_default();
    let text = |tag: &Params<'_>, name| tag.text(name).map(|text| text.unwrap_or_default().to_owned());
    tags.iter().map(|tag| Ok((text(tag, "Key")?, text(tag, "Value")?))).collect()
}

fn shown_tags(function: &Function) -> Vec<Value> {
    let tags = function.configuration.tags.iter();
    tags.map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// Tags are set when a function is made; these actions have none.
fn refuse_tags(params: &Params<'_>) -> Result<(), ApiError> {
    match params.get("Tags") {
        Some(tags) if !asks_nothing(tags) => {
            Err(ApiError::unsupported("Tags are given to CreateFunction, and cannot be changed"))
        }
        _ => Ok(()),
    }
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

/// Settings of the public model that nothing here acts on. Asked for, they are refused, not lost;
/// fields that the model does not have are ignored (scf.md 3.1).
const UNSUPPORTED: [&str; 12] = [
    "AutoCreateClsTopic",
    "AutoDeployClsTopicIndex",
    "CfsConfig",
    "ClsLogsetId",
    "ClsTopicId",
    "DnsCache",
    "IgnoreSysLog",
    "InstallDependency",
    "IntranetConfig",
    "L5Enable",
    "PublicNetConfig",
    "VpcConfig",
];

fn refuse_unsupported(params: &Params<'_>) -> Result<(), ApiError> {
    match UNSUPPORTED.into_iter().find(|name| params.get(name).is_some_and(|value| !asks_nothing(value))) {
        Some(name) => Err(ApiError::unsupported(format!("{name} is not supported yet; leave it out"))),
        None => Ok(()),
    }
}

/// Whether a setting is the one that a function without it has: what clients send to say *none*,
/// also to take it away, such as `[{"LayerName":"","LayerVersion":0}]` (scf.md 3.8).
pub(super) fn asks_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => {
            ["", "0"].contains(&text.as_str())
                || ["FALSE", "DISABLE"].iter().any(|word| text.eq_ignore_ascii_case(word))
        }
        Value::Array(items) => items.iter().all(asks_nothing),
        // Functions reach the network of this machine, so that is what they have.
        Value::Object(fields) => fields
            .iter()
            .all(|(name, value)| asks_nothing(value) || (name == "PublicNetStatus" && value == "ENABLE")),
    }
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

    #[test]
    fn settings_that_matter_are_not_lost() {
        let code = |value: Value| refuse_unsupported(&params(&value)).map_err(|e| e.code.into_owned());
        assert_eq!(code(json!({"DiskSize": 512, "Publish": "FALSE"})), Ok(()));
        // What GetFunction shows can be sent back as it is.
        assert_eq!(code(Value::Object(unused())), Ok(()));
        let refused = Err("UnsupportedOperation".to_owned());
        for asked in [
            json!({"InstallDependency": "TRUE"}),
            json!({"VpcConfig": {"VpcId": "v", "SubnetId": ""}}),
            json!({"CfsConfig": {"CfsInsList": [{"CfsId": "c"}]}}),
            json!({"PublicNetConfig": {"PublicNetStatus": "DISABLE", "EipConfig": {"EipStatus": "ENABLE"}}}),
            json!({"ClsTopicId": "t"}),
        ] {
            assert_eq!(code(asked.clone()), refused, "{asked}");
        }
    }

    #[test]
    fn every_documented_filter_is_known() {
        for name in [
            "VpcId",
            "SubnetId",
            "ClsTopicId",
            "ClsLogsetId",
            "Role",
            "CfsId",
            "CfsMountInsId",
            "Eip",
            "Status",
            "Runtime",
            "FunctionType",
            "PublicNetStatus",
            "AsyncRunEnable",
            "TraceEnable",
            "tag-team",
        ] {
            assert!(Filter::parse(name).is_some(), "{name}");
        }
        let bad = json!({"Filters": [{"Name": "Colour", "Values": ["red"]}]});
        assert_eq!(filters(&params(&bad)).map(|_| ()).unwrap_err().code, "InvalidParameterValue.Filters");
    }
}
