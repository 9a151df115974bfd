//! Lists the tool libraries, the presets and the parts of starter policies below `policy`, so that adding one is adding a
//! file.

#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "it reads what cargo tells it, and lists directories of the sources"
)]

use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let policy = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("policy");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let library = |name: &str, yaml: &Path| {
        let json = policy.join(format!("tools/compiled/{name}.json"));
        // The form for the program is made from the text by a test, which needs this list first.
        let json = match json.exists() {
            true => format!("include_str!({json:?})"),
            false => "\"\"".to_owned(),
        };
        format!(
            "Library {{ name: \"lictor/{name}@1\", yaml: include_str!({yaml:?}), json: {json} }},"
        )
    };
    let text = |name: &str, yaml: &Path| format!("({name:?}, include_str!({yaml:?})),");
    std::fs::write(
        out.join("libraries.rs"),
        list(&policy.join("tools"), library)?,
    )?;
    std::fs::write(out.join("presets.rs"), list(&policy.join("presets"), text)?)?;
    std::fs::write(
        out.join("starters.rs"),
        list(&policy.join("starters"), text)?,
    )?;
    Ok(())
}

/// An array of what `item` makes of each YAML file in `directory`, in the order of their names.
fn list(directory: &Path, item: impl Fn(&str, &Path) -> String) -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", directory.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let name = name.to_str().ok_or("the name of a file is not UTF-8")?;
        names.extend(name.strip_suffix(".yaml").map(str::to_owned));
    }
    names.sort_unstable();
    let items = names
        .iter()
        .map(|name| item(name, &directory.join(format!("{name}.yaml"))));
    Ok(format!("[{}]", items.collect::<String>()))
}
