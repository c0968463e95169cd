//! From the OpenAPI document to what the page `/docs` shows.

use std::sync::LazyLock;

use model::api_docs::{ApiCall, ApiDocs, ApiField, ApiGroup, ApiResponse, ApiType};
use serde_json::{Map, Value};

use crate::openapi;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

static DOCS: LazyLock<ApiDocs> = LazyLock::new(|| read(&serde_json::to_value(openapi::openapi()).unwrap_or_default()));

/// Everything that programs can ask.
pub fn docs() -> &'static ApiDocs {
    &DOCS
}

fn read(document: &Value) -> ApiDocs {
    let groups = list(&document["tags"]).map(|tag| {
        let name = text(&tag["name"]);
        let calls = entries(&document["paths"])
            .flat_map(|(path, item)| METHODS.map(|method| (path, method, &item[method])))
            .filter(|(_, _, operation)| list(&operation["tags"]).any(|tag| tag.as_str() == Some(name.as_str())))
            .map(|(path, method, operation)| call(path, method, operation));
        ApiGroup { calls: calls.collect(), description: text(&tag["description"]), name }
    });
    let types = entries(&document["components"]["schemas"]).map(|(name, schema)| named(name, schema));
    ApiDocs { description: text(&document["info"]["description"]), groups: groups.collect(), types: types.collect() }
}

fn call(path: &str, method: &str, operation: &Value) -> ApiCall {
    let parameters = list(&operation["parameters"]).map(|parameter| ApiField {
        name: text(&parameter["name"]),
        kind: kind(&parameter["schema"]),
        required: parameter["required"].as_bool().unwrap_or(false),
        description: text(&parameter["description"]),
    });
    let body = first_content(&operation["requestBody"]);
    let responses = entries(&operation["responses"]).map(|(status, response)| ApiResponse {
        status: status.clone(),
        description: text(&response["description"]),
        kind: first_content(response),
    });
    ApiCall {
        id: text(&operation["operationId"]),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(&operation["summary"]),
        description: text(&operation["description"]).split("\n\n").map(ToOwned::to_owned).collect(),
        example: example(path, method, operation, body.is_some()),
        parameters: parameters.collect(),
        body,
        responses: responses.collect(),
    }
}

/// A command line with the parameters that must be there, as far as the document has examples of them.
fn example(path: &str, method: &str, operation: &Value, has_body: bool) -> String {
    let needed = || list(&operation["parameters"]).filter(|parameter| parameter["required"].as_bool() == Some(true));
    let in_path = needed().filter(|parameter| parameter["in"] == "path");
    let path = in_path.fold(path.to_owned(), |path, parameter| {
        path.replace(&format!("{{{}}}", text(&parameter["name"])), &text(&parameter["example"]))
    });
    let query: Vec<String> = needed()
        .filter(|parameter| parameter["in"] == "query")
        .map(|parameter| format!("{}={}", text(&parameter["name"]), text(&parameter["example"])))
        .collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let method = if method == "get" { String::new() } else { format!(" -X {}", method.to_uppercase()) };
    let body = if has_body { " --json @body.json" } else { "" };
    format!("curl{method} -H \"Authorization: Bearer $KEY\"{body} \"$SERVER{path}{query}\"")
}

fn first_content(holder: &Value) -> Option<String> {
    let (content_type, content) = entries(&holder["content"]).next()?;
    let kind = kind(&content["schema"]);
    Some(if content_type.ends_with("json") { kind } else { content_type.clone() })
}

fn named(name: &str, schema: &Value) -> ApiType {
    let required: Vec<&str> = list(&schema["required"]).filter_map(Value::as_str).collect();
    let fields = entries(&schema["properties"]).map(|(field, schema)| ApiField {
        name: field.clone(),
        kind: kind(schema),
        required: required.contains(&field.as_str()),
        description: text(&schema["description"]),
    });
    let words = list(&schema["enum"]).chain(list(&schema["oneOf"]).flat_map(|one| list(&one["enum"])));
    ApiType {
        name: name.to_owned(),
        description: text(&schema["description"]),
        fields: fields.collect(),
        words: words.filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
    }
}

/// A schema in a few words.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or(reference).to_owned();
    }
    let alternatives: Vec<String> = list(&schema["oneOf"])
        .chain(list(&schema["anyOf"]))
        .chain(list(&schema["allOf"]))
        .filter(|one| one["type"] != "null")
        .map(kind)
        .collect();
    if !alternatives.is_empty() {
        return alternatives.join(" or ");
    }
    let types = list(&schema["type"]).chain(std::iter::once(&schema["type"]));
    let name = types.filter_map(Value::as_str).find(|name| *name != "null").unwrap_or("anything");
    match (name, schema["format"].as_str()) {
        ("array", _) => format!("list of {}", kind(&schema["items"])),
        ("string", Some("date-time")) => "time".to_owned(),
        ("string", Some("decimal")) => "decimal number as text".to_owned(),
        ("string", Some("uuid")) => "UUID".to_owned(),
        ("string", _) => "text".to_owned(),
        ("integer" | "number", _) => "number".to_owned(),
        ("boolean", _) => "true or false".to_owned(),
        (other, _) => other.to_owned(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, ToOwned::to_owned)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_shown_with_what_it_takes() {
        let calls: Vec<&ApiCall> = docs().groups.iter().flat_map(|group| &group.calls).collect();
        let described = openapi::openapi().paths.paths.len();
        assert!(calls.len() >= described, "{} of {described}", calls.len());
        let historical = calls.iter().find(|call| call.path.ends_with("/historical")).expect("it is described");
        assert!(historical.parameters.iter().any(|parameter| parameter.name == "metric" && parameter.required));
        assert_eq!(
            historical.example,
            "curl -H \"Authorization: Bearer $KEY\" \"$SERVER/api/v1/analytics/historical?metric=revenue,orders\""
        );
        let send = calls.iter().find(|call| call.path == "/api/v1/events/{topic}").expect("it is described");
        assert_eq!(
            send.example,
            "curl -X POST -H \"Authorization: Bearer $KEY\" --json @body.json \"$SERVER/api/v1/events/analytics-events\""
        );
        let types: Vec<&str> = docs().types.iter().map(|one| one.name.as_str()).collect();
        assert!(types.contains(&"Historical") && types.contains(&"Problem"), "{types:?}");
        for call in calls {
            assert!(!call.summary.is_empty() && !call.id.is_empty(), "{} {}", call.method, call.path);
        }
    }
}
