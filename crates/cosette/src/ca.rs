//! `cosette ca`: whom to trust, so that one's own programs reach the server by the services' https names.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::exit::Failure;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cosette ca                                             the file's path
  HTTPS_PROXY=http://127.0.0.1:9000 SSL_CERT_FILE=$(cosette ca) ./my-program
  cosette ca --pem > authority.pem

The authority is made when it is not there, and stays the same as long as the data directory does. One
of a server with --memory ends with it: GET /_cosette/ca shows it.")]
pub(crate) struct Ca {
    /// The server's data directory
    #[arg(long, env = "COSETTE_DATA_DIR", value_name = "DIR", default_value = crate::serve::DATA_DIR)]
    data_dir: PathBuf,

    /// Print the certificate itself
    #[arg(long)]
    pem: bool,
}

impl Ca {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let authority = cosette_server::authority(Some(&self.data_dir))?;
        let mut out = std::io::stdout().lock();
        if self.pem {
            write!(out, "{}", authority.pem())?;
        } else {
            let path = self.data_dir.join("ca").join(cosette_server::CERTIFICATE).canonicalize()?;
            writeln!(out, "{}", path.display())?;
        }
        Ok(out.flush()?)
    }
}
