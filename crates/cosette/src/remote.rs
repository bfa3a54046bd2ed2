//! Where the commands that talk to a running server find it, and whose keys they use.

use clap::Args;
use cosette_control::client::Client;
use cosette_model::Region;

use crate::serve::parse_region;

/// The namespace that nobody has to make.
const DEFAULT_NAMESPACE: &str = "default";

#[derive(Debug, Args)]
#[command(next_help_heading = "Which server")]
pub(crate) struct Remote {
    /// The server's address
    #[arg(long, env = "COSETTE_ENDPOINT", value_name = "URL", default_value = "http://127.0.0.1:9000")]
    endpoint: String,

    /// SecretId to sign with [default: the server's default account]
    #[arg(long, env = "COSETTE_SECRET_ID", value_name = "ID")]
    secret_id: Option<String>,

    /// SecretKey to sign with
    #[arg(long, env = "COSETTE_SECRET_KEY", value_name = "KEY", hide_env_values = true)]
    secret_key: Option<String>,

    /// Region of the functions
    #[arg(long, env = "COSETTE_REGION", value_name = "REGION", value_parser = parse_region,
          default_value = Region::DEFAULT)]
    region: Region,
}

impl Remote {
    pub(crate) fn client(self) -> Client {
        let known = cosette_server::default_account();
        let secret_id = self.secret_id.unwrap_or_else(|| known.secret_id.clone());
        Client {
            endpoint: self.endpoint,
            account: if secret_id == known.secret_id { String::new() } else { secret_id.clone() },
            secret_id,
            secret_key: self.secret_key.unwrap_or(known.secret_key),
            region: self.region.into_string(),
            namespace: DEFAULT_NAMESPACE.to_owned(),
        }
    }
}

/// The same of commands that are about functions.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which server")]
pub(crate) struct Scope {
    #[command(flatten)]
    remote: Remote,

    /// Namespace of the functions
    #[arg(long, env = "COSETTE_NAMESPACE", value_name = "NAME", default_value = DEFAULT_NAMESPACE)]
    namespace: String,
}

impl Scope {
    pub(crate) fn client(self) -> Client {
        Client { namespace: self.namespace, ..self.remote.client() }
    }
}
