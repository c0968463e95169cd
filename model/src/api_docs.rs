//! The description of the API, as the page that shows it needs it. It is made from the OpenAPI document.

use serde::{Deserialize, Serialize};

/// Everything that programs can ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiDocs {
    pub description: String,
    pub groups: Vec<ApiGroup>,
    /// What goes in and comes out, by name.
    pub types: Vec<ApiType>,
}

/// Calls that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiGroup {
    pub name: String,
    pub description: String,
    pub calls: Vec<ApiCall>,
}

/// A call: a method and a path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiCall {
    /// Names it in links.
    pub id: String,
    pub method: String,
    pub path: String,
    pub summary: String,
    /// Paragraphs.
    pub description: Vec<String>,
    pub parameters: Vec<ApiField>,
    /// The type of what is sent.
    pub body: Option<String>,
    pub responses: Vec<ApiResponse>,
    /// A command line that calls it.
    pub example: String,
}

/// A parameter, or a field of a type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiField {
    pub name: String,
    /// Such as `text` or `list of Component`.
    pub kind: String,
    pub required: bool,
    pub description: String,
}

/// What may come back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiResponse {
    pub status: String,
    pub description: String,
    pub kind: Option<String>,
}

/// A named type: an object with fields, or one of several words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiType {
    pub name: String,
    pub description: String,
    pub fields: Vec<ApiField>,
    pub words: Vec<String>,
}
