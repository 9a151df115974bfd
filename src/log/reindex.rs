//! Making anew what is made from the segments.

#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::Arc;

use super::store::FileStore;
use super::verify::{self, Audit};
use super::writer::Opening;
use super::{Follower, Log, LogError, Options, lock, proof};

impl Log {
    /// Makes everything anew that is made from the segments: `checkpoint`, `state`, and `tile/` if it is there.
    /// Returns which of the first two were missing or did not count, one sentence each.
    ///
    /// # Errors
    /// The log is not intact, or as [`Log::open`].
    pub fn reindex<A: Audit>(
        dir: &Path,
        options: &Options,
        follower: &dyn Follower,
    ) -> Result<Vec<String>, LogError> {
        let report = verify::verify::<A>(dir, &verify::VerifyOptions::default(), &mut |_, _| {});
        let report = report.map_err(|error| LogError::Io {
            doing: "verify the ledger",
            why: error.to_string(),
        })?;
        if let (false, Some(problem)) = (report.verdict.is_intact(), report.problems.first()) {
            let problem = problem.clone();
            return Err(LogError::Damaged {
                segment: problem.segment,
                line: problem.line,
                byte: problem.byte,
                what: problem.what,
            });
        }
        let store = FileStore::open(dir, options.allow_unsafe_filesystem)
            .map_err(|error| LogError::io("open the ledger's directory", &error))?;
        let (log, missing) = Log::open_for(Arc::new(store), options, follower, Opening::Anew)?;
        match log.elsewhere.holder() {
            Some(holder) => log.elsewhere.keep_end(&*holder, Ok(())).map(|_| ())?,
            // Without anybody who could sign, the file `checkpoint` stays as it is.
            None => lock(&log.writer).write_side_files(None)?,
        }
        drop(log);
        let tiles = dir.join("tile");
        if tiles.exists() {
            let rebuilt = std::fs::remove_dir_all(&tiles).map_err(proof::ProofError::Io);
            let rebuilt = rebuilt.and_then(|()| proof::export(dir, dir));
            rebuilt.map_err(|error| LogError::Io {
                doing: "write the tiles",
                why: error.to_string(),
            })?;
        }
        Ok(missing)
    }
}
