//! `cosette verify`: whether a data directory is whole, without a server.

use std::path::PathBuf;

use clap::Args;
use cosette_server::VerifyError;

use crate::check::{Bar, show};
use crate::exit::Failure;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cosette verify .cosette           what `cosette serve` keeps when nobody says where
  cosette verify /backup/cosette && echo whole

Nothing is mended. Needs room for another index in the temporary directory. The exit status is 5
when there is damage, and 4 when a server has the directory, a newer build has written it, or it is
no data directory.")]
pub(crate) struct Verify {
    /// The data directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut bar = Bar::new();
        let verified = cosette_server::verify(&self.dir, &mut |done, total| bar.at(done, total));
        drop(bar);
        match verified {
            Ok(report) => show(&report, self.json),
            Err(VerifyError::Refused(why)) => Err(Failure::NotServed(why)),
            Err(VerifyError::Damaged(what)) => Err(Failure::Damaged(what)),
        }
    }
}
