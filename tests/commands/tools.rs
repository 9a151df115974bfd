//! `lictor tools` lists what is inside the program, prints it, and tells how a line is read.

use crate::support::program::Place;

fn place() -> Place {
    Place::with_policy("version: 1\nname: tools\nrules: []\n")
}

#[test]
fn the_list_names_every_library_with_its_tools() {
    let place = place();
    let answer = place.lictor(["tools", "--json"]).end().json();
    let listed = answer["libraries"].as_array().unwrap();
    let text = place.lictor(["tools"]).end().stdout;
    for library in lictor::policy::libraries() {
        let found = listed
            .iter()
            .find(|one| one["name"] == library.name())
            .unwrap();
        let tools: Vec<&str> = library.tools().collect();
        assert_eq!(found["tools"], serde_json::json!(tools));
        assert!(
            text.contains(library.name()) && text.contains(library.summary()),
            "{text}"
        );
    }
}

#[test]
fn a_library_is_printed_by_its_name_and_by_a_tool_of_it() {
    let place = place();
    let pytest = lictor::policy::libraries()
        .find(|library| library.name() == "lictor/pytest@1")
        .unwrap();
    for name in ["pytest", "lictor/pytest@1"] {
        assert_eq!(
            place.lictor(["tools", "show", name]).end().stdout,
            pytest.text()
        );
    }
    let coreutils = place.lictor(["tools", "show", "grep"]).end().stdout;
    assert!(coreutils.starts_with("# lictor/coreutils@1"), "{coreutils}");
    let unknown = place.lictor(["tools", "show", "pytst"]).end();
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("did you mean `pytest`?"));
}

#[test]
fn a_line_is_read_without_a_policy_and_a_refusal_says_the_way_out() {
    let place = place();
    let read = |line: &[&str]| place.lictor([&["tool", "try", "--"], line].concat()).end();
    let understood = read(&["python", "-m", "pytest", "-k", "a or b", "tests"]);
    assert_eq!(understood.code, Some(0));
    assert_eq!(
        understood.stdout,
        "library    lictor/pytest@1\nrequest    pytest.run\n             keyword='a or b'\n             target=tests\n\
         command    pytest -k 'a or b' tests\n"
    );
    let refused = read(&["git", "push", "--force"]);
    assert_eq!(refused.code, Some(1));
    let text = refused.stdout;
    assert!(
        text.contains("ARGUMENT_UNKNOWN") && text.contains("instead: "),
        "{text}"
    );
    let unknown = read(&["frobnicate"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown
            .stderr
            .contains("no tool library declares `frobnicate`")
    );
}

#[test]
fn the_tests_of_a_library_are_run_as_if_all_it_declares_were_allowed() {
    let place = place();
    let library = "version: 1
tools: {wc: {program: wc, actions: {run: {args: {file: {type: path, required: true}, out: {type: path, option: -o, access: write, creates: itself}}}}}}
tests:
  - {run: [wc, -o, b, a], expect: allow}
  - {run: [wc, ../a], expect: deny, reason: PATH_TRAVERSAL_DENIED}
";
    place.write("wc.yaml", library);
    place.lictor(["test", "wc.yaml"]).end().ends_with_code(0);
    place.write("wc.yaml", library.replace("expect: allow", "expect: ask"));
    let failed = place.lictor(["test", "wc.yaml"]).end().ends_with_code(1);
    assert!(
        failed.stdout.contains("expected ask, got allow"),
        "{failed:?}"
    );
}
