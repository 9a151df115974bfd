//! Backends by name, of which a policy or a caller chooses one.

#![forbid(unsafe_code)]

use std::sync::Arc;

use super::{DryRun, Executor};

/// Backends by name.
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use lictor::executor::{DryRun, Executors};
///
/// // A backend of another crate would stand in the place of `DryRun`.
/// let executors = Executors::shipped().with("elsewhere", DryRun::new());
/// assert_eq!(executors.names().collect::<Vec<_>>(), ["local", "dry-run", "elsewhere"]);
/// assert_eq!(
///     executors.get("slurm").unwrap_err().to_string(),
///     "there is no executor `slurm` here; there are `local`, `dry-run`, `elsewhere`"
/// );
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Executors(Vec<(String, Arc<dyn Executor>)>);

impl Executors {
    /// The name of the backend that is used where none is named.
    pub const DEFAULT: &str = "local";

    /// No backend.
    #[must_use]
    pub fn none() -> Executors {
        Executors::default()
    }

    /// The backends of this crate: `local` runs commands as processes of this machine, `dry-run` starts nothing.
    #[must_use]
    #[cfg(target_os = "linux")]
    pub fn shipped() -> Executors {
        Executors::none()
            .with(Executors::DEFAULT, super::Posix::new())
            .with("dry-run", DryRun::new())
    }

    /// The backends of this crate: on this system `dry-run`, which starts nothing.
    #[must_use]
    #[cfg(not(target_os = "linux"))]
    pub fn shipped() -> Executors {
        Executors::none().with("dry-run", DryRun::new())
    }

    /// These, and `executor` by this name. It replaces one that has the name.
    #[must_use]
    pub fn with(mut self, name: &str, executor: impl Executor + 'static) -> Executors {
        let executor = Arc::new(executor);
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = executor,
            None => self.0.push((name.to_owned(), executor)),
        }
        self
    }

    /// The names, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The backend of that name.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn get(&self, name: &str) -> Result<Arc<dyn Executor>, ExecutorError> {
        match self.0.iter().find(|(known, _)| known == name) {
            Some((_, executor)) => Ok(Arc::clone(executor)),
            None => Err(ExecutorError::Unknown {
                name: name.to_owned(),
                known: self.names().map(str::to_owned).collect(),
            }),
        }
    }

    /// The backend that the policy names, else the one that is `wanted`, else the default; with its name.
    ///
    /// # Errors
    ///
    /// If there is none, or if another one is wanted than the policy names.
    pub fn choose(
        &self,
        policy: Option<&str>,
        wanted: Option<&str>,
    ) -> Result<(String, Arc<dyn Executor>), ExecutorError> {
        match (policy, wanted) {
            (Some(policy), Some(wanted)) if policy != wanted => Err(ExecutorError::Fixed {
                policy: policy.to_owned(),
                wanted: wanted.to_owned(),
            }),
            (policy, wanted) => {
                let name = policy.or(wanted).unwrap_or(Executors::DEFAULT);
                Ok((name.to_owned(), self.get(name)?))
            }
        }
    }
}

/// Why there is no executor to run with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutorError {
    /// None has that name.
    #[error("there is no executor `{}` here; there are {}", name.escape_debug(), listed(known))]
    Unknown {
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The policy names another one.
    #[error("the policy runs commands with the executor `{}`, not with `{}`", policy.escape_debug(), wanted.escape_debug())]
    Fixed {
        /// The name in the policy.
        policy: String,
        /// The name that the caller gave.
        wanted: String,
    },
}

fn listed(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
