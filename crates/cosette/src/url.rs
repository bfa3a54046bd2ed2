//! `cosette function url`: where a function is asked by HTTP.

use std::io::Write;

use clap::{Args, ValueEnum};
use cosette_control::client::Client;
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::goal::QUALIFIER;
use crate::remote::Scope;

/// What the trigger is called.
const NAME: &str = "url";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  curl \"$(cosette function url hello)?name=Ada\"
  cosette function url hello --auth cam
  cosette function url hello --delete

The first call makes the URL, if there is none. It goes to standard output; the names by which
browsers and functions find it go to standard error.")]
pub(crate) struct Url {
    /// The function's name
    name: String,

    /// Who may ask: anybody, or whoever signs as for the Cloud API [default: none for a new one]
    #[arg(long, value_name = "AUTH", conflicts_with = "delete")]
    auth: Option<Auth>,

    /// The version or alias that it leads to
    #[arg(long, value_name = "NAME", default_value = QUALIFIER)]
    qualifier: String,

    /// Take it away
    #[arg(long)]
    delete: bool,

    /// Print the trigger, as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    scope: Scope,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Auth {
    None,
    Cam,
}

impl Url {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.scope.client();
        let found = find(&client, &self.name, &self.qualifier).await?;
        if self.delete {
            let Some(trigger) = found else {
                return Err(Failure::Failed(format!("function {} has no URL", self.name)));
            };
            let mut which = json!({"FunctionName": self.name, "Type": "http"});
            for field in ["TriggerName", "Qualifier"] {
                which[field] = trigger[field].clone();
            }
            client.call("DeleteTrigger", &which).await?;
            eprintln!("deleted the URL of function {}", self.name);
            return Ok(());
        }
        let trigger = ensure(&client, &self.name, &self.qualifier, found, self.auth).await?;
        if self.json {
            let mut out = std::io::stdout().lock();
            writeln!(out, "{trigger}")?;
            return Ok(out.flush()?);
        }
        show(&client, &trigger)
    }
}

/// The URL of a function that was deployed: made, if it has none, and shown.
pub(crate) async fn deployed(client: &Client, function: &str) -> Result<(), Failure> {
    let found = find(client, function, QUALIFIER).await?;
    let trigger = ensure(client, function, QUALIFIER, found, None).await?;
    show(client, &trigger)
}

async fn find(client: &Client, function: &str, qualifier: &str) -> Result<Option<Value>, Failure> {
    let ask = json!({
        "FunctionName": function,
        "Limit": 1000,
        "Filters": [{"Name": "Qualifier", "Values": [qualifier]}],
    });
    let listed = client.call("ListTriggers", &ask).await?;
    let triggers = listed.get("Triggers").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(triggers.into_iter().find(|trigger| trigger["Type"] == "http"))
}

/// The trigger as it is to be: there, open, and with the authorization that is asked for.
async fn ensure(
    client: &Client,
    function: &str,
    qualifier: &str,
    found: Option<Value>,
    auth: Option<Auth>,
) -> Result<Value, Failure> {
    let auth = auth.map(|auth| match auth {
        Auth::None => "NONE",
        Auth::Cam => "CAM",
    });
    let (action, mut ask, mut desc) = match found {
        Some(trigger) if auth.is_none() && trigger["Enable"] == 1 => return Ok(trigger),
        Some(trigger) => {
            let ask = json!({"TriggerName": trigger["TriggerName"]});
            ("UpdateTrigger", ask, json!({}))
        }
        None => {
            let net = json!({"EnableIntranet": true, "EnableExtranet": true});
            ("CreateTrigger", json!({"TriggerName": NAME}), json!({"AuthType": "NONE", "NetConfig": net}))
        }
    };
    if let Some(auth) = auth {
        desc["AuthType"] = auth.into();
    }
    for (name, value) in [
        ("FunctionName", function),
        ("Type", "http"),
        ("Qualifier", qualifier),
        ("Enable", "OPEN"),
        ("TriggerDesc", &desc.to_string()),
    ] {
        ask[name] = value.into();
    }
    let made = client.call(action, &ask).await?;
    Ok(made.get("TriggerInfo").cloned().unwrap_or_default())
}

fn show(client: &Client, trigger: &Value) -> Result<(), Failure> {
    let text = trigger["TriggerDesc"].as_str().unwrap_or_default();
    let desc: Value = serde_json::from_str(text).unwrap_or_default();
    let cloud = ["ExtranetUrl", "IntranetUrl"].into_iter().find_map(|name| desc["NetConfig"][name].as_str());
    let id = cloud.and_then(|url| url.split('.').next()?.rsplit_once('-')).map(|(_, id)| id);
    let (Some(cloud), Some(id)) = (cloud, id) else {
        return Err(Failure::Failed(
            "the URL is open to nobody: neither inside of the cloud nor outside".into(),
        ));
    };
    let endpoint = client.endpoint.trim_end_matches('/');
    let port = endpoint.rsplit_once(':').map(|(_, port)| port).filter(|port| port.parse::<u16>().is_ok());
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    eprintln!("in a browser: http://{id}.scf.localhost{port}/");
    eprintln!("in functions: {cloud}/");
    let mut out = std::io::stdout().lock();
    writeln!(out, "{endpoint}/_cosette/url/{id}/")?;
    Ok(out.flush()?)
}
