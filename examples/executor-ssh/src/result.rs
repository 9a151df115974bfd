//! The supervisor's result, line by line, as evidence.

use std::str::SplitAsciiWhitespace;

use lictor::evidence::{
    Containment, EmptyProof, Ended, Evidence, Output, Process, SignalSent, Stop, StopReason,
};

/// The containment that is prepared: the supervisor will say that nothing is left, and ends the run if the connection ends.
pub fn containment() -> Containment {
    let mut containment = Containment::other("ssh", true);
    containment.crash_safe = true;
    containment
}

/// None for a result that cannot be read.
pub fn evidence(text: &str) -> Option<Evidence> {
    let mut lines = text.lines();
    if lines.next() != Some("ended") {
        return None;
    }
    let mut containment = containment();
    let (mut host, mut ended, mut stop) = (String::new(), None, Stop::default());
    let (mut proven, mut leaks_fail, mut spawn) = (false, false, None);
    let mut evidence = Evidence::new(containment.clone(), None, Stop::default(), None, false);
    for line in lines {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = value.split_ascii_whitespace();
        match key {
            "host" => host = value.to_owned(),
            "spawn" => spawn = Some(value),
            "command" => ended = end(&mut words)?,
            "duration" => evidence.duration_ms = number(&mut words)?,
            "leaks_fail" => leaks_fail = value == "yes",
            "proof" => proven = value == "yes",
            "used" => {
                evidence.resources.cpu_user_ms = number(&mut words)?;
                evidence.resources.cpu_system_ms = number(&mut words)?;
                evidence.resources.max_rss_bytes = number(&mut words)?;
            }
            "stdout" => evidence.stdout = output(&mut words)?,
            "stderr" => evidence.stderr = output(&mut words)?,
            "why" => {
                stop.why = Some(match value {
                    "timeout" => StopReason::Timeout,
                    "cancelled" => StopReason::Cancelled,
                    "leaked" => StopReason::Leaked,
                    _ => return None,
                });
            }
            "term_at" => stop.term_at_ms = Some(number(&mut words)?),
            "kill_at" => stop.kill_at_ms = Some(number(&mut words)?),
            "empty_at" => stop.empty_at_ms = Some(number(&mut words)?),
            "grace_used" => stop.grace_used_ms = Some(number(&mut words)?),
            "sent" => {
                let sent = (
                    number(&mut words)?,
                    number(&mut words)?,
                    number(&mut words)?,
                );
                stop.signals.push(SignalSent::new(sent.0, sent.1, sent.2));
            }
            "leaked" => evidence.leaked.push(process(value)?),
            "survivor" => evidence.survivors.push(process(value)?),
            _ => return None,
        }
    }
    if let Some(why) = spawn {
        return Some(Evidence::spawn_failed(containment, why));
    }
    if proven {
        let by = format!("the supervisor on {host}");
        containment.empty_proof = EmptyProof::Attested { by };
    }
    let known = evidence;
    let mut evidence = Evidence::new(containment, ended, stop, None, leaks_fail);
    evidence.duration_ms = known.duration_ms;
    evidence.resources = known.resources;
    (evidence.stdout, evidence.stderr) = (known.stdout, known.stderr);
    (evidence.leaked, evidence.survivors) = (known.leaked, known.survivors);
    Some(evidence)
}

fn number<N: std::str::FromStr>(words: &mut SplitAsciiWhitespace<'_>) -> Option<N> {
    words.next()?.parse().ok()
}

fn end(words: &mut SplitAsciiWhitespace<'_>) -> Option<Option<Ended>> {
    Some(match words.next()? {
        "exit" => Some(Ended::Exited(number(words)?)),
        "signal" => Some(Ended::Killed(number(words)?)),
        "none" => None,
        _ => return None,
    })
}

/// The output as it was counted there: nothing is kept of an output that nobody received.
fn output(words: &mut SplitAsciiWhitespace<'_>) -> Option<Output> {
    let mut output = Output::default();
    output.bytes = number(words)?;
    output.lines = number(words)?;
    output.dropped = output.bytes;
    words.next()?.clone_into(&mut output.sha256);
    output.held_open = words.next()? == "yes";
    Some(output)
}

fn process(value: &str) -> Option<Process> {
    let (pid, command) = value.split_once(' ')?;
    let mut process = Process::default();
    process.pid = pid.parse().ok()?;
    command.clone_into(&mut process.command);
    Some(process)
}
