//! Lines of a ledger from any bytes: no panic, and whatever is accepted is the same JSON to others.
//!
//! The decoder is strict so that no two readers disagree about a line that somebody forged; so what it
//! accepts must parse, name for name, to what it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lictor::log::decode::Decoder;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let mut decoder = Decoder::new();
    let Ok(line) = decoder.decode(data) else {
        return;
    };
    let value: Value = serde_json::from_slice(data).expect("accepted, so it is JSON");
    assert_eq!(value["v"].as_u64(), Some(1));
    assert_eq!(value["seq"].as_u64(), Some(line.seq));
    assert_eq!(value["ts"].as_str(), Some(line.ts));
    assert_eq!(value["mono_us"].as_u64(), Some(line.mono_us));
    assert_eq!(value["boot"].as_str(), Some(line.boot));
    assert_eq!(value["type"].as_str(), Some(line.kind.name()));
    let run = line.run.map(|run| run.to_string());
    assert_eq!(value.get("run").and_then(Value::as_str), run.as_deref());
    assert!(!line.text().contains(char::is_control));
    let mut fields = 0;
    for (name, json) in line.fields() {
        let name: String = serde_json::from_str(&format!("\"{name}\"")).expect("a name");
        let json: Value = serde_json::from_str(json).expect("a value");
        assert_eq!(value[&name], json);
        fields += 1;
    }
    let head = 7 + usize::from(line.run.is_some());
    assert!(
        value
            .as_object()
            .is_some_and(|object| object.len() <= fields + head)
    );
});
