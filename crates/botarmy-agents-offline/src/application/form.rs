//! The controls of the form, one for each field.

use std::fmt::Write as _;

use crate::field::{Field, FieldKind};
use crate::places::{features_of, mark};
use crate::product::Product;
use crate::template::html;

/// Returns a labelled form control for a field.
pub(super) fn control(product: &Product, field: &Field) -> String {
    let id = format!("field-{}", field.name);
    let required = if field.required { " required" } else { "" };
    let common = format!("id=\"{id}\" name=\"{}\"{required}", field.name);
    let control = match field.kind {
        FieldKind::Text => format!("<input {common} type=\"text\" maxlength=\"200\">"),
        FieldKind::Photo => {
            format!("<input {common} type=\"url\" maxlength=\"2000\" placeholder=\"https://…\">")
        }
        FieldKind::Long => format!("<textarea {common} maxlength=\"10000\"></textarea>"),
        FieldKind::Number => format!("<input {common} type=\"number\" step=\"any\">"),
        FieldKind::Money => format!("<input {common} type=\"number\" step=\"0.01\" min=\"0\">"),
        FieldKind::Date => format!("<input {common} type=\"date\">"),
        FieldKind::Time => format!("<input {common} type=\"time\">"),
        FieldKind::Link => {
            format!("<input {common} type=\"url\" maxlength=\"2000\" placeholder=\"https://…\">")
        }
        FieldKind::Lines => return lines(product, field),
        FieldKind::Days => return format!("      <input {common} type=\"hidden\">\n"),
        FieldKind::Check => format!("<input {common} type=\"checkbox\">"),
        FieldKind::Choice => {
            let options = field.options.iter().map(|option| (option.clone(), option.clone()));
            select(&common, options.collect())
        }
        FieldKind::Rating => {
            select(&common, (1..=5).rev().map(|n: usize| (n.to_string(), "★".repeat(n))).collect())
        }
    };
    // Optional features are marked at their field.
    let ids: Vec<&str> = features_of(product, field)
        .into_iter()
        .flat_map(|feature| product.criteria_of(feature))
        .collect();
    let here = mark(&ids);
    let hint = if field.required { " <span class=\"hint\">(needed)</span>" } else { "" };
    format!(
        "      <div class=\"field\"{here}>\n        <label for=\"{id}\">{}{hint}</label>\n        \
         {control}\n      </div>\n",
        html(&field.label)
    )
}

fn select(common: &str, options: Vec<(String, String)>) -> String {
    let mut select = format!("<select {common}>\n          <option value=\"\">–</option>\n");
    for (value, text) in options {
        let _ = writeln!(
            select,
            "          <option value=\"{}\">{}</option>",
            html(&value),
            html(&text)
        );
    }
    select.push_str("        </select>");
    select
}

/// Returns the rows for the lines of a document; the script of the panel fills them in.
fn lines(product: &Product, field: &Field) -> String {
    let name = &field.name;
    let here = mark(&product.criteria_of("lines"));
    let label = html(&field.label);
    format!(
        "      <fieldset class=\"field\"{here}>\n        <legend>{label}: text, quantity, price</legend>\n        \
         <div id=\"line-rows\" class=\"line-rows\"></div>\n        <button type=\"button\" \
         id=\"line-add\">Add a line</button>\n        <input id=\"field-{name}\" name=\"{name}\" \
         type=\"hidden\">\n      </fieldset>\n"
    )
}
