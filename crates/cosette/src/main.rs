//! The command line. Reads flags and environment, then serves or asks a running server; it knows
//! no store and no function, only the server's configuration and the client.

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use crate::exit::Failure;

mod archive;
mod binding;
mod ca;
mod check;
mod clock;
mod debug;
mod doctor;
mod events;
mod exit;
mod explain;
mod function;
mod goal;
mod install;
mod kind;
mod logs;
mod new;
mod remote;
mod rows;
mod rule;
mod scrub;
mod serve;
mod try_event;
mod url;
mod verify;
mod wait;
mod watch;
mod webhook;

/// A local, offline stand-in for Tencent Cloud COS and SCF, and an S3-compatible object store
#[derive(Debug, Parser)]
#[command(
    name = "cosette",
    version,
    max_term_width = 100,
    after_help = "\
First steps:
  cosette serve                                  start; prints `cosette ready http://127.0.0.1:9000`
  ... make a bucket, photos-1250000000, with any COS or S3 client ...
  cosette function deploy hello/ --name hello --runtime Python3.9 \\
      --handler index.main_handler --trigger photos-1250000000,created
  ... put an object into the bucket with any COS or S3 client ...
  cosette wait && cosette logs hello             what the function saw

Each flag with an environment variable says so; flags come first. Data goes to standard output,
everything else to standard error."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server
    #[command(after_help = "\
Examples:
  cosette serve                                  keep data in ./.cosette
  cosette serve --memory --listen 127.0.0.1:0    for a test: no traces, a free port
  cosette serve --account AKIDbob:bobskey:1260000000:100000000002:bob

When it takes requests it prints `cosette ready http://ADDRESS` on standard output. SIGTERM and
SIGINT stop it. The default account has SecretId AKIDCosetteLocalDevelopment0000000000, SecretKey
CosetteLocalSecretKey00000000000 and APPID 1250000000.")]
    Serve(Box<serve::Serve>),
    /// Make, deploy, try, run, list and delete functions
    #[command(subcommand)]
    Function(FunctionCommand),
    /// Say which events of which bucket go where
    #[command(subcommand)]
    Rule(rule::Rule),
    /// Make, list and remove URLs that messages are posted to
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    /// Show what a function wrote
    Logs(logs::Logs),
    /// Show what happens to buckets and objects
    Events(events::Events),
    /// Say what became of an object's changes, and why
    Explain(explain::Explain),
    /// Show the server's clock, or move it
    Clock(clock::ClockCommand),
    /// Wait until every event has been delivered
    Wait(wait::Wait),
    /// Look for damage in what a running server stores
    Scrub(scrub::Scrub),
    /// Look for damage in a data directory that no server has
    Verify(verify::Verify),
    /// Say where the certificate authority is that functions trust
    Ca(ca::Ca),
    /// Say what is there to run functions with, and what is wrong
    Doctor(doctor::Doctor),
    /// Print a script that completes commands in a shell
    #[command(after_help = "\
Examples:
  cosette completions bash > ~/.local/share/bash-completion/completions/cosette
  cosette completions fish > ~/.config/fish/completions/cosette.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
enum FunctionCommand {
    /// Make a folder with the code of a template
    New(new::New),
    /// Make a function from a folder, or update it
    Deploy(Box<function::Deploy>),
    /// Run a function with an event of a template
    Test(try_event::Test),
    /// Run a function
    Invoke(function::Invoke),
    /// Let a function wait for a debugger
    Debug(debug::Debug),
    /// Print a function's URL, made if it has none
    Url(url::Url),
    /// List the functions
    List(function::List),
    /// Delete a function and its triggers
    Delete(function::Delete),
}

fn main() -> ExitCode {
    if let Some(code) = cosette_server::contain::main_if_asked() {
        return code;
    }
    let matches = without_empty_variables(Cli::command()).get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let outcome = match cli.command {
        Command::Serve(serve) => match matches.subcommand() {
            Some((_, matches)) => serve::run(*serve, matches),
            None => Ok(()),
        },
        Command::Completions { shell } => {
            // It panics where it cannot write.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "cosette", &mut script);
            std::io::stdout().write_all(&script).map_err(Failure::Io)
        }
        Command::Verify(verify) => verify.run(),
        Command::Ca(ca) => ca.run(),
        Command::Function(FunctionCommand::New(new)) => new.run(),
        command => ask(command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// A variable that is set to nothing counts as not set: compose files and CI pass them so.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| {
            let empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
            if empty { arg.env(None::<&str>) } else { arg }
        })
        .mut_subcommands(without_empty_variables)
}

/// The commands that talk to a running server.
fn ask(command: Command) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Serve(_)
            | Command::Verify(_)
            | Command::Ca(_)
            | Command::Completions { .. }
            | Command::Function(FunctionCommand::New(_)) => Ok(()),
            Command::Rule(rule) => rule.run().await,
            Command::Webhook(webhook) => webhook.run().await,
            Command::Logs(logs) => logs.run().await,
            Command::Events(events) => events.run().await,
            Command::Explain(explain) => explain.run().await,
            Command::Clock(clock) => clock.run().await,
            Command::Wait(wait) => wait.run().await,
            Command::Scrub(scrub) => scrub.run().await,
            Command::Doctor(doctor) => doctor.run().await,
            Command::Function(FunctionCommand::Deploy(deploy)) => deploy.run().await,
            Command::Function(FunctionCommand::Test(test)) => test.run().await,
            Command::Function(FunctionCommand::Invoke(invoke)) => invoke.run().await,
            Command::Function(FunctionCommand::Debug(debug)) => debug.run().await,
            Command::Function(FunctionCommand::Url(url)) => url.run().await,
            Command::Function(FunctionCommand::List(list)) => list.run().await,
            Command::Function(FunctionCommand::Delete(delete)) => delete.run().await,
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_are_these() {
        let mut list = String::new();
        walk(&Cli::command(), "cosette", &mut |path, command| {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            list.push_str(&format!("{path}: {about}\n"));
        });
        assert_eq!(
            list,
            "\
cosette serve: Start the server
cosette function: Make, deploy, try, run, list and delete functions
cosette function new: Make a folder with the code of a template
cosette function deploy: Make a function from a folder, or update it
cosette function test: Run a function with an event of a template
cosette function invoke: Run a function
cosette function debug: Let a function wait for a debugger
cosette function url: Print a function's URL, made if it has none
cosette function list: List the functions
cosette function delete: Delete a function and its triggers
cosette rule: Say which events of which bucket go where
cosette rule add: Make a rule
cosette rule list: List the rules
cosette rule remove: End a rule
cosette webhook: Make, list and remove URLs that messages are posted to
cosette webhook add: Make a webhook, or change it
cosette webhook list: List the webhooks
cosette webhook remove: Remove a webhook
cosette logs: Show what a function wrote
cosette events: Show what happens to buckets and objects
cosette explain: Say what became of an object's changes, and why
cosette clock: Show the server's clock, or move it
cosette wait: Wait until every event has been delivered
cosette scrub: Look for damage in what a running server stores
cosette verify: Look for damage in a data directory that no server has
cosette ca: Say where the certificate authority is that functions trust
cosette doctor: Say what is there to run functions with, and what is wrong
cosette completions: Print a script that completes commands in a shell
"
        );
    }

    #[test]
    fn the_manual_names_every_flag_and_variable() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
        let manual = std::fs::read_to_string(file).unwrap();
        let mut missing = Vec::new();
        walk(&Cli::command(), "cosette", &mut |path, command| {
            let flags =
                command.get_arguments().filter_map(|arg| arg.get_long()).map(|flag| format!("`--{flag}"));
            let variables =
                command.get_arguments().filter_map(|arg| arg.get_env()?.to_str()).map(|v| format!("`{v}`"));
            for word in flags.chain(variables).chain([format!("`{path}")]) {
                if !manual.contains(&word) && word != "`--help" {
                    missing.push(word);
                }
            }
        });
        missing.dedup();
        assert_eq!(missing, [""; 0], "docs/cli.md does not have these");
    }

    #[test]
    fn the_issues_command_lines_are_taken() {
        for line in [
            "serve --listen 127.0.0.1:0 --memory --durability relaxed --strict --retry-interval 1s",
            "function deploy d --name n --runtime Python3.9 --handler index.main_handler --trigger b-1250000000,created,a/,.z \
             --trigger c,removed --memory 256 --timeout 5 --env A=1 --env B=2",
            "function deploy d --name n --runtime Nodejs18.15 --handler index.main_handler --install --watch",
            "function new --list",
            "function new --template unzip d",
            "function new --template unzip --language node d",
            "rule add b-1250000000,created,a/,.z webhook:n --style s3 --description d --disabled --json",
            "rule list --bucket b",
            "rule remove id",
            "webhook add n http://127.0.0.1:1/ --secret s --timeout 1s --retries 0 --max-age 1h --concurrency 1 --dead-letter bucket:b/p",
            "webhook list --json",
            "webhook remove n",
            "function test --list",
            "function test n --template cos-put --bucket b --key k --print",
            "function invoke n --event {} --async",
            "function invoke n --event-file -",
            "function list --json",
            "function delete n --endpoint http://127.0.0.1:1",
            "logs n --follow --limit 5 --json",
            "wait --timeout 30s --request-id x",
            "events -f --bucket b --key-prefix a/ --limit 5 --json",
            "explain b-1250000000/a/b --version-id v --max 3 --json",
            "clock",
            "clock --advance 3h --freeze",
            "clock --set 2030-01-01T00:00:00Z --timeout 5s --json",
            "clock --unfreeze",
            "scrub --json --endpoint http://127.0.0.1:1",
            "verify .cosette --json",
            "doctor --data-dir d --json",
            "completions bash",
        ] {
            let words = line.split_ascii_whitespace();
            Cli::try_parse_from(["cosette"].into_iter().chain(words))
                .unwrap_or_else(|e| panic!("{line}: {e}"));
        }
        for line in [
            "",
            "serve --listen nowhere",
            "function invoke n --event {} --event-file f",
            "function test n",
            "function new",
            "wait --timeout 5",
            "clock --advance 3h --set 2030-01-01T00:00:00Z",
            "clock --freeze --unfreeze",
            "verify",
        ] {
            let words = line.split_ascii_whitespace();
            assert!(Cli::try_parse_from(["cosette"].into_iter().chain(words)).is_err(), "{line}");
        }
    }

    fn walk(command: &clap::Command, path: &str, visit: &mut dyn FnMut(&str, &clap::Command)) {
        for inner in command.get_subcommands() {
            let path = format!("{path} {}", inner.get_name());
            visit(&path, inner);
            walk(inner, &path, visit);
        }
    }
}
