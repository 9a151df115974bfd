//! A process tree drawn for people.

#![forbid(unsafe_code)]

use std::fmt::Write;

use super::Process;

/// Longest command line that is drawn, in characters.
const MAX_COMMAND: usize = 60;

/// Draws processes below their parents, one a line.
///
/// A process whose parent is not in the list stands at the left: it was started by somebody outside, or
/// its parent has ended.
#[must_use]
pub fn drawing(tree: &[Process]) -> String {
    let mut out = String::new();
    let is_root = |process: &&Process| {
        !tree
            .iter()
            .any(|other| other.pid == process.ppid && other.pid != process.pid)
    };
    for root in tree.iter().filter(is_root) {
        draw(&mut out, tree, root, "  ", tree.len());
    }
    out
}

/// `left` bounds the depth: a list that names a process as its own ancestor is drawn, not followed.
fn draw(out: &mut String, tree: &[Process], process: &Process, indent: &str, left: usize) {
    let mut command = String::new();
    for c in process.command.chars().take(MAX_COMMAND) {
        // Whatever else acts on a terminal is escaped where this is printed. A line would be taken for one of ours.
        match c.is_control() {
            true => command.extend(c.escape_debug()),
            false => command.push(c),
        }
    }
    let Process {
        pid,
        state,
        cpu_ms,
        rss_bytes,
        ..
    } = process;
    let _ = writeln!(
        out,
        "{indent}{pid} {command}  [{state}, cpu {cpu_ms} ms, {} MiB]",
        rss_bytes >> 20
    );
    let Some(left) = left.checked_sub(1) else {
        return;
    };
    let indent = format!("{indent}  ");
    for child in tree
        .iter()
        .filter(|other| other.ppid == *pid && other.pid != *pid)
    {
        draw(out, tree, child, &indent, left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, ppid: i32, command: &str) -> Process {
        Process {
            pid,
            ppid,
            command: command.to_owned(),
            state: "S".to_owned(),
            ..Process::default()
        }
    }

    #[test]
    fn children_stand_below_their_parents_and_control_characters_are_escaped() {
        let tree = [
            process(2, 1, "sh"),
            process(5, 2, "sleep\n9 'it'"),
            process(3, 2, "a"),
            process(9, 7, "lost"),
        ];
        assert_eq!(
            drawing(&tree),
            "  2 sh  [S, cpu 0 ms, 0 MiB]\n    5 sleep\\n9 'it'  [S, cpu 0 ms, 0 MiB]\n    3 a  [S, cpu 0 ms, 0 MiB]\n  9 lost  [S, cpu 0 ms, 0 MiB]\n"
        );
    }

    #[test]
    fn a_circle_of_parents_ends() {
        let tree = [process(1, 0, "a"), process(2, 3, "b"), process(3, 2, "c")];
        assert_eq!(drawing(&tree).lines().count(), 1);
    }
}
