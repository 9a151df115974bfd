//! Every lint rule says what it is about, fires on its own example and stays silent on the other; the
//! generated page is current.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lictor::lint::{self, Kind, Options, Readable, Report, Surroundings};
use lictor::policy::{CompiledPolicy, Files, SourceFile};

/// A small project with a policy in it.
struct Project {
    names: Vec<(String, Kind)>,
    /// The ledger is one that the user who lints can sign for: below `/srv`, it is another user's.
    own_key: bool,
    executors: Vec<String>,
}

impl Project {
    fn of(policy: &str) -> Project {
        let names = [
            ("docs", Kind::Directory),
            ("docs/a.md", Kind::File),
            ("lictor.yaml", Kind::File),
            ("runtime", Kind::Directory),
            ("runtime/tests", Kind::Directory),
            ("runtime/tests/test_a.py", Kind::File),
        ];
        Project {
            names: names.map(|(name, kind)| (name.to_owned(), kind)).into(),
            own_key: !policy.contains("path: /srv/"),
            executors: ["local", "dry-run"].map(str::to_owned).into(),
        }
    }
}

impl Surroundings for Project {
    fn names(&self) -> Option<&[(String, Kind)]> {
        Some(&self.names)
    }
    fn key_readable(&self) -> Option<Readable> {
        let own = self.own_key.then_some("the user who runs this")?;
        Some(Readable::new(
            "/home/me/.local/state/lictor/example/key",
            own,
        ))
    }
    fn policy_file(&self) -> Option<&str> {
        Some("lictor.yaml")
    }
    fn executors(&self) -> Option<&[String]> {
        Some(&self.executors)
    }
}

/// The policies of a section; what every policy begins with is left out there.
fn examples(section: &str) -> Vec<String> {
    let blocks = section.split("```yaml\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap())
        .map(|text| {
            if text.contains("version:") {
                text.to_owned()
            } else {
                format!("version: 1\nname: example\n{text}")
            }
        })
        .collect()
}

/// The policy that the example extends.
struct Base<'b>(&'b str);

impl Files for Base<'_> {
    fn read(&self, name: &str) -> Result<SourceFile, String> {
        Ok(SourceFile::new(name, self.0))
    }
}

/// What is found in the last of the policies; one before it is the baseline, and what it extends.
fn found(policies: &[String]) -> Report {
    let load = |text: &String| {
        let main = SourceFile::new("lictor.yaml", text.clone());
        CompiledPolicy::load(main, &Base(&policies[0]))
    };
    let baseline = (policies.len() > 1).then(|| load(&policies[0]).unwrap());
    let text = policies.last().unwrap();
    match load(text) {
        Ok(policy) => {
            // Two of the examples are costly on purpose.
            let begun = Instant::now();
            let is_late = || begun.elapsed() > Duration::from_secs(3);
            let mut options = Options::default()
                .at("2026-11-24T12:00:00Z".parse().unwrap())
                .until(&is_late);
            if let Some(baseline) = &baseline {
                options = options.against(baseline);
            }
            lint::run(&policy, &Project::of(text), &options)
        }
        Err(errors) => Report::of_errors(&errors),
    }
}

fn codes(report: &Report) -> BTreeSet<&'static str> {
    report.diagnostics.iter().map(|found| found.code).collect()
}

#[test]
fn every_page_has_its_headings_in_order() {
    for page in lint::pages() {
        let text = page.text();
        let headings: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .collect();
        assert_eq!(headings, lint::HEADINGS, "{}", page.code);
        for heading in lint::HEADINGS {
            assert!(
                !page.section(heading).unwrap().is_empty(),
                "{} {heading}",
                page.code
            );
        }
    }
}

#[test]
fn every_rule_fires_on_its_example_and_is_silent_on_the_other() {
    for page in lint::pages() {
        // No document of one file is its own ancestor, and none that is read cannot be.
        if matches!(page.code, "P010" | "P018") {
            continue;
        }
        let firing = examples(&page.section("Example").unwrap());
        let silent = examples(&page.section("When it stays silent").unwrap());
        assert!(
            !firing.is_empty() && !silent.is_empty(),
            "{} has no example",
            page.code
        );
        let report = found(&firing);
        assert!(
            codes(&report).contains(page.code),
            "{} does not fire: {:?}",
            page.code,
            codes(&report)
        );
        let report = found(&silent);
        assert!(
            !codes(&report).contains(page.code),
            "{} fires: {report:?}",
            page.code
        );
    }
}

#[test]
fn every_finding_has_a_place_in_the_text_and_a_way_out() {
    for page in lint::pages() {
        for heading in ["Example", "When it stays silent"] {
            let policies = examples(&page.section(heading).unwrap());
            if policies.is_empty() {
                continue;
            }
            let report = found(&policies);
            for found in &report.diagnostics {
                let text = &report.file(found.at).unwrap().text;
                let (start, len) = (found.at.offset as usize, found.at.len as usize);
                assert!(text.get(start..start + len).is_some(), "{found:?}");
                let line = text[..start].matches('\n').count() + 1;
                assert_eq!(found.at.line as usize, line, "{found:?}");
                assert!(found.help.is_some(), "{found:?}");
                assert!(
                    !found.message.ends_with('.') && !found.message.contains('\n'),
                    "{found:?}"
                );
                assert!(!found.message.starts_with(char::is_uppercase), "{found:?}");
            }
        }
    }
}

#[test]
fn every_fix_leaves_a_policy_that_is_read_and_settles_its_finding() {
    let mut made = 0;
    for page in lint::pages() {
        let policies = examples(&page.section("Example").unwrap());
        let Some(text) = policies.last() else {
            continue;
        };
        let before = found(&policies);
        for finding in before
            .diagnostics
            .iter()
            .filter(|found| found.code == page.code)
        {
            let Some(fix) = &finding.fix else { continue };
            let fixed = lint::fix::preview(text, &fix.edits).unwrap();
            let mut again = policies.clone();
            *again.last_mut().unwrap() = fixed.clone();
            let report = found(&again);
            let still = report
                .diagnostics
                .iter()
                .any(|other| other.code == finding.code && other.message == finding.message);
            let is_worse = ["P001", "P002", "P004", "P006"]
                .iter()
                .any(|code| codes(&report).contains(code) && !codes(&before).contains(code));
            assert!(
                !still && !is_worse,
                "{} {}: {:?}\n{fixed}",
                finding.code,
                fix.message,
                codes(&report)
            );
            made += 1;
        }
    }
    assert!(made > 25, "{made}");
}

#[test]
fn codes_and_names_are_used_once_and_found_by_either() {
    let pages = lint::pages();
    let codes: BTreeSet<_> = pages.iter().map(|page| page.code).collect();
    let names: BTreeSet<_> = pages.iter().map(|page| page.name).collect();
    assert_eq!((codes.len(), names.len()), (pages.len(), pages.len()));
    for page in pages {
        assert_eq!(lint::page(page.name).unwrap().code, page.code);
        assert_eq!(
            lint::page(&page.code.to_lowercase()).unwrap().code,
            page.code
        );
    }
}

#[test]
fn the_generated_page_is_current() {
    let made = lint::markdown();
    let file = "policy/LINTS.md";
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(file, &made).unwrap();
    }
    let is_current = std::fs::read_to_string(file).unwrap_or_default() == made;
    assert!(
        is_current,
        "{file} is not what the rules say: UPDATE_EXPECT=1 writes it anew"
    );
}
