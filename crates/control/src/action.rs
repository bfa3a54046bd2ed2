//! The table of actions: what the API is known to have, and what of it is done here. The docs'
//! table is made of it, and requests are routed by it.

use std::future::Future;
use std::pin::Pin;

use crate::call::Call;
use crate::cdn;
use crate::error::ApiError;
use crate::params::Params;
use crate::reply::Reply;
use crate::scf::{
    account, alias, async_event, concurrency, domain, function, function_list, invocation, layer, log,
    namespace, provisioned, retry, test_model, trigger, version,
};
use crate::sts;

pub(crate) type Handler = for<'a> fn(
    &'a Call<'a>,
    Params<'a>,
) -> Pin<Box<dyn Future<Output = Result<Reply, ApiError>> + Send + 'a>>;

/// One action of one service.
pub struct Action {
    pub name: &'static str,
    pub service: &'static str,
    pub version: &'static str,
    /// One line for people.
    pub summary: &'static str,
    pub(crate) handler: Option<Handler>,
}

impl Action {
    /// Whether it does its work; an action that does not answers `UnsupportedOperation`.
    pub fn supported(&self) -> bool {
        self.handler.is_some()
    }
}

/// Which row a request is for.
pub(crate) fn find(action: &str, version: &str) -> Result<&'static Action, ApiError> {
    let row = ACTIONS.iter().find(|row| row.name == action).ok_or_else(|| {
        ApiError::new("InvalidAction", format!("the action {action} of version {version} is not known here"))
    })?;
    if row.version != version {
        let message = format!("{} has version {}, not {version}", row.service, row.version);
        return Err(ApiError::new("NoSuchVersion", message));
    }
    Ok(row)
}

macro_rules! actions {
    ($($service:literal $version:literal
     supported { $($name:ident $summary:literal => $handler:path;)* }
     unsupported { $($other:ident $what:literal;)* })*) => {
        /// Every action known, each under its service and version.
        pub const ACTIONS: &[Action] = &[$(
            $(Action {
                name: stringify!($name),
                service: $service,
                version: $version,
                summary: $summary,
                handler: Some(|call, params| Box::pin($handler(call, params))),
            },)*
            $(Action {
                name: stringify!($other),
                service: $service,
                version: $version,
                summary: $what,
                handler: None,
            },)*
        )*];
    };
}

actions! {
    "scf" "2018-04-16"
    supported {
        CreateFunction "Make a function from a zip or a COS object" => function::create;
        UpdateFunctionCode "Replace a function's code" => function::update_code;
        UpdateFunctionConfiguration "Change a function's settings" => function::update_configuration;
        GetFunction "All about a function, with its triggers and code" => function::get;
        ListFunctions "Functions of a namespace" => function_list::list;
        DeleteFunction "Remove a function and its triggers" => function::delete;
        Invoke "Run a function, waiting for it or not" => invocation::invoke;
        InvokeFunction "Run a function and wait for it" => invocation::invoke_function;
        GetRequestStatus "What became of one invocation" => log::request_status;
        GetFunctionLogs "Invocations with their results and logs" => log::function_logs;
        CreateTrigger "Let a bucket's events, a timer or requests run a function" => trigger::create;
        ListTriggers "Triggers of a function" => trigger::list;
        UpdateTrigger "Change a timer or a function URL" => trigger::update;
        UpdateTriggerStatus "Switch a trigger on or off" => trigger::update_status;
        DeleteTrigger "Remove a trigger" => trigger::delete;
        GetFunctionEventInvokeConfig "How asynchronous events are retried" => retry::get;
        UpdateFunctionEventInvokeConfig "Change how asynchronous events are retried" => retry::update;
        CopyFunction "Make a function of another's code and settings" => function::copy;
        GetFunctionAddress "Where a function's code can be fetched" => function::address;
        PublishLayerVersion "Make a layer's next version" => layer::publish;
        GetLayerVersion "A layer's version, and where it can be fetched" => layer::get;
        ListLayers "The latest version of each layer" => layer::list;
        ListLayerVersions "Versions of a layer" => layer::list_versions;
        DeleteLayerVersion "Remove a layer's version that no function has" => layer::delete;
        ListAsyncEvents "Asynchronous events of a function" => async_event::list;
        GetAsyncEventStatus "State of an asynchronous event" => async_event::status;
        TerminateAsyncEvent "Stop an asynchronous event" => async_event::terminate;
        CreateFunctionTestModel "Save a test event" => test_model::create;
        UpdateFunctionTestModel "Change a test event" => test_model::update;
        GetFunctionTestModel "A test event" => test_model::get;
        ListFunctionTestModels "Test events of a function" => test_model::list;
        DeleteFunctionTestModel "Remove a test event" => test_model::delete;
        PublishVersion "Freeze `$LATEST` as the next version" => version::publish;
        ListVersionByFunction "Versions of a function" => version::list;
        DeleteFunctionVersion "Remove a version and its triggers" => version::delete;
        CreateAlias "Name a version, and another for a part of the calls" => alias::create;
        UpdateAlias "Change an alias" => alias::update;
        GetAlias "An alias" => alias::get;
        ListAliases "Aliases of a function" => alias::list;
        DeleteAlias "Remove an alias and its triggers" => alias::delete;
        PutReservedConcurrencyConfig "Set how much memory one function may have at once" => concurrency::put_reserved;
        GetReservedConcurrencyConfig "How much memory one function may have at once" => concurrency::get_reserved;
        DeleteReservedConcurrencyConfig "Let a function share what is left" => concurrency::delete_reserved;
        PutTotalConcurrencyConfig "Set how much memory all functions may have at once" => concurrency::put_total;
        PutProvisionedConcurrencyConfig "Keep so many instances of a version ready" => provisioned::put;
        GetProvisionedConcurrencyConfig "Which instances are kept ready" => provisioned::get;
        DeleteProvisionedConcurrencyConfig "Keep no instance of a version ready" => provisioned::delete;
        CreateNamespace "Make a namespace" => namespace::create;
        UpdateNamespace "Change a namespace's description" => namespace::update;
        ListNamespaces "Namespaces of the region" => namespace::list;
        DeleteNamespace "Remove a namespace that has no functions" => namespace::delete;
        CreateCustomDomain "Let a domain's paths lead to functions" => domain::create;
        UpdateCustomDomain "Change where a domain's paths lead" => domain::update;
        GetCustomDomain "A domain" => domain::get;
        ListCustomDomains "Domains of the region" => domain::list;
        DeleteCustomDomain "Remove a domain" => domain::delete;
        GetAccount "What an account has in the region, and may have" => account::get;
    }
    unsupported {
        GetDemoAddress "Where a template's code is";
        GetTempCosInfo "A place to upload code to";
    }
    "sts" "2018-08-13"
    supported {
        AssumeRole "A temporary key of a role" => sts::assume_role;
        GetCallerIdentity "Whose key has signed" => sts::caller;
        GetFederationToken "A temporary key that may do what a policy says" => sts::federation_token;
        GetSessionToken "A temporary key of the account's own" => sts::session_token;
    }
    unsupported {
        AssumeRoleWithSAML "A temporary key for whom a SAML provider vouches";
        AssumeRoleWithWebIdentity "A temporary key for whom an OIDC provider vouches";
        QueryApiKey "The keys of a user";
    }
    "cdn" "2018-06-06"
    supported {
        AddCdnDomain "Make a domain with a bucket behind it" => cdn::domain::add;
        UpdateDomainConfig "Change a domain" => cdn::domain::update;
        DescribeDomains "Domains" => cdn::domain::list;
        DescribeDomainsConfig "Domains, with their settings" => cdn::domain::configs;
        StartCdnDomain "Serve a domain again" => cdn::domain::start;
        StopCdnDomain "Serve a domain no more" => cdn::domain::stop;
        DeleteCdnDomain "Remove a domain that is stopped" => cdn::domain::delete;
        PurgeUrlsCache "Let the edge forget URLs" => cdn::task::purge_urls;
        PurgePathCache "Let the edge forget, or check, what is in a folder" => cdn::task::purge_paths;
        PushUrlsCache "Let the edge fetch URLs before anybody asks for them" => cdn::task::push;
        DescribePurgeTasks "What was purged" => cdn::task::purge_tasks;
        DescribePushTasks "What was prefetched" => cdn::task::push_tasks;
        DescribePurgeQuota "How much may still be purged today" => cdn::task::purge_quota;
        DescribePushQuota "How much may still be prefetched today" => cdn::task::push_quota;
    }
    unsupported {
        AddCLSTopicDomains "Log more domains";
        CreateClsLogTopic "Make a log topic";
        CreateEdgePackTask "Package an app at the edge";
        CreateVerifyRecord "A record that proves whose a domain is";
        DeleteClsLogTopic "Remove a log topic";
        DescribeBillingData "What is charged";
        DescribeCdnData "Figures of requests";
        DescribeCdnDomainLogs "Logs of a domain";
        DescribeCdnIp "Whether an address is the CDN's";
        DescribeCdnOriginIp "Addresses that ask origins";
        DescribeCertDomains "Domains of a certificate";
        DescribeDistrictIspData "Figures by place and provider";
        DescribeEdgePackTaskStatus "State of packaging";
        DescribeHttpsPackages "Packages of https requests";
        DescribeImageConfig "How images are made smaller";
        DescribeIpStatus "State of the CDN's nodes";
        DescribeIpVisit "How many clients there were";
        DescribeMapInfo "Names of places";
        DescribeOriginData "Figures of requests to origins";
        DescribePayType "How is paid";
        DescribeReportData "Reports";
        DescribeTopData "What is asked for most";
        DescribeTrafficPackages "Packages of traffic";
        DescribeUrlViolations "URLs that break rules";
        DisableClsLogTopic "Stop a log topic";
        DuplicateDomainConfig "Make a domain like another";
        EnableClsLogTopic "Start a log topic";
        ListClsLogTopics "Log topics";
        ListClsTopicDomains "Domains of a log topic";
        ListTopClsLogData "What logs tell of most";
        ListTopData "What is asked for most";
        ManageClsTopicDomains "Set the domains of a log topic";
        ModifyDomainConfig "Change one setting of a domain";
        ModifyPurgeFetchTaskStatus "Tell of a scheduled task";
        SearchClsLog "Search logs";
        UpdateImageConfig "Set how images are made smaller";
        UpdatePayType "Set how is paid";
        VerifyDomainRecord "Prove whose a domain is";
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_whole_public_api_is_known() {
        let names: HashSet<&str> = ACTIONS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ACTIONS.len(), "an action is listed twice");
        // 52 public ones and 7 of the console (scf.md 3.5).
        assert_eq!(ACTIONS.iter().filter(|row| row.service == "scf").count(), 59);
        assert_eq!(ACTIONS.iter().filter(|row| row.service == "sts").count(), 7);
        // Those of the official SDK for Python.
        assert_eq!(ACTIONS.iter().filter(|row| row.service == "cdn").count(), 52);
    }

    #[test]
    fn unknown_actions_and_versions_are_told_apart() {
        assert_eq!(find("ListFunctions", "2018-04-16").unwrap().name, "ListFunctions");
        let code = |action, version| find(action, version).map(|_| ()).unwrap_err().code;
        assert_eq!(code("ListFunctions", "2017-01-01"), "NoSuchVersion");
        assert_eq!(code("listfunctions", "2018-04-16"), "InvalidAction");
        assert_eq!(find("PurgeUrlsCache", "2018-06-06").unwrap().service, "cdn");
        assert_eq!(find("AssumeRole", "2018-08-13").unwrap().service, "sts");
        assert_eq!(code("AssumeRole", "2018-04-16"), "NoSuchVersion");
    }

    /// The tables between the marks of the pages. To renew it: `COSETTE_RENEW_DOCS=1 cargo test
    /// -p cosette-control`.
    #[test]
    fn the_documented_table_is_this_one() {
        for (service, page) in [("scf", "scf-api.md"), ("sts", "access.md"), ("cdn", "cdn.md")] {
            let file = format!("{}/../../docs/{page}", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&file).unwrap();
            let (begin, end) = ("<!-- actions: made from the code -->\n", "<!-- /actions -->");
            let (head, rest) = text.split_once(begin).unwrap();
            let (found, tail) = rest.split_once(end).unwrap();
            let want = table(service);
            if found != want && std::env::var_os("COSETTE_RENEW_DOCS").is_some() {
                std::fs::write(file, format!("{head}{begin}{want}{end}{tail}")).unwrap();
                continue;
            }
            assert_eq!(found, want, "docs/{page} is not what the table of actions says");
        }
    }

    fn table(service: &str) -> String {
        let mut text = String::from("\n| Action | | What it does |\n| --- | --- | --- |\n");
        for row in ACTIONS.iter().filter(|row| row.service == service) {
            let mark = if row.supported() { "works" } else { "`UnsupportedOperation`" };
            text.push_str(&format!("| {} | {mark} | {} |\n", row.name, row.summary));
        }
        text.push('\n');
        text
    }
}
