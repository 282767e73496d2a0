//! The commit protocol as a table: every place at which a crash can fall, what lies on disk then,
//! and what the next run does about it. `ARCHITECTURE.md` shows this table, and `tests/store.rs`
//! dies at each of its rows.

/// The part of a run to which a step belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Opening the catalogue.
    Open,
    /// Recovering from a crash or from damage, while opening.
    Recover,
    /// Committing a segment.
    Commit,
    /// Merging small segments while a run goes on.
    Compact,
    /// Publishing the catalogue.
    Seal,
}

/// A place at which a crash can fall.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Name of the crash point, which stands behind the step.
    pub point: &'static str,
    /// When it is passed.
    pub phase: Phase,
    /// What lies on disk.
    pub on_disk: &'static str,
    /// What the next run does.
    pub recovery: &'static str,
}

const fn step(
    point: &'static str,
    phase: Phase,
    on_disk: &'static str,
    recovery: &'static str,
) -> Step {
    Step { point, phase, on_disk, recovery }
}

const REDO: &str = "removes the file; its inputs are done anew";
const NOT_MERGED: &str = "removes the merged file; the small segments stay";
const SEAL_AGAIN: &str = "seals again; `verify` says that sealing was interrupted";

/// Every step, in the order in which a run passes them.
pub const STEPS: [Step; 34] = [
    step("open-folders", Phase::Open, "the folders, empty", "goes on"),
    step("open-ledger", Phase::Open, "a ledger without the note of its model", "notes the model"),
    step(
        "recover-rebuild-adopted",
        Phase::Recover,
        "the damaged ledger, and part of a new one under a temporary name",
        "removes the part and rebuilds again",
    ),
    step(
        "recover-rebuild-synced",
        Phase::Recover,
        "the damaged ledger, and the new one under a temporary name",
        "removes the new one and rebuilds again",
    ),
    step(
        "recover-rebuild-aside",
        Phase::Recover,
        "the damaged ledger under another name, no ledger",
        "rebuilds again: a ledger that is missing beside segments is a damaged one",
    ),
    step("recover-rebuild-done", Phase::Recover, "the rebuilt ledger", "goes on"),
    step(
        "recover-segment-forgotten",
        Phase::Recover,
        "a damaged segment that the ledger names no more",
        REDO,
    ),
    step(
        "recover-orphan-removed",
        Phase::Recover,
        "fewer files that the ledger does not name",
        "removes the rest",
    ),
    step("commit-begins", Phase::Commit, "nothing new", "does the inputs anew"),
    step("commit-written", Phase::Commit, "a temporary file, perhaps torn", REDO),
    step("commit-synced", Phase::Commit, "a temporary file, whole", REDO),
    step("commit-renamed", Phase::Commit, "the segment; after a power cut perhaps not", REDO),
    step(
        "commit-folder-synced",
        Phase::Commit,
        "the segment, which the ledger does not name",
        REDO,
    ),
    step(
        "commit-recorded",
        Phase::Commit,
        "the segment, and a transaction without its end, which SQLite rolls back",
        REDO,
    ),
    step("commit-done", Phase::Commit, "segment and ledger agree", "skips the inputs"),
    step("compact-begins", Phase::Compact, "segments to be merged", "merges them later"),
    step("compact-written", Phase::Compact, "a temporary file, perhaps torn", NOT_MERGED),
    step("compact-synced", Phase::Compact, "a temporary file, whole", NOT_MERGED),
    step(
        "compact-renamed",
        Phase::Compact,
        "the merged segment; after a power cut perhaps not",
        NOT_MERGED,
    ),
    step(
        "compact-folder-synced",
        Phase::Compact,
        "the merged segment, which the ledger does not name",
        NOT_MERGED,
    ),
    step(
        "compact-recorded",
        Phase::Compact,
        "the merged segment, and a transaction without its end, which SQLite rolls back",
        NOT_MERGED,
    ),
    step(
        "compact-replaced",
        Phase::Compact,
        "the merged segment, and the small ones, which the ledger does not name any more",
        "removes the small ones",
    ),
    step(
        "compact-removed",
        Phase::Compact,
        "the merged segment and fewer small ones",
        "removes the rest",
    ),
    step("compact-done", Phase::Compact, "segments and ledger agree", "goes on"),
    step("seal-begins", Phase::Seal, "the old published files", "seals again"),
    step(
        "seal-written",
        Phase::Seal,
        "the old published files, and the new ones under temporary names",
        "removes the temporary files, seals again",
    ),
    step("seal-unvouched", Phase::Seal, "the old files without `run.json`", SEAL_AGAIN),
    step("seal-catalogue.fits", Phase::Seal, "one new file, no `run.json`", SEAL_AGAIN),
    step("seal-catalogue.parquet", Phase::Seal, "two new files, no `run.json`", SEAL_AGAIN),
    step("seal-rejects.fits", Phase::Seal, "three new files, no `run.json`", SEAL_AGAIN),
    step("seal-rejects.parquet", Phase::Seal, "four new files, no `run.json`", SEAL_AGAIN),
    step("seal-inputs.b3", Phase::Seal, "five new files, no `run.json`", SEAL_AGAIN),
    step("seal-files-synced", Phase::Seal, "all new files, no `run.json`", SEAL_AGAIN),
    step(
        "seal-done",
        Phase::Seal,
        "the new catalogue, vouched for by `run.json`",
        "seals again, to the same bytes",
    ),
];

/// The table as Markdown.
pub fn markdown() -> String {
    let mut page = "| a crash behind | leaves | the next run |\n|---|---|---|\n".to_owned();
    for Step { point, on_disk, recovery, .. } in &STEPS {
        page += &format!("| `{point}` | {on_disk} | {recovery} |\n");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_architecture_shows_this_table() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md");
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.contains(&markdown()), "put this into ARCHITECTURE.md:\n{}", markdown());
    }

    #[test]
    fn every_crash_point_of_the_store_is_in_the_table() {
        let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        let mut found = 0;
        for folder in ["catalogue", "ledger"] {
            for entry in std::fs::read_dir(format!("{sources}/{folder}")).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    continue;
                }
                let text = std::fs::read_to_string(path).unwrap();
                for call in text.split("crash_point!(\"").skip(1) {
                    let name = call.split('"').next().unwrap();
                    assert!(STEPS.iter().any(|step| step.point == name), "{name}");
                    found += 1;
                }
            }
        }
        assert!(found > 15, "{found}");
    }
}
