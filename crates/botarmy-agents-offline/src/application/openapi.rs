//! The description of the data for programs (OpenAPI 3.1).

use serde_json::{Map, Value, json};

use crate::field::{Field, FieldKind};
use crate::product::Product;
use crate::statement::STATEMENT;

/// Returns the OpenAPI document for `data.json`, the one path that a host of static files serves.
pub(super) fn document(product: &Product) -> String {
    let properties: Map<String, Value> =
        product.fields.iter().map(|field| (field.name.clone(), schema(field))).collect();
    let required: Vec<&str> = product
        .fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name.as_str())
        .collect();
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": product.name,
            "version": "0.1.0",
            "description": format!(
                "The samples of {} as a static file. There is no server program: put the files on \
                 any host of static files. {STATEMENT}.",
                product.name
            ),
        },
        "servers": [{"url": "."}],
        "paths": {
            "/data.json": {
                "get": {
                    "operationId": "listItems",
                    "summary": format!("Returns the {}.", product.plural),
                    "responses": {
                        "200": {
                            "description": format!("The {}.", product.plural),
                            "content": {"application/json": {"schema": {
                                "type": "object",
                                "required": ["name", "items"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "items": {
                                        "type": "array",
                                        "items": {"$ref": "#/components/schemas/Item"},
                                    },
                                },
                            }}},
                        },
                    },
                },
            },
        },
        "components": {"schemas": {"Item": {
            "type": "object", "required": required, "properties": properties,
        }}},
    });
    format!("{document:#}\n")
}

fn schema(field: &Field) -> Value {
    let kind = match field.kind {
        FieldKind::Check => "boolean",
        FieldKind::Number | FieldKind::Money | FieldKind::Rating => "number",
        _ => "string",
    };
    json!({"type": kind, "description": field.label})
}
