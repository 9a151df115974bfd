//! Lists the tool libraries below `policy/tools`, so that adding one is adding a file.

#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "it reads what cargo tells it, and lists a directory of the sources"
)]

use std::fmt::Write as _;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tools = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("policy/tools");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", tools.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&tools)? {
        let name = entry?.file_name();
        let name = name.to_str().ok_or("a library's name is not UTF-8")?;
        names.extend(name.strip_suffix(".yaml").map(str::to_owned));
    }
    names.sort_unstable();
    let mut list = String::from("[");
    for name in names {
        let yaml = tools.join(format!("{name}.yaml"));
        let json = tools.join(format!("compiled/{name}.json"));
        // The form for the program is made from the text by a test, which needs this list first.
        let json = match json.exists() {
            true => format!("include_str!({json:?})"),
            false => "\"\"".to_owned(),
        };
        writeln!(
            list,
            "Library {{ name: \"lictor/{name}@1\", yaml: include_str!({yaml:?}), json: {json} }},"
        )?;
    }
    list.push(']');
    let out = Path::new(&std::env::var("OUT_DIR")?).join("libraries.rs");
    std::fs::write(out, list)?;
    Ok(())
}
