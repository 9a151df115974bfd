//! Entries as events of the Open Cybersecurity Schema Framework, for security monitoring.
//!
//! Entries go in, in their order; one event for each comes out, as a value. Nothing is looked up
//! elsewhere, so the same entries give the same events on every machine. Each event carries the entry
//! itself (`raw_data`) and its digest, by which it is found and proved in the ledger.
//!
//! | entry | class | activity |
//! |---|---|---|
//! | `decision` | API Activity 6003 | Other: Decide; `action_id` Allowed, Denied, or Other: Ask |
//! | `observed` | API Activity 6003 | Other: Observe; `action_id` Observed |
//! | `start` | Process Activity 1007 | Launch |
//! | `stop` | Process Activity 1007 | Other: Stop |
//! | `outcome` | Process Activity 1007 | Terminate |
//! | `policy` | Entity Management 3004 | Activate |
//! | `approval` | Entity Management 3004 | Other: Approve |
//! | `grant` | Entity Management 3004 | Create, Delete (revoked), or Other |
//! | `segment` | Event Log Activity 1008 | Start (the first), Rotate |
//! | `checkpoint`, `anchor`, `gap` | Event Log Activity 1008 | Other: Checkpoint, Anchor, Gap |

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::log::hash::{hex, sha256};
use crate::log::read::Entry;
use crate::log::{Kind, RunId};
use crate::text::shell;

/// The version of the framework that events are of.
pub const VERSION: &str = "1.5.0";

/// Decisions that are remembered for a start that follows. A start is written with its decision, so it
/// comes right behind it; a call of several commands may have a few in between.
const REMEMBERED: usize = 64;

/// Makes events of entries. What a decision says is added to the start and the outcome of its run.
///
/// ```
/// use lictor::record::ocsf::Converter;
/// use lictor::log::read::{Filter, show};
/// use lictor::log::{Draft, Kind};
/// use lictor::record::{Ledger, Options};
/// # let dir = std::env::temp_dir().join(format!("lictor-doc-ocsf-{}", std::process::id()));
///
/// let ledger = Ledger::open(&dir, &Options::default())?;
/// ledger.commit(vec![Draft::new(Kind::Decision).with("effect", "deny").with("reason", "DENIED_BY_RULE")])?;
/// let mut converter = Converter::default();
/// let mut events = Vec::new();
/// for shown in show(&dir, Filter::default())?.expect("there is one") {
///     events.extend(shown?.entry.map(|entry| converter.event(&entry)));
/// }
/// assert_eq!((&events[0]["class_uid"], &events[0]["activity_name"]), (&1008.into(), &"Start".into()));
/// assert_eq!((&events[1]["class_uid"], &events[1]["action"]), (&6003.into(), &"Denied".into()));
/// assert_eq!(events[1]["status_code"], "DENIED_BY_RULE");
/// # drop(ledger); std::fs::remove_dir_all(&dir).ok();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Converter {
    /// Name of the ledger, from its last first line.
    origin: Option<String>,
    decided: VecDeque<(RunId, Asked)>,
    /// Runs that were started and have no outcome yet.
    running: BTreeMap<RunId, Asked>,
}

/// Fields that later events of a run repeat.
#[derive(Clone, Debug, Default)]
struct Asked {
    actor: Option<String>,
    tool: Option<String>,
    rule: Option<String>,
    command: Option<String>,
    program: Option<String>,
}

impl Converter {
    /// Remembers an entry for which no event is wanted, for those that are about the same run.
    pub fn see(&mut self, entry: &Entry) {
        if matches!(
            entry.kind,
            Kind::Segment | Kind::Decision | Kind::Start | Kind::Outcome
        ) {
            self.learn(entry, &entry.value());
            self.forget(entry);
        }
    }

    /// The event of the next entry.
    pub fn event(&mut self, entry: &Entry) -> Value {
        let body = entry.value();
        self.learn(entry, &body);
        let mut event = match entry.kind {
            Kind::Decision => self.decision(&body),
            Kind::Observed => self.observed(&body),
            Kind::Start | Kind::Stop | Kind::Outcome => self.process(entry, &body),
            Kind::Policy | Kind::Approval | Kind::Grant => entity(entry.kind, &body),
            Kind::Segment | Kind::Checkpoint | Kind::Anchor | Kind::Gap => self.log(entry, &body),
        };
        self.forget(entry);
        self.frame(&mut event, entry, &body);
        Value::Object(event.fields)
    }

    fn learn(&mut self, entry: &Entry, body: &Value) {
        match (entry.kind, entry.run) {
            (Kind::Segment, _) => self.origin = text(&body["origin"]),
            (Kind::Decision, Some(run)) if body["effect"] == "allow" => {
                let asked = Asked {
                    actor: text(&body["actor"]),
                    tool: operation(body),
                    rule: text(&body["rule"]),
                    command: command_line(&body["argv"]),
                    program: None,
                };
                if self.decided.len() >= REMEMBERED {
                    self.decided.pop_front();
                }
                self.decided.push_back((run, asked));
            }
            (Kind::Start, Some(run)) => {
                let at = self.decided.iter().position(|(decided, _)| *decided == run);
                let mut asked = at
                    .and_then(|at| self.decided.remove(at))
                    .map(|(_, asked)| asked)
                    .unwrap_or_default();
                asked.command = command_line(&body["argv"]).or(asked.command);
                asked.program = text(&body["program"]);
                self.running.insert(run, asked);
            }
            _ => {}
        }
    }

    fn forget(&mut self, entry: &Entry) {
        if let (Kind::Outcome, Some(run)) = (entry.kind, entry.run) {
            self.running.remove(&run);
        }
    }

    fn decision(&self, body: &Value) -> Event {
        let (action, disposition, severity) = match body["effect"].as_str() {
            Some("allow") => ((1, "Allowed"), (1, "Allowed"), 1),
            Some("deny") => ((2, "Denied"), (2, "Blocked"), 3),
            Some("ask") => ((99, "Ask"), (99, "Ask"), 2),
            _ => ((0, "Unknown"), (0, "Unknown"), 2),
        };
        let mut event = Event::new(Class::ApiActivity, (99, "Decide"), severity);
        event.profile("security_control");
        event.set("action_id", action.0);
        event.set("action", action.1);
        event.set("disposition_id", disposition.0);
        event.set("disposition", disposition.1);
        event.status(body["effect"] == "allow", &body["reason"], &body["message"]);
        event.asked_by(&body["actor"], operation(body));
        event.policy(&body["policy"], &body["rule"], &body["effect"]);
        let findings = body["findings"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or(&[]);
        let resources: Vec<Value> = findings
            .iter()
            .filter_map(|finding| {
                let name = text(&finding["canonical"]).or_else(|| text(&finding["path"]))?;
                Some(json!({"name": name, "type": "path"}))
            })
            .collect();
        if !resources.is_empty() {
            event.set("resources", resources);
        }
        if let Some(command) =
            command_line(&body["argv"]).or_else(|| command_line(inner(body, "request", "argv")))
        {
            event.unmapped("command_line", command);
        }
        event
    }

    fn observed(&self, body: &Value) -> Event {
        let mut event = Event::new(Class::ApiActivity, (99, "Observe"), 1);
        event.profile("security_control");
        event.set("action_id", 3);
        event.set("action", "Observed");
        event.set("disposition_id", 17);
        event.set("disposition", "Logged");
        let about = text(&body["message"]).or_else(|| text(&body["what"]));
        if let Some(about) = about {
            event.set("message", about);
        }
        if let Some(reason) = text(&body["reason"]) {
            event.set("status_code", reason);
        }
        event.asked_by(&body["actor"], operation(body));
        event
    }

    fn process(&self, entry: &Entry, body: &Value) -> Event {
        let mut event = match entry.kind {
            Kind::Start => Event::new(Class::ProcessActivity, (1, "Launch"), 1),
            Kind::Outcome => outcome(body),
            Kind::Stop
            | Kind::Segment
            | Kind::Policy
            | Kind::Decision
            | Kind::Approval
            | Kind::Checkpoint
            | Kind::Anchor
            | Kind::Gap
            | Kind::Grant
            | Kind::Observed => {
                let mut event = Event::new(Class::ProcessActivity, (99, "Stop"), 2);
                if let Some(why) = text(&body["why"]) {
                    event.set("status_detail", why);
                }
                event
            }
        };
        let none = Asked::default();
        let asked = entry
            .run
            .and_then(|run| self.running.get(&run))
            .unwrap_or(&none);
        let mut process = Map::new();
        // The run is all that names the process: its number in its own namespace says nothing outside.
        process.insert("uid".into(), entry.run.map(|run| run.to_string()).into());
        if let Some(command) = &asked.command {
            process.insert("cmd_line".into(), command.clone().into());
        }
        if let Some(program) = &asked.program {
            let name = program.rsplit('/').next().unwrap_or(program);
            process.insert("name".into(), name.into());
            process.insert(
                "file".into(),
                json!({"name": name, "path": program, "type_id": 1, "type": "Regular File"}),
            );
        }
        if let Some(directory) = text(inner(body, "workspace", "path")) {
            process.insert("working_directory".into(), directory.into());
        }
        event.set("process", process);
        if let Some(command) = &asked.command {
            let what = event.fields.get("activity_name").and_then(Value::as_str);
            let what = match (entry.kind, text(&body["status"])) {
                (Kind::Outcome, Some(status)) => status,
                _ => what.unwrap_or("").to_owned(),
            };
            event.set("message", format!("{what}: {command}"));
        }
        event.actor(asked.actor.as_deref());
        if let Some(tool) = &asked.tool {
            event.unmapped("operation", tool.as_str());
        }
        if let Some(rule) = &asked.rule {
            event.unmapped("rule", rule.as_str());
        }
        event
    }

    fn log(&self, entry: &Entry, body: &Value) -> Event {
        let (activity, severity) = match (entry.kind, entry.seq) {
            (Kind::Segment, 0) => ((6, "Start"), 1),
            (Kind::Segment, _) => ((5, "Rotate"), 1),
            (Kind::Checkpoint, _) => ((99, "Checkpoint"), 1),
            (Kind::Anchor, _) => ((99, "Anchor"), 1),
            (_, _) => ((99, "Gap"), 4),
        };
        let mut event = Event::new(Class::EventLogActivity, activity, severity);
        event.set("log_name", self.origin.as_deref().unwrap_or("lictor"));
        event.set("log_provider", "lictor");
        event.set("log_type_id", 2);
        event.set("log_type", "Application");
        if let Some(name) = text(&body["segment"]) {
            event.set(
                "file",
                json!({"name": name, "type_id": 1, "type": "Regular File"}),
            );
        }
        let torn = body["before"].as_array().into_iter().flatten();
        let torn: u64 = torn
            .filter_map(|before| before["torn_bytes"].as_u64())
            .fold(0, u64::saturating_add);
        if entry.kind == Kind::Gap {
            event.status(
                false,
                &Value::Null,
                &json!("something could not be recorded"),
            );
        } else {
            event.status(true, &Value::Null, &Value::Null);
        }
        if torn > 0 {
            event.severity(2);
            event.set(
                "status_detail",
                format!("{torn} bytes at the end of the file before were torn by a crash"),
            );
        }
        if let Some(to) = text(&body["to"]) {
            event.set("status_detail", format!("given to: {to}"));
        }
        event
    }

    /// Fields of every event.
    fn frame(&self, event: &mut Event, entry: &Entry, body: &Value) {
        let origin = self.origin.as_deref().unwrap_or("lictor");
        let time = entry
            .ts
            .parse::<Timestamp>()
            .map_or(0, Timestamp::as_millisecond);
        event.set("time", time);
        let mut metadata = json!({
            "version": VERSION,
            "product": {"name": "lictor", "vendor_name": "lictor", "version": env!("CARGO_PKG_VERSION")},
            "log_name": origin,
            "log_provider": "lictor",
            "event_code": entry.kind.name(),
            "uid": format!("{origin}/{}", entry.seq),
            "sequence": entry.seq,
            "original_time": entry.ts,
        });
        if let Some(fields) = metadata.as_object_mut() {
            if let Some(run) = entry.run {
                fields.insert("correlation_uid".into(), run.to_string().into());
            }
            if !event.profiles.is_empty() {
                fields.insert("profiles".into(), event.profiles.clone().into());
            }
        }
        event.set("metadata", metadata);
        // The leaf of the ledger's tree is made of the line and its line feed.
        let line = format!("{}\n", entry.json);
        event.unmapped("line_sha256", hex(&sha256(line.as_bytes())));
        event.set("raw_data", entry.json.as_str());
        if event.class == Class::ProcessActivity {
            let boot = &body["boot"];
            let device = json!({"type_id": 0, "type": "Unknown", "uid": boot, "boot_uid": boot});
            event.set("device", device);
        }
        if event.class == Class::ApiActivity {
            // Requests are made on the machine itself.
            event.set(
                "src_endpoint",
                json!({"uid": body["boot"], "name": "local"}),
            );
        }
    }
}

fn outcome(body: &Value) -> Event {
    let status = text(&body["status"]).unwrap_or_default();
    // A list that was too long for its line is an object with its beginning.
    let survivors = body["survivors"]
        .as_array()
        .map_or(body["survivors"].is_object(), |list| !list.is_empty());
    let severity = match &*status {
        _ if survivors => 4,
        "PASS" => 1,
        "LOST" => 3,
        _ => 2,
    };
    let mut event = Event::new(Class::ProcessActivity, (2, "Terminate"), severity);
    event.status(
        status == "PASS",
        &body["status"],
        inner(body, "stop", "why"),
    );
    if let Some(code) = body["exit_code"].as_i64() {
        event.set("exit_code", code);
    }
    if let Some(duration) = body["duration_ms"].as_u64() {
        event.set("duration", duration);
    }
    for name in ["signal", "containment", "survivors", "leaked"] {
        let is_empty = body[name].as_array().is_some_and(Vec::is_empty);
        if !body[name].is_null() && !is_empty {
            event.unmapped(name, body[name].clone());
        }
    }
    event
}

fn entity(kind: Kind, body: &Value) -> Event {
    let change = body["change"].as_str().unwrap_or("");
    let activity = match (kind, change) {
        (Kind::Policy, _) => (10, "Activate"),
        (Kind::Approval, _) => (99, "Approve"),
        (_, "made") => (1, "Create"),
        (_, "revoked") => (4, "Delete"),
        (_, _) => (99, "Change"),
    };
    let severity = if kind == Kind::Policy { 1 } else { 2 };
    let mut event = Event::new(Class::EntityManagement, activity, severity);
    let mut entity = Map::new();
    let (name, uid) = if kind == Kind::Policy {
        entity.insert("type_id".into(), 5.into());
        entity.insert("type".into(), "Policy".into());
        (text(&body["name"]), text(&body["policy"]))
    } else {
        entity.insert("type_id".into(), 99.into());
        entity.insert("type".into(), kind.name().into());
        (
            text(&body["approval"]).or_else(|| text(&body["name"])),
            text(&body["grant"]).or_else(|| text(&body["id"])),
        )
    };
    if name.is_none() && uid.is_none() {
        entity.insert("name".into(), kind.name().into());
    }
    for (field, value) in [("name", name), ("uid", uid)] {
        if let Some(value) = value {
            entity.insert(field.into(), value.into());
        }
    }
    event.set("entity", entity);
    let why = if body["why"].is_null() {
        &body["reference"]
    } else {
        &body["why"]
    };
    event.status(true, &Value::Null, why);
    if let Some(command) = command_line(&body["argv"]) {
        event.unmapped("command_line", command);
    }
    let by = ["by", "who", "actor"]
        .into_iter()
        .find_map(|name| text(&body[name]));
    if by.is_some() {
        event.actor(by.as_deref());
    }
    event
}

/// The classes that entries are mapped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    ApiActivity,
    ProcessActivity,
    EntityManagement,
    EventLogActivity,
}

impl Class {
    /// Number and name of the class, number and name of its category.
    fn names(self) -> (u64, &'static str, u64, &'static str) {
        match self {
            Class::ApiActivity => (6003, "API Activity", 6, "Application Activity"),
            Class::ProcessActivity => (1007, "Process Activity", 1, "System Activity"),
            Class::EntityManagement => {
                (3004, "Entity Management", 3, "Identity & Access Management")
            }
            Class::EventLogActivity => (1008, "Event Log Activity", 1, "System Activity"),
        }
    }
}

/// An event that is being put together.
#[derive(Clone, Debug)]
struct Event {
    fields: Map<String, Value>,
    profiles: Vec<Value>,
    class: Class,
}

impl Event {
    fn new(class: Class, activity: (u64, &str), severity: u64) -> Event {
        let (class_uid, class_name, category_uid, category_name) = class.names();
        let mut event = Event {
            fields: Map::new(),
            profiles: Vec::new(),
            class,
        };
        event.set("class_uid", class_uid);
        event.set("class_name", class_name);
        event.set("category_uid", category_uid);
        event.set("category_name", category_name);
        event.set("activity_id", activity.0);
        event.set("activity_name", activity.1);
        let type_uid = class_uid.saturating_mul(100).saturating_add(activity.0);
        event.set("type_uid", type_uid);
        event.set("type_name", format!("{class_name}: {}", activity.1));
        event.severity(severity);
        event
    }

    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    fn severity(&mut self, severity: u64) {
        let name = match severity {
            1 => "Informational",
            2 => "Low",
            3 => "Medium",
            _ => "High",
        };
        self.set("severity_id", severity);
        self.set("severity", name);
    }

    fn profile(&mut self, name: &str) {
        self.profiles.push(name.into());
    }

    fn status(&mut self, is_good: bool, code: &Value, detail: &Value) {
        self.set("status_id", if is_good { 1 } else { 2 });
        self.set("status", if is_good { "Success" } else { "Failure" });
        if let Some(code) = text(code) {
            self.set("status_code", code);
        }
        if let Some(detail) = text(detail) {
            self.set("status_detail", detail.as_str());
            self.set("message", detail);
        }
    }

    fn actor(&mut self, name: Option<&str>) {
        let mut actor = json!({"app_name": "lictor"});
        if let (Some(name), Some(fields)) = (name, actor.as_object_mut()) {
            fields.insert("user".into(), json!({"name": name}));
        }
        self.set("actor", actor);
    }

    fn asked_by(&mut self, actor: &Value, operation: Option<String>) {
        self.actor(text(actor).as_deref());
        // A command line that no tool was found for has none.
        let operation = operation.unwrap_or_else(|| "unknown".to_owned());
        let service = json!({"name": "lictor"});
        self.set("api", json!({"operation": operation, "service": service}));
    }

    fn policy(&mut self, digest: &Value, rule: &Value, effect: &Value) {
        let mut policy = Map::new();
        if let Some(digest) = text(digest) {
            policy.insert("uid".into(), digest.into());
            self.set("policy", policy.clone());
        }
        if let Some(rule) = text(rule) {
            self.set("firewall_rule", json!({"name": rule}));
        }
        if let (Some(effect), false) = (text(effect), policy.is_empty()) {
            self.set(
                "authorizations",
                json!([{"decision": effect, "policy": policy}]),
            );
        }
    }

    fn unmapped(&mut self, name: &str, value: impl Into<Value>) {
        let fields = self.fields.entry("unmapped").or_insert_with(|| json!({}));
        if let Some(fields) = fields.as_object_mut() {
            fields.insert(name.to_owned(), value.into());
        }
    }
}

/// A field of a field; null if there is none.
fn inner<'a>(body: &'a Value, name: &str, field: &str) -> &'a Value {
    body.get(name)
        .and_then(|value| value.get(field))
        .unwrap_or(&Value::Null)
}

fn operation(body: &Value) -> Option<String> {
    let tool = text(&body["tool"]).or_else(|| text(inner(body, "request", "tool")));
    let action = text(&body["action"]).or_else(|| text(inner(body, "request", "action")));
    match (tool, action) {
        (Some(tool), Some(action)) => Some(format!("{tool}.{action}")),
        (tool, action) => tool.or(action),
    }
}

/// A value as text: what is no string (bytes, cut or redacted texts) as its JSON.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Some(value.to_string())
        }
    }
}

/// The words of a command as one line, quoted as a POSIX shell reads them.
fn command_line(argv: &Value) -> Option<String> {
    let words = argv.as_array()?.iter().filter_map(text);
    let words: Vec<String> = words.map(|word| shell(word.as_bytes())).collect();
    (!words.is_empty()).then(|| words.join(" "))
}
