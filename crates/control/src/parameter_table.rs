//! What [`crate::parameters`] is about, row by row: the parameters of the official models (SDK for Python), and
//! `ShowTriggers`, which the Serverless component sends besides (scf.md 3.1).

use crate::parameters::Parameters;

/// Every action that works.
pub(crate) const TABLE: &[Parameters] = &[
    row(
        "CreateFunction",
        "FunctionName Code.CosBucketName Code.CosObjectName Code.ZipFile Code.CosBucketRegion \
                Code.ImageConfig.ImageType Code.ImageConfig.ImageUri Code.ImageConfig.RegistryId \
                Code.ImageConfig.ImagePort Handler Description MemorySize Timeout Environment.Variables.Key \
                Environment.Variables.Value Runtime Namespace Role Type CodeSource Layers.LayerName \
                Layers.LayerVersion DeadLetterConfig.Type DeadLetterConfig.Name InitTimeout Tags.Key Tags.Value \
                AsyncRunEnable TraceEnable ProtocolType ProtocolParams.WSParams.IdleTimeOut \
                InstanceConcurrencyConfig.DynamicEnabled InstanceConcurrencyConfig.MaxConcurrency \
                InstanceConcurrencyConfig.Type Publish",
        "Code.DemoId Code.TempCosObjectName Code.GitUrl Code.GitUserName Code.GitPassword \
                Code.GitPasswordSecret Code.GitBranch Code.GitDirectory Code.GitCommitId Code.GitUserNameSecret \
                Code.ImageConfig.EntryPoint Code.ImageConfig.Command Code.ImageConfig.Args \
                Code.ImageConfig.ContainerImageAccelerate VpcConfig InstallDependency ClsLogsetId ClsTopicId \
                DeadLetterConfig.FilterType PublicNetConfig CfsConfig AutoDeployClsTopicIndex \
                AutoCreateClsTopic InstanceConcurrencyConfig.InstanceIsolationEnabled \
                InstanceConcurrencyConfig.MixNodeConfig InstanceConcurrencyConfig.SessionConfig DnsCache \
                IntranetConfig L5Enable IgnoreSysLog",
    ),
    row(
        "UpdateFunctionCode",
        "FunctionName Handler CosBucketName CosObjectName ZipFile Namespace CosBucketRegion Publish \
                Code.CosBucketName Code.CosObjectName Code.ZipFile Code.CosBucketRegion \
                Code.ImageConfig.ImageType Code.ImageConfig.ImageUri Code.ImageConfig.RegistryId \
                Code.ImageConfig.ImagePort CodeSource AsyncRunEnable TraceEnable",
        "InstallDependency EnvId Code.DemoId Code.TempCosObjectName Code.GitUrl Code.GitUserName \
                Code.GitPassword Code.GitPasswordSecret Code.GitBranch Code.GitDirectory Code.GitCommitId \
                Code.GitUserNameSecret Code.ImageConfig.EntryPoint Code.ImageConfig.Command \
                Code.ImageConfig.Args Code.ImageConfig.ContainerImageAccelerate Tags",
    ),
    row(
        "UpdateFunctionConfiguration",
        "FunctionName Description MemorySize Timeout Runtime Environment.Variables.Key \
                Environment.Variables.Value Namespace Role Publish Layers.LayerName Layers.LayerVersion \
                DeadLetterConfig.Type DeadLetterConfig.Name InitTimeout ProtocolParams.WSParams.IdleTimeOut \
                InstanceConcurrencyConfig.DynamicEnabled InstanceConcurrencyConfig.MaxConcurrency \
                InstanceConcurrencyConfig.Type Handler AsyncRunEnable TraceEnable ProtocolType",
        "VpcConfig InstallDependency ClsLogsetId ClsTopicId L5Enable DeadLetterConfig.FilterType \
                PublicNetConfig CfsConfig InstanceConcurrencyConfig.InstanceIsolationEnabled \
                InstanceConcurrencyConfig.MixNodeConfig InstanceConcurrencyConfig.SessionConfig DnsCache \
                IntranetConfig IgnoreSysLog Tags",
    ),
    row("GetFunction", "FunctionName Qualifier Namespace ShowCode ShowTriggers", ""),
    row(
        "ListFunctions",
        "Order Orderby Offset Limit SearchKey Namespace Description Filters.Name Filters.Values",
        "",
    ),
    row("DeleteFunction", "FunctionName Namespace Qualifier", ""),
    row("Invoke", "FunctionName InvocationType Qualifier ClientContext LogType Namespace RoutingKey", ""),
    row("InvokeFunction", "FunctionName Qualifier Event LogType Namespace RoutingKey", ""),
    row("GetRequestStatus", "FunctionName FunctionRequestId Namespace StartTime EndTime", ""),
    row(
        "GetFunctionLogs",
        "FunctionName Offset Limit Order OrderBy Filter.RetCode Namespace Qualifier FunctionRequestId \
                StartTime EndTime",
        "SearchContext",
    ),
    row(
        "CreateTrigger",
        "FunctionName TriggerName Type TriggerDesc Namespace Qualifier Enable CustomArgument Description",
        "",
    ),
    row("ListTriggers", "FunctionName Namespace Offset Limit OrderBy Order Filters.Name Filters.Values", ""),
    row(
        "UpdateTrigger",
        "FunctionName TriggerName Type Enable Qualifier Namespace TriggerDesc Description CustomArgument",
        "",
    ),
    row("UpdateTriggerStatus", "Enable FunctionName TriggerName Type Qualifier Namespace TriggerDesc", ""),
    row("DeleteTrigger", "FunctionName TriggerName Type Namespace TriggerDesc Qualifier", ""),
    row("GetFunctionEventInvokeConfig", "FunctionName Namespace Qualifier", ""),
    row(
        "UpdateFunctionEventInvokeConfig",
        "AsyncTriggerConfig.RetryConfig.RetryNum AsyncTriggerConfig.MsgTTL FunctionName Namespace",
        "",
    ),
    row(
        "CopyFunction",
        "FunctionName NewFunctionName Namespace TargetNamespace Description TargetRegion Override \
                CopyConfiguration",
        "",
    ),
    row("GetFunctionAddress", "FunctionName Qualifier Namespace", ""),
    row(
        "PublishLayerVersion",
        "LayerName CompatibleRuntimes Content.CosBucketName Content.CosObjectName Content.ZipFile \
                Content.CosBucketRegion Description LicenseInfo",
        "Content.DemoId Content.TempCosObjectName Content.GitUrl Content.GitUserName Content.GitPassword \
                Content.GitPasswordSecret Content.GitBranch Content.GitDirectory Content.GitCommitId \
                Content.GitUserNameSecret Content.ImageConfig Tags",
    ),
    row("GetLayerVersion", "LayerName LayerVersion", ""),
    row("ListLayers", "CompatibleRuntime Offset Limit SearchKey", ""),
    row("ListLayerVersions", "LayerName CompatibleRuntime", ""),
    row("DeleteLayerVersion", "LayerName LayerVersion", ""),
    row(
        "ListAsyncEvents",
        "FunctionName Namespace Qualifier InvokeType Status StartTimeInterval.Start \
                StartTimeInterval.End EndTimeInterval.Start EndTimeInterval.End Order Orderby Offset Limit \
                InvokeRequestId",
        "",
    ),
    row("GetAsyncEventStatus", "InvokeRequestId", ""),
    row("TerminateAsyncEvent", "FunctionName InvokeRequestId Namespace GraceShutdown", ""),
    row("CreateFunctionTestModel", "FunctionName Namespace TestModelName TestModelValue", ""),
    row("UpdateFunctionTestModel", "FunctionName Namespace TestModelName TestModelValue", ""),
    row("GetFunctionTestModel", "FunctionName Namespace TestModelName", ""),
    row("ListFunctionTestModels", "FunctionName Namespace", ""),
    row("DeleteFunctionTestModel", "FunctionName Namespace TestModelName", ""),
    row("PublishVersion", "FunctionName Description Namespace", ""),
    row("ListVersionByFunction", "FunctionName Namespace Offset Limit Order OrderBy", ""),
    row("DeleteFunctionVersion", "FunctionName Qualifier Namespace", "ForceDelete"),
    row(
        "CreateAlias UpdateAlias",
        "FunctionName Name FunctionVersion Namespace RoutingConfig.AdditionalVersionWeights.Version \
                RoutingConfig.AdditionalVersionWeights.Weight RoutingConfig.AddtionVersionMatchs.Version \
                RoutingConfig.AddtionVersionMatchs.Key RoutingConfig.AddtionVersionMatchs.Method \
                RoutingConfig.AddtionVersionMatchs.Expression Description",
        "",
    ),
    row("GetAlias", "FunctionName Name Namespace", ""),
    row("ListAliases", "FunctionName Namespace FunctionVersion Offset Limit", ""),
    row("DeleteAlias", "FunctionName Name Namespace", ""),
    row("PutReservedConcurrencyConfig", "FunctionName ReservedConcurrencyMem Namespace", ""),
    row("GetReservedConcurrencyConfig", "FunctionName Namespace", ""),
    row("DeleteReservedConcurrencyConfig", "FunctionName Namespace", ""),
    row("PutTotalConcurrencyConfig", "TotalConcurrencyMem Namespace", ""),
    row(
        "PutProvisionedConcurrencyConfig",
        "FunctionName Qualifier VersionProvisionedConcurrencyNum Namespace ProvisionedType \
                TrackingTarget MinCapacity MaxCapacity TriggerActions.TriggerName \
                TriggerActions.TriggerProvisionedConcurrencyNum TriggerActions.TriggerCronConfig \
                TriggerActions.ProvisionedType",
        "",
    ),
    row("GetProvisionedConcurrencyConfig", "FunctionName Namespace Qualifier", ""),
    row("DeleteProvisionedConcurrencyConfig", "FunctionName Qualifier Namespace", ""),
    row("CreateNamespace", "Namespace Description", "ResourceEnv"),
    row("UpdateNamespace", "Namespace Description", ""),
    row("ListNamespaces", "Limit Offset Orderby Order SearchKey.Key SearchKey.Value", ""),
    row("DeleteNamespace", "Namespace", ""),
    row("GetAccount", "", ""),
    row(
        "CreateCustomDomain",
        "Domain Protocol EndpointsConfig.Namespace EndpointsConfig.FunctionName EndpointsConfig.Qualifier \
        EndpointsConfig.PathMatch EndpointsConfig.PathRewrite.Path EndpointsConfig.PathRewrite.Type \
        EndpointsConfig.PathRewrite.Rewrite \
        CertConfig.CertificateId WafConfig.WafOpen Tags.Key Tags.Value",
        "WafConfig.WafInstanceId",
    ),
    row(
        "UpdateCustomDomain",
        "Domain Protocol EndpointsConfig.Namespace EndpointsConfig.FunctionName EndpointsConfig.Qualifier \
        EndpointsConfig.PathMatch EndpointsConfig.PathRewrite.Path EndpointsConfig.PathRewrite.Type \
        EndpointsConfig.PathRewrite.Rewrite \
        CertConfig.CertificateId WafConfig.WafOpen",
        "WafConfig.WafInstanceId",
    ),
    row("GetCustomDomain", "Domain", ""),
    row("ListCustomDomains", "Offset Limit OrderBy Order", "Filters"),
    row("DeleteCustomDomain", "Domain", ""),
    row(
        "AssumeRole",
        "RoleArn RoleSessionName DurationSeconds Policy SerialNumber TokenCode",
        "ExternalId Tags SourceIdentity",
    ),
    row("GetCallerIdentity", "", ""),
    row("GetFederationToken", "Name Policy DurationSeconds", ""),
    row("GetSessionToken", "SerialNumber TokenCode DurationSeconds", ""),
    row("AddCdnDomain", "*", ""),
    row("UpdateDomainConfig", "*", ""),
    row("DescribeDomains", "Offset Limit Filters.Name Filters.Value Filters.Fuzzy", ""),
    row("DescribeDomainsConfig", "Offset Limit Filters.Name Filters.Value Filters.Fuzzy", "Sort"),
    row("StartCdnDomain", "Domain", ""),
    row("StopCdnDomain", "Domain", ""),
    row("DeleteCdnDomain", "Domain", ""),
    row("PurgeUrlsCache", "Urls Area UrlEncode", ""),
    row("PurgePathCache", "Paths FlushType UrlEncode Area", ""),
    row(
        "PushUrlsCache",
        "Urls UserAgent Area Layer Headers.Name Headers.Value UrlEncode",
        "ParseM3U8 DisableRange",
    ),
    row("DescribePurgeTasks", "PurgeType StartTime EndTime TaskId Offset Limit Keyword Status Area", ""),
    row("DescribePushTasks", "StartTime EndTime TaskId Keyword Offset Limit Area Status", ""),
    row("DescribePurgeQuota", "", ""),
    row("DescribePushQuota", "", ""),
];

const fn row(actions: &'static str, taken: &'static str, refused: &'static str) -> Parameters {
    Parameters { actions, taken, refused }
}
