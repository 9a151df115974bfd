//! Long runs by name: where they are kept, which go on, how they ended.
//!
//! Each has a directory in the ledger's, which no command sees and no rule may let a request reach:
//!
//! | file | |
//! |---|---|
//! | `lock` | held by the supervisor as long as it lives |
//! | `run` | who asked for what, until when, and how it ended |
//! | `out-…` | the output, see [`output`] |
//!
//! Nothing here is proof: that is the record. A supervisor that is gone without a word in `run` was killed, or the machine
//! was; its run is `LOST` in the record from the next opening on.

#![forbid(unsafe_code)]

pub(crate) mod output;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::evidence::{Event, Evidence, Status};
use crate::executor::{Holder, holder, take};

/// The directory of all long runs of a ledger.
const DIRECTORY: &str = "running";

/// The number of ended runs that are kept. What is pushed out is in the record.
const KEPT: usize = 32;

/// The longest name.
const MAX_NAME: usize = 64;

/// The long runs of one ledger.
#[derive(Clone, Debug)]
pub(crate) struct Runs(PathBuf);

/// Description of a long run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) v: u32,
    pub(crate) name: String,
    /// As the record knows it.
    pub(crate) run: String,
    pub(crate) argv: Vec<String>,
    pub(crate) actor: String,
    /// The supervisor.
    pub(crate) pid: u32,
    pub(crate) started: String,
    pub(crate) lease_ms: u64,
    /// The end of the lease.
    pub(crate) until: String,
    pub(crate) grace_ms: u64,
    /// The process with which it ends.
    pub(crate) owner_pid: Option<i32>,
    pub(crate) ended: Option<Ended>,
}

/// End of a long run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) at: String,
    pub(crate) status: String,
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) duration_ms: u64,
    /// True if the end is on record.
    pub(crate) recorded: bool,
    /// True if it could be shown that nothing is left.
    pub(crate) clean: bool,
    pub(crate) events: Vec<Event>,
}

/// A time as it is noted: in UTC, to the second.
pub(crate) fn text(time: jiff::Timestamp) -> String {
    time.round(jiff::Unit::Second).unwrap_or(time).to_string()
}

impl Ended {
    pub(crate) fn of(evidence: &Evidence, recorded: bool) -> Ended {
        Ended {
            at: text(jiff::Timestamp::now()),
            status: evidence.status.code().to_owned(),
            exit_code: evidence.exit_code,
            signal: evidence.signal,
            duration_ms: evidence.duration_ms,
            recorded,
            clean: evidence.survivors.is_empty() && !evidence.proof_failed(),
            events: evidence.events.clone(),
        }
    }
}

/// One long run, as it is found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) about: About,
    pub(crate) directory: PathBuf,
    /// Its supervisor, if that lives.
    pub(crate) supervisor: Option<Holder>,
}

impl Found {
    /// Its state in one word: `RUNNING`, the status with which it ended, or `LOST`.
    pub(crate) fn state(&self) -> &str {
        match (&self.supervisor, &self.about.ended) {
            (Some(_), None) => "RUNNING",
            (_, Some(ended)) => &ended.status,
            (None, None) => "LOST",
        }
    }
}

/// A name that this process holds.
#[derive(Debug)]
pub(crate) struct Held {
    directory: PathBuf,
    /// Closing it gives the name back.
    lock: File,
}

/// Returns the name if it is one.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let is_name = (1..=MAX_NAME).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    match is_name {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "a name has 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`, and begins with a letter or a digit"
        )),
    }
}

impl Runs {
    /// Those of the ledger in `ledger`.
    pub(crate) fn of(ledger: &Path) -> Runs {
        Runs(ledger.join(DIRECTORY))
    }

    /// All there are, by name.
    pub(crate) fn all(&self) -> io::Result<Vec<Found>> {
        let mut all = Vec::new();
        for name in self.names()? {
            all.extend(self.get(&name)?);
        }
        Ok(all)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry?.file_name().to_str().and_then(|text| name(text).ok()));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The run of this name; none if there was none, or nothing of it is on disk yet.
    pub(crate) fn get(&self, name: &str) -> io::Result<Option<Found>> {
        let directory = self.0.join(name);
        let lock = match File::open(directory.join("lock")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            lock => lock?,
        };
        // Before what it has written: a supervisor that ends writes first.
        let supervisor = holder(&lock)?;
        let text = match fs::read(directory.join("run")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        Ok(Some(Found {
            about: serde_json::from_slice(&text)?,
            directory,
            supervisor,
        }))
    }

    /// Takes `name` for a new run; none if a run of that name goes on.
    pub(crate) fn take(&self, name: &str) -> io::Result<Option<Held>> {
        self.forget_oldest(name);
        let directory = self.0.join(name);
        loop {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700).create(&directory)?;
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let path = directory.join("lock");
            let lock = match options.mode(0o600).open(&path) {
                // Somebody has forgotten it between the two.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                lock => lock?,
            };
            if !take(&lock)? {
                return Ok(None);
            }
            let is_still_there = fs::metadata(&path)
                .is_ok_and(|there| lock.metadata().is_ok_and(|ours| ours.ino() == there.ino()));
            if is_still_there {
                return Ok(Some(Held { directory, lock }));
            }
        }
    }

    /// Notes that a run whose supervisor is gone is lost, unless a new one of its name was begun.
    pub(crate) fn note_lost(&self, found: &mut Found, recorded: bool) -> io::Result<()> {
        found.about.ended = Some(Ended {
            at: text(jiff::Timestamp::now()),
            status: Status::Lost.code().to_owned(),
            exit_code: None,
            signal: None,
            duration_ms: 0,
            recorded,
            clean: false,
            events: Vec::new(),
        });
        match self.take(&found.about.name)? {
            Some(held) => held.note(&found.about),
            None => Ok(()),
        }
    }

    /// Takes away the oldest runs that have ended, but for that of `name`. What cannot be taken away stays.
    fn forget_oldest(&self, name: &str) {
        let mut ended: Vec<Found> = self.all().unwrap_or_default();
        ended.retain(|found| found.supervisor.is_none() && found.about.name != name);
        ended.sort_by(|a, b| a.about.started.cmp(&b.about.started));
        let excess = ended.len().saturating_sub(KEPT);
        for found in ended.into_iter().take(excess) {
            let lock = OpenOptions::new()
                .read(true)
                .write(true)
                .open(found.directory.join("lock"));
            // Held while it goes away, so that nobody begins a run in there.
            if lock
                .is_ok_and(|lock| take(&lock).is_ok_and(|taken| taken && clear(&found.directory)))
            {
                let _ = fs::remove_dir(&found.directory);
            }
        }
    }
}

/// Removes the files of `directory` but for that of the lock.
fn empty(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name != "lock") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Removes the files of `directory`, that of the lock last.
fn clear(directory: &Path) -> bool {
    empty(directory).is_ok() && fs::remove_file(directory.join("lock")).is_ok()
}

impl Held {
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Begins: what is left of an earlier run of that name goes away.
    pub(crate) fn begin(&self, about: &About) -> io::Result<()> {
        empty(&self.directory)?;
        self.note(about)
    }

    /// Writes what is known.
    pub(crate) fn note(&self, about: &About) -> io::Result<()> {
        let text = serde_json::to_vec(about)?;
        let new = self.directory.join("run.new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&new)?.write_all(&text)?;
        fs::rename(&new, self.directory.join("run"))
    }

    /// Gives the name back if no run of it was ever begun.
    pub(crate) fn give_back(self) {
        if !self.directory.join("run").exists() && clear(&self.directory) {
            let _ = fs::remove_dir(&self.directory);
        }
        drop(self.lock);
    }
}
