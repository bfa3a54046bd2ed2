//! A server with closures as functions, inside a program of one's own. It prints where it listens, serves until its
//! standard input ends, waits until all has been delivered, and prints the functions' logs.
//!
//! usage: cargo run -p cosette --example embedded [DATA_DIR]

use std::error::Error;
use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use cosette::{Context, Cosette, Trigger};
use serde_json::{Value, json};

const BUCKET: &str = "photos-1250000000";

/// Counts the bytes of what was put, for any language there is.
async fn count(event: Value, context: Context) -> Result<Value, String> {
    let object = &event["Records"][0]["cos"]["cosObject"];
    let size = object["size"].as_u64().ok_or("the event names no size")?;
    context.log(format!("{} has {size} bytes", object["key"]));
    match size {
        0 => Err("an empty photo".to_owned()),
        13 => panic!("13 bytes"),
        size => Ok(json!({ "size": size })),
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // Before any thread: this program may have been started to contain a function.
    if let Some(code) = cosette::main_if_asked() {
        return Ok(code);
    }
    tokio::runtime::Runtime::new()?.block_on(serve())?;
    Ok(ExitCode::SUCCESS)
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let builder = Cosette::builder()
        .isolated()
        .bucket(BUCKET)
        .function("count", count)
        .function("never", |_: Value, _: Context| std::future::pending::<Result<(), String>>())
        .trigger(Trigger::new(BUCKET, "cos:ObjectCreated:*").prefix("in/").suffix(".jpg").invokes("count"))
        .retry_interval(Duration::from_millis(10));
    let builder = match std::env::args().nth(1) {
        Some(dir) => builder.data_dir(dir),
        None => builder,
    };
    let cosette = builder.start().await?;
    println!("{}", cosette.endpoint());
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    println!("quiet: {}", cosette.wait(Duration::from_secs(30)).await?);
    for invocation in cosette.invocations("count", 100)?.iter().rev() {
        println!("{}", invocation.outcome.as_ref().map_or("", |outcome| outcome.log.as_str()));
    }
    cosette.stop().await?;
    Ok(())
}
