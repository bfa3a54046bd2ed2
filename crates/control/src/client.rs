//! A small client of the Cloud API and the admin API, for the command line.

/// Where a server is and whose keys to use.
#[derive(Clone, Debug)]
pub struct Client {
    pub endpoint: String,
    pub secret_id: String,
    pub secret_key: String,
    pub region: String,
}
