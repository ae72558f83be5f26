//! `report DIR`: what runs have left in a directory, as one page to look at and as one JSON to compute with.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::document::{self, Document};
use super::{files, page};

/// The JSON beside the page.
pub const JSON_NAME: &str = "report.json";
/// The page.
const PAGE_NAME: &str = "report.html";

/// Flags of `report`.
#[derive(Args, Debug)]
pub struct ReportCommandArgs {
    /// The directory that runs were given as --out; the page is written there
    dir: PathBuf,
    /// The page's title
    #[arg(long, default_value = "Tautline latency report")]
    title: String,
}

#[derive(Serialize)]
struct Json<'a> {
    title: &'a str,
    runs: &'a [Document],
}

/// Reads and writes.
pub fn run(args: &ReportCommandArgs) -> anyhow::Result<()> {
    let (documents, others) = document::read_all(&args.dir)?;
    for file in others {
        println!("{file} is of a command that has no plot: left out");
    }
    let path = args.dir.join(PAGE_NAME);
    fs::write(&path, page::render(&args.title, &documents))
        .with_context(|| format!("write {}", path.display()))?;
    println!("wrote {}", path.display());
    let json = Json {
        title: &args.title,
        runs: &documents,
    };
    files::write_json(&args.dir, JSON_NAME.trim_end_matches(".json"), &json)
}
