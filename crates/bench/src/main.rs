//! `cosette-bench`: bare servers to compare with, and a load that signs as COS clients do.
//!
//! `scripts/bench` runs them in turn, in one run, on loopback. Every load is bounded in count.

mod load;
mod peer;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A hyper server that answers every request with the same bytes.
    Bare {
        /// Bytes of the answer to a GET.
        #[arg(long, default_value_t = 4096)]
        size: usize,
    },
    /// A hyper server that hashes each body and appends it to one file, one sync for all that wait.
    Floor {
        #[arg(long)]
        file: PathBuf,
    },
    /// Sends requests and prints one line: requests per second and latencies.
    Load {
        #[arg(long)]
        server: SocketAddr,
        #[arg(long, value_enum)]
        what: What,
        #[arg(long, default_value_t = 32)]
        clients: usize,
        #[arg(long, default_value_t = 20_000)]
        requests: usize,
        /// Bytes of each body.
        #[arg(long, default_value_t = 4096)]
        size: usize,
        #[arg(long, default_value = "bench-1250000000")]
        bucket: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// PUT of the bucket, once.
    Bucket,
    Put,
    Get,
    Head,
    Delete,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    match Args::parse().command {
        Command::Bare { size } => peer::bare(size).await,
        Command::Floor { file } => peer::floor(file).await,
        Command::Load { server, what, clients, requests, size, bucket } => {
            let plan = load::Plan { server, what, clients, requests, size, bucket };
            println!("{}", load::run(plan).await?);
            Ok(())
        }
    }
}
