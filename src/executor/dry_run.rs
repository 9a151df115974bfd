//! The backend that starts nothing and says what it would start.

#![forbid(unsafe_code)]

use crate::evidence::{Containment, Event, Evidence};
use crate::executor::{Capabilities, Executor, Job, Observer, PrepareError, Ready};

/// Starts nothing. Its evidence is `SPAWN_FAILED`, since nothing ran, and lists as events what a
/// run would have been.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DryRun;

impl DryRun {
    /// The backend that starts nothing.
    #[must_use]
    pub fn new() -> DryRun {
        DryRun
    }
}

impl Executor for DryRun {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn prepare(&self, _job: &Job) -> Result<Box<dyn Ready>, PrepareError> {
        // Nothing of what is not started can be left: it does for every policy.
        let mut containment = Containment::other("dry-run", true);
        containment.crash_safe = true;
        Ok(Box::new(Nothing(containment)))
    }
}

/// A run of nothing.
#[derive(Debug)]
struct Nothing(Containment);

impl Ready for Nothing {
    fn containment(&self) -> &Containment {
        &self.0
    }

    fn run(&mut self, job: &Job, _observer: &mut dyn Observer) -> Evidence {
        let mut evidence = Evidence::spawn_failed(self.0.clone(), "dry run: nothing was started");
        let words: Vec<String> = job
            .argv
            .iter()
            .map(|word| format!("`{}`", word.to_string_lossy().escape_debug()))
            .collect();
        let names: Vec<String> = job
            .env
            .iter()
            .map(|(name, _)| name.to_string_lossy().escape_debug().to_string())
            .collect();
        let limits = &job.limits;
        evidence.events = vec![
            Event::new(
                "would-start",
                job.program.to_string_lossy().escape_debug().to_string(),
            ),
            Event::new("would-pass", words.join(" ")),
            Event::new("would-set", names.join(" ")),
            Event::new(
                "would-stop-after",
                format!(
                    "{} ms, then {} ms of grace",
                    limits.timeout.as_millis(),
                    limits.grace.as_millis()
                ),
            ),
        ];
        evidence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Status;
    use crate::executor::contract;

    #[test]
    fn nothing_is_started_and_everything_is_said() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let job = contract::job(&["/bin/rm", "--", &path]);
        let evidence = contract::run(&DryRun::new(), &job, &mut ());
        assert_eq!(evidence.status, Status::SpawnFailed);
        assert!(
            evidence
                .events
                .iter()
                .any(|event| event.what == "would-pass"
                    && event.about == format!("`/bin/rm` `--` `{path}`"))
        );
        assert!(file.path().exists());
    }
}
