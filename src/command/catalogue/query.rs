//! `starmill catalogue query`.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::super::Exit;
use crate::backfill::Region;
use crate::catalogue::Unfinished;
use crate::cli::QueryArgs;
use crate::interrupt::Interrupt;
use crate::query::output::{Csv, Format, Lines, TableFile};
use crate::query::{Options, QueryError, Session};

pub(super) fn query(args: &QueryArgs) -> anyhow::Result<Exit> {
    let format = args.out.as_deref().map(Format::of).transpose()?;
    let interrupt = Interrupt::listen().context("signals cannot be heard")?;
    let region = match (&args.cone, &args.moc) {
        (Some(cone), _) => Some(Region::Cone(*cone)),
        (None, Some(path)) => Some(Region::map(path)?),
        (None, None) => None,
    };
    let options = Options {
        region,
        timeout: args.timeout.map(Duration::from_secs),
        stop: Arc::new(move || interrupt.is_asked()),
    };
    let session = Session::open(&args.place, options)?;
    match (&args.out, format) {
        (Some(path), Some(format)) => {
            let rows = write(&session, args, path, format)?;
            println!("{}", path.display());
            println!("rows={rows}");
        }
        _ if args.csv => {
            let stdout = Path::new("standard output");
            let mut csv = Csv::new(std::io::stdout().lock(), stdout);
            session.ask(&args.sql, &mut csv)?;
            csv.finish()?;
        }
        _ => show(&session, args)?,
    }
    let scanned = session.scanned();
    tracing::debug!(
        groups_read = scanned.groups_read,
        groups_skipped = scanned.groups_skipped,
        files_skipped = scanned.files_skipped,
        "answered"
    );
    Ok(Exit::Success)
}

fn show(session: &Session, args: &QueryArgs) -> anyhow::Result<()> {
    let mut lines = Lines::new(usize::from(args.rows));
    session.ask(&args.sql, &mut lines)?;
    let stdout = std::io::stdout();
    // A program that reads on gets whole lines.
    let size = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(&stdout).ok()).flatten();
    let width = size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
    for line in lines.lines(width) {
        println!("{line}");
    }
    Ok(())
}

fn write(
    session: &Session,
    args: &QueryArgs,
    path: &Path,
    format: Format,
) -> Result<u64, QueryError> {
    if format == Format::Csv {
        let file = Unfinished::new(path);
        let io = |source| QueryError::Io { path: path.to_owned(), source };
        let mut target = BufWriter::new(File::create(&file.temporary).map_err(io)?);
        let mut csv = Csv::new(&mut target, path);
        session.ask(&args.sql, &mut csv)?;
        let rows = csv.finish()?;
        target.flush().map_err(io)?;
        file.publish()?;
        return Ok(rows);
    }
    let mut entries =
        vec![entry("CREATOR", concat!("starmill ", env!("CARGO_PKG_VERSION")), "program")];
    entries.extend(session.origin().iter().cloned());
    entries.push(entry("QUERY", &args.sql, ""));
    if let Some(cone) = &args.cone {
        entries.push(entry("CONE", &cone.to_string(), "RA,DEC,radius in degrees"));
    }
    if let Some(moc) = &args.moc {
        entries.push(entry("MOC", &moc.display().to_string(), ""));
    }
    let mut file = TableFile::new(path, format == Format::Fits, entries);
    session.ask(&args.sql, &mut file)?;
    file.finish()
}

fn entry(keyword: &str, value: &str, comment: &str) -> (String, String, String) {
    (keyword.into(), value.into(), comment.into())
}
