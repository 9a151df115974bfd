"""Checks OCSF events, one a line on standard input, against the schema of the version each one names.

Needs the packages `ocsf-json-schema` (MIT; it brings the schemas of the Open Cybersecurity Schema Framework)
and `jsonschema`. With versions as arguments, events are held against those schemas instead. Fails with what
is wrong in the first event that does not fit: attributes that are missing, misspelt, or of the wrong type.
"""

import json
import sys

import jsonschema
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

schemas = {}
validators = {}


def validator(version, class_uid, profiles):
    key = (version, class_uid, tuple(sorted(profiles)))
    if key not in validators:
        if version not in schemas:
            schemas[version] = OcsfJsonSchemaEmbedded(get_ocsf_schema(version))
        name = schemas[version].lookup_class_name_from_uid(class_uid)
        schema = schemas[version].get_class_schema(name, list(profiles))
        validators[key] = jsonschema.Draft202012Validator(schema)
    return validators[key]


count = 0
for line in sys.stdin:
    event = json.loads(line)
    metadata = event["metadata"]
    for version in sys.argv[1:] or [metadata["version"]]:
        checker = validator(version, event["class_uid"], metadata.get("profiles", []))
        for error in checker.iter_errors(event):
            sys.exit(f"{version} {metadata['event_code']}: {error.json_path}: {error.message[:300]}")
    if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
        sys.exit(f"{metadata['event_code']}: type_uid {event['type_uid']} does not belong to its class and activity")
    count += 1
print(count)
