//! Containment of a run: the mechanism that kept its processes together, and the proof that none is left.

#![forbid(unsafe_code)]

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// Strength with which this machine keeps the processes of a run together, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Level {
    /// A POSIX process group: everything that calls `setsid` leaves it. Offers no proof of emptiness. A policy's word for
    /// "any level", and in records of earlier versions; no backend of this crate uses it.
    ProcessGroup,
    /// Linux: orphans come back to the supervisor, which walks its descendants.
    Subreaper,
    /// Linux: a cgroup of the run's own.
    Cgroup,
    /// Linux: a PID namespace whose init is ours; when init is gone, the kernel has killed everything in it.
    PidNamespace,
}

impl Level {
    /// All levels, weakest first.
    pub const ALL: [Level; 4] = [
        Level::ProcessGroup,
        Level::Subreaper,
        Level::Cgroup,
        Level::PidNamespace,
    ];

    /// The name used in policies and JSON, for example `pid-namespace`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::ProcessGroup => "process-group",
            Level::Subreaper => "subreaper",
            Level::Cgroup => "cgroup",
            Level::PidNamespace => "pid-namespace",
        }
    }

    /// The level of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// The mechanism that kept a run's processes together: a level of this machine, or what another backend uses.
///
/// A level is a word in JSON, another mechanism an object:
/// `"pid-namespace"`, `{"name":"virtual-machine","proves_end":true}`.
///
/// ```
/// use lictor::evidence::{Level, Mechanism};
///
/// let machine = Mechanism::Other { name: "virtual-machine".to_owned(), proves_end: true };
/// assert!(machine.is_at_least(Level::PidNamespace));
/// assert!(Mechanism::from(Level::Cgroup) > Level::Subreaper);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
#[expect(
    clippy::exhaustive_enums,
    reason = "it is a level or something else, and a backend makes both"
)]
pub enum Mechanism {
    /// A level of this machine.
    Level(Level),
    /// Something else.
    Other {
        /// Its name, for example `virtual-machine`.
        name: String,
        /// Returns proof, when a run has ended, that nothing of it is left.
        proves_end: bool,
    },
}

impl Mechanism {
    /// Returns true if a policy that asks for `least` gets it. One that asks for more than a process group asks for proof:
    /// another mechanism does if it offers that.
    #[must_use]
    pub fn is_at_least(&self, least: Level) -> bool {
        match self {
            Mechanism::Level(level) => *level >= least,
            Mechanism::Other { proves_end, .. } => *proves_end || least == Level::ProcessGroup,
        }
    }

    /// Returns true if a run that was promised `promised` gets no less with this one: a level at least as strong, and the proof
    /// that was offered.
    ///
    /// ```
    /// use lictor::evidence::{Level, Mechanism};
    ///
    /// let job = |proves_end| Mechanism::Other { name: "job".to_owned(), proves_end };
    /// assert!(job(true).keeps(&job(false)) && !job(false).keeps(&job(true)));
    /// assert!(!Mechanism::from(Level::Subreaper).keeps(&Level::PidNamespace.into()));
    /// ```
    #[must_use]
    pub fn keeps(&self, promised: &Mechanism) -> bool {
        match promised {
            Mechanism::Level(level) => self.is_at_least(*level),
            Mechanism::Other { proves_end, .. } => self.proves_end() || !proves_end,
        }
    }

    /// Returns true if it offers proof that nothing of a run is left.
    #[must_use]
    pub fn proves_end(&self) -> bool {
        self.is_at_least(Level::Subreaper)
    }

    /// The name as it is printed.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Mechanism::Level(level) => level.name(),
            Mechanism::Other { name, .. } => name,
        }
    }
}

impl From<Level> for Mechanism {
    fn from(level: Level) -> Mechanism {
        Mechanism::Level(level)
    }
}

impl PartialEq<Level> for Mechanism {
    fn eq(&self, level: &Level) -> bool {
        *self == Mechanism::Level(*level)
    }
}

/// Levels have an order. Another mechanism is neither weaker nor stronger than one of them.
impl PartialOrd<Level> for Mechanism {
    fn partial_cmp(&self, other: &Level) -> Option<Ordering> {
        match self {
            Mechanism::Level(level) => level.partial_cmp(other),
            Mechanism::Other { .. } => None,
        }
    }
}

/// Mechanism that kept a run's processes together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Containment {
    /// The mechanism; the strongest level if several are in use.
    pub level: Mechanism,
    /// Why a stronger level is not in use, one line for each level that was tried.
    pub degraded_because: Vec<String>,
    /// Returns true if the run's processes end when lictor itself is killed.
    pub crash_safe: bool,
    /// Proof that no process is left. While a run is prepared: the proof that will be sought.
    pub empty_proof: EmptyProof,
    /// The command's view of `/proc`.
    pub proc_view: ProcView,
}

impl Containment {
    /// Containment by a level of this machine, without proof, and not crash-safe.
    #[must_use]
    pub fn at(level: Level) -> Containment {
        Containment {
            level: level.into(),
            degraded_because: Vec::new(),
            crash_safe: false,
            empty_proof: EmptyProof::None,
            proc_view: ProcView::Host,
        }
    }

    /// Containment by another mechanism, without proof so far. It is not crash-safe until `crash_safe` is set.
    #[must_use]
    pub fn other(name: impl Into<String>, proves_end: bool) -> Containment {
        Containment {
            level: Mechanism::Other {
                name: name.into(),
                proves_end,
            },
            ..Containment::at(Level::ProcessGroup)
        }
    }
}

/// Proof that no process of a run is left.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EmptyProof {
    /// It is not known.
    None,
    /// The init of the run's PID namespace was reaped: the kernel has killed and reaped all others first.
    InitReaped,
    /// The run's cgroup reported `populated 0`.
    CgroupEmpty,
    /// As subreaper: no child is left (`ECHILD`), and the last walk of descendants was empty.
    NoDescendants,
    /// Something else says so: a container engine, a hypervisor, a batch system. It is as good as that is.
    Attested {
        /// Who says so, for example `slurmctld on head1`.
        by: String,
    },
}

/// The command's view of `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProcView {
    /// The machine's.
    Host,
    /// A fresh one that shows the run's own processes only.
    Fresh,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(containment: &Containment, json: &str) {
        let text = serde_json::to_string(containment).unwrap();
        assert!(text.contains(json), "{text}");
        let read: Containment = serde_json::from_str(&text).unwrap();
        assert_eq!(read, *containment);
    }

    #[test]
    fn a_level_is_a_word_and_another_mechanism_an_object() {
        check(
            &Containment::at(Level::PidNamespace),
            r#""level":"pid-namespace""#,
        );
        let mut other = Containment::other("job", true);
        check(&other, r#""level":{"name":"job","proves_end":true}"#);
        other.empty_proof = EmptyProof::Attested {
            by: "slurmctld".to_owned(),
        };
        check(&other, r#""empty_proof":{"attested":{"by":"slurmctld"}}"#);
    }

    #[test]
    fn another_mechanism_does_for_a_level_if_it_offers_proof() {
        let other = |proves_end| Containment::other("job", proves_end).level;
        for level in Level::ALL {
            assert!(other(true).is_at_least(level));
            assert_eq!(
                other(false).is_at_least(level),
                level == Level::ProcessGroup
            );
            assert!(!(other(true) > level) && !(other(true) <= level));
        }
        assert!(!Mechanism::from(Level::Cgroup).is_at_least(Level::PidNamespace));
    }
}
