//! Surroundings of a policy, as far as they were looked at: the lint itself touches no disk.

#![forbid(unsafe_code)]

/// Kind of file that a name of the workspace leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A regular file, or anything else that is no directory.
    File,
    /// A directory.
    Directory,
}

/// Who besides its owner may write to a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Writable {
    /// The file or directory.
    pub path: String,
    /// Who: a fragment such as `everybody` or `its group`.
    pub by: &'static str,
}

impl Writable {
    /// That `by` may write to `path`.
    #[must_use]
    pub fn new(path: impl Into<String>, by: &'static str) -> Writable {
        Writable {
            path: path.into(),
            by,
        }
    }
}

/// A grant of the ledger that could still be used if its time were not over: not used up, not taken back,
/// made for the policy as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenGrant {
    /// Its name.
    pub id: String,
    /// The approval that it grants.
    pub approval: String,
    /// The thing that it covers: equal texts stand for the same thing.
    pub covers: String,
    /// When it was made.
    pub made: jiff::Timestamp,
    /// Until when it counts.
    pub until: jiff::Timestamp,
}

impl OpenGrant {
    /// A grant of `approval` for `covers` that counts from `made` to `until`.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        approval: impl Into<String>,
        covers: impl Into<String>,
        made: jiff::Timestamp,
        until: jiff::Timestamp,
    ) -> OpenGrant {
        OpenGrant {
            id: id.into(),
            approval: approval.into(),
            covers: covers.into(),
            made,
            until,
        }
    }
}

/// Who can read a ledger's key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Readable {
    /// The file.
    pub path: String,
    /// Who: a fragment such as `everybody` or `the user who runs this`.
    pub by: &'static str,
}

impl Readable {
    /// That `by` may read `path`.
    #[must_use]
    pub fn new(path: impl Into<String>, by: &'static str) -> Readable {
        Readable {
            path: path.into(),
            by,
        }
    }
}

/// The disk around a policy. Every answer may be "not known", which is what each method says by itself;
/// rules that need the answer then stay silent.
pub trait Surroundings {
    /// The names of the workspace, relative to it, with what they are; none if nobody looked or there are
    /// too many.
    fn names(&self) -> Option<&[(String, Kind)]> {
        None
    }

    /// Finds out whether others may write to the policy's file.
    fn policy_writable(&self) -> Option<Writable> {
        None
    }

    /// The policy's file, relative to the workspace, if it lies in it.
    fn policy_file(&self) -> Option<&str> {
        None
    }

    /// The workspace's absolute path.
    fn workspace(&self) -> Option<&str> {
        None
    }

    /// The ledger's directory, relative to the workspace, if it lies in it.
    fn ledger(&self) -> Option<&str> {
        None
    }

    /// Who besides root can read the key that signs the ledger, as far as that can be an agent.
    fn key_readable(&self) -> Option<Readable> {
        None
    }

    /// The grants of the ledger that are not used up.
    fn grants(&self) -> &[OpenGrant] {
        &[]
    }

    /// The names of the executors that the program has which would run what this policy allows.
    fn executors(&self) -> Option<&[String]> {
        None
    }

    /// Why the program that a tool starts is not trusted, as a run would say it.
    fn untrusted_program(&self, program: &str) -> Option<String> {
        let _ = program;
        None
    }

    /// Why a directory of `program_path` is not trusted, as a run would say it.
    fn untrusted_directory(&self, entry: &str) -> Option<String> {
        let _ = entry;
        None
    }
}

/// Nobody has looked.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to hold")]
pub struct Unknown;

impl Surroundings for Unknown {}
