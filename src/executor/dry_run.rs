//! The backend that starts nothing and says what it would start.

#![forbid(unsafe_code)]

use crate::evidence::{Containment, EmptyProof, Event, Evidence, Level, ProcView};
use crate::executor::{
    Capabilities, EmptyTree, Executor, Observer, PrepareError, Prepared, Remains,
};
use crate::resolve::Launch;

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

    fn prepare(&self, launch: &Launch) -> Result<Prepared, PrepareError> {
        Ok(Prepared::new(launch, containment(), Box::new(*self)))
    }
}

impl EmptyTree for DryRun {
    fn run(self: Box<Self>, launch: &Launch, _observer: &mut dyn Observer) -> (Evidence, Remains) {
        let mut evidence =
            Evidence::spawn_failed(containment(), "dry run: nothing was started".to_owned());
        let words: Vec<String> = launch
            .argv
            .iter()
            .map(|word| format!("`{}`", word.to_string_lossy().escape_debug()))
            .collect();
        let names: Vec<String> = launch
            .env
            .iter()
            .map(|(name, _)| name.to_string_lossy().escape_debug().to_string())
            .collect();
        let limits = &launch.limits;
        evidence.events = vec![
            Event::new(
                "would-start",
                launch.program.to_string_lossy().escape_debug().to_string(),
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
        (evidence, Remains::default())
    }
}

fn containment() -> Containment {
    Containment {
        level: Level::ProcessGroup,
        degraded_because: vec!["dry run".to_owned()],
        crash_safe: true,
        empty_proof: EmptyProof::None,
        proc_view: ProcView::Host,
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
        let launch = contract::launch(&["/bin/rm", "--", &path]);
        let executor = DryRun::new();
        let prepared = executor.prepare(&launch).unwrap();
        let (evidence, _) = crate::executor::run_prepared(prepared, &launch, &mut ());
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
