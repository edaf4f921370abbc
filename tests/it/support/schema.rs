//! Owns a check of JSON against a schema of the `OpenAPI` document: the words that the document uses, and no others, so that a word
//! which nobody checks is found.

use serde_json::Value;

/// Everything in which the value is not as the schema says, each with its place; the document holds what the schema refers to.
pub(crate) fn differences(value: &Value, schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(value, schema, document, "", &mut found);
    found
}

fn check(value: &Value, schema: &Value, document: &Value, at: &str, found: &mut Vec<String>) {
    let words = schema.as_object().unwrap_or_else(|| panic!("{schema} is no schema"));
    for (word, wanted) in words {
        match word.as_str() {
            "$ref" => {
                let pointer = wanted.as_str().and_then(|path| path.strip_prefix('#')).expect("a reference within");
                let target = document.pointer(pointer).unwrap_or_else(|| panic!("nothing is at {wanted}"));
                check(value, target, document, at, found);
            }
            "type" => {
                let types: Vec<_> = wanted.as_array().map_or_else(|| vec![wanted], |types| types.iter().collect());
                if !types.iter().any(|name| is_of(value, name.as_str().unwrap())) {
                    found.push(format!("{at}: {value} is not of type {wanted}"));
                }
            }
            "enum" => {
                if !wanted.as_array().unwrap().contains(value) {
                    found.push(format!("{at}: {value} is none of {wanted}"));
                }
            }
            "minimum" | "maximum" => {
                let (Some(number), Some(limit)) = (value.as_f64(), wanted.as_f64()) else { continue };
                if if word == "minimum" { number < limit } else { number > limit } {
                    found.push(format!("{at}: {number} is beyond {limit}"));
                }
            }
            "required" => {
                let Some(members) = value.as_object() else { continue };
                let missing =
                    wanted.as_array().unwrap().iter().filter(|name| !members.contains_key(name.as_str().unwrap()));
                found.extend(missing.map(|name| format!("{at}: {name} is missing")));
            }
            "properties" => {
                for (name, schema) in wanted.as_object().unwrap() {
                    if let Some(member) = value.get(name) {
                        check(member, schema, document, &format!("{at}/{name}"), found);
                    }
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                let members = value.as_object().into_iter().flatten();
                for (name, member) in members.filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name))) {
                    if *wanted == Value::Bool(false) {
                        found.push(format!("{at}: nobody knows {name}"));
                    } else {
                        check(member, wanted, document, &format!("{at}/{name}"), found);
                    }
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(item, wanted, document, &format!("{at}/{index}"), found);
                }
            }
            "anyOf" => {
                let mut best = None;
                for schema in wanted.as_array().unwrap() {
                    let mut differences = Vec::new();
                    check(value, schema, document, at, &mut differences);
                    if best.as_ref().is_none_or(|best: &Vec<String>| differences.len() < best.len()) {
                        best = Some(differences);
                    }
                }
                found.extend(best.unwrap_or_default());
            }
            "description" | "default" => {}
            unknown => panic!("{at}: this check does not know the word {unknown:?}"),
        }
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        unknown => panic!("{unknown} is no type"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::differences;

    #[test]
    fn whatever_is_not_as_the_schema_says_is_told() {
        let document = json!({ "a": { "type": "object", "additionalProperties": false, "required": ["n"], "properties": {
            "n": { "type": ["integer", "null"], "minimum": 1 }, "l": { "type": "array", "items": { "enum": ["x"] } } } } });
        for (value, count) in [
            (json!({ "n": 1, "l": ["x"] }), 0),
            (json!({ "n": null }), 0),
            (json!({ "n": 0 }), 1),
            (json!({ "n": 1.5, "l": ["x", "y", 1] }), 3),
            (json!({ "m": 1 }), 2),
            (json!([]), 1),
        ] {
            let found = differences(&value, &json!({ "$ref": "#/a" }), &document);
            assert_eq!(found.len(), count, "{value}: {found:?}");
        }
        let either = json!({ "anyOf": [{ "$ref": "#/a" }, { "type": "null" }] });
        assert_eq!(differences(&json!(null), &either, &document), [""; 0]);
        assert_eq!(differences(&json!("x"), &either, &document).len(), 1);
    }
}
