//! `docs/API.md` is made from the OpenAPI document that the program ships.
//!
//! `BUNRAKU_BLESS=1 cargo test --test api` writes the page anew. That the routes are those of the document is tested beside them.

use std::path::Path;

use bunraku::web::api::OPENAPI;
use serde_json::{Map, Value};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// What a `$ref` leads to; others are themselves.
fn found<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str().and_then(|way| way.strip_prefix('#')) {
        Some(way) => document.pointer(way).unwrap_or_else(|| panic!("{way} leads nowhere")),
        None => value,
    }
}

fn kind(document: &Value, schema: &Value) -> String {
    let schema = found(document, schema);
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
    }
    if let Some(all) = schema["anyOf"].as_array() {
        return all.iter().map(|one| kind(document, one)).collect::<Vec<_>>().join(" or ");
    }
    match text(&schema["type"]) {
        "array" => format!("list of {}", kind(document, &schema["items"])),
        "object" => format!("{{ {} }}", names(document, schema).join(", ")),
        other => other.to_owned(),
    }
}

/// The fields of an object; those that may be absent have a `?`.
fn names(document: &Value, schema: &Value) -> Vec<String> {
    let needed =
        |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let name = |(name, inner): (&String, &Value)| {
        let sign = if needed(name) { "" } else { "?" };
        match text(&found(document, inner)["type"]) {
            "object" | "array" => format!("`{name}`{sign}: {}", kind(document, inner)),
            _ => format!("`{name}`{sign}"),
        }
    };
    fields(&schema["properties"]).map(name).collect()
}

/// What is said of single fields.
fn notes(document: &Value, schema: &Value, out: &mut Vec<String>) {
    let schema = found(document, schema);
    for (name, inner) in fields(&schema["properties"]) {
        let inner = found(document, inner);
        let values =
            if inner["enum"].is_array() { format!(": {}", kind(document, inner)) } else { String::new() };
        let words = text(&inner["description"]);
        if !words.is_empty() || !values.is_empty() {
            out.push(format!("- `{name}`{values}{}{words}", if words.is_empty() { "" } else { ": " }));
        }
        notes(document, inner, out);
    }
    if schema["items"].is_object() {
        notes(document, &schema["items"], out);
    }
}

fn json_of(value: &Value) -> &Value {
    &value["content"]["application/json"]["schema"]
}

fn operation(document: &Value, path: &str, method: &str, operation: &Value) -> String {
    let mut out = format!("### `{} {path}`\n\n{}", method.to_uppercase(), text(&operation["summary"]));
    let words = text(&operation["description"]);
    if !words.is_empty() {
        out.push_str(&format!(" {words}"));
    }
    out.push_str("\n\n");
    let mut remarks = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let parameter = found(document, parameter);
        let place = text(&parameter["in"]);
        if place != "path" {
            out.push_str(&format!(
                "- {place} `{}`: {}\n",
                text(&parameter["name"]),
                text(&parameter["description"])
            ));
        }
    }
    let body = json_of(&operation["requestBody"]);
    if body.is_object() {
        out.push_str(&format!("- body {}\n", kind(document, body)));
        notes(document, body, &mut remarks);
    }
    let mut refusals = Vec::new();
    for (status, answer) in fields(&operation["responses"]) {
        if status.starts_with('2') {
            let schema = json_of(answer);
            out.push_str(&format!(
                "- {status} {}: {}\n",
                kind(document, schema),
                text(&answer["description"])
            ));
            notes(document, schema, &mut remarks);
        } else {
            refusals.push(status.as_str());
        }
    }
    out.push_str(&format!("- else {}\n", refusals.join(", ")));
    remarks.dedup();
    if !remarks.is_empty() {
        out.push_str(&format!("\nWhere:\n\n{}\n", remarks.join("\n")));
    }
    out.trim_end().to_owned()
}

fn section(document: &Value, tag: &str) -> String {
    let order = ["get", "put", "post", "delete"];
    let of_path = |methods: &Map<String, Value>, path: &str| -> Vec<String> {
        let here = order.iter().filter_map(|method| Some((*method, methods.get(*method)?)));
        let tagged = here.filter(|(_, operation)| operation["tags"][0] == tag);
        tagged.map(|(method, one)| operation(document, path, method, one)).collect()
    };
    let paths = fields(&document["paths"]);
    let all = paths.flat_map(|(path, methods)| of_path(methods.as_object().expect("methods"), path));
    all.collect::<Vec<_>>().join("\n\n")
}

#[test]
fn the_page_says_what_the_document_says() {
    let document: Value = serde_json::from_str(OPENAPI).expect("JSON");
    let limits = "Of one person, and of an address without a token, `api.requests_per_minute` are answered, others get 429 and are told how \
                  long to wait; an address may have 20 OpenID tokens looked at in a minute.";
    let mut made = include_str!("api/page.md").replace("{limits}", limits);
    for tag in ["api", "provisioning", "admin"] {
        made = made.replace(&format!("{{{tag}}}"), &section(&document, tag));
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/API.md");
    if std::env::var_os("BUNRAKU_BLESS").is_some() {
        std::fs::write(&page, &made).expect("a writable page");
    }
    let there = std::fs::read_to_string(&page).expect("the page");
    assert!(
        there == made,
        "docs/API.md is not what openapi.json says: BUNRAKU_BLESS=1 cargo test --test api"
    );
}

/// Each reference leads somewhere, each operation has a name of its own, and each answer a shape.
#[test]
fn the_document_is_whole() {
    let document: Value = serde_json::from_str(OPENAPI).expect("JSON");
    fn walk(document: &Value, value: &Value) {
        found(document, value);
        match value {
            Value::Object(fields) => fields.values().for_each(|value| walk(document, value)),
            Value::Array(values) => values.iter().for_each(|value| walk(document, value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    walk(&document, &document);
    let mut ids = std::collections::BTreeSet::new();
    for (path, methods) in fields(&document["paths"]) {
        for (method, operation) in fields(methods) {
            assert!(ids.insert(text(&operation["operationId"])), "{method} {path}");
            let answers: Vec<_> = fields(&operation["responses"]).collect();
            assert!(answers.iter().any(|(status, _)| status.starts_with('2')), "{method} {path}");
            assert!(answers.iter().all(|(_, answer)| json_of(answer).is_object()), "{method} {path}");
        }
    }
    assert!(ids.len() > 25);
}
