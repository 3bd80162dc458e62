//! Tables that agents produce.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Table {
    /// The titles of the columns, e.g. `Mark` and `Width`.
    pub columns: Vec<String>,
    /// The rows, each with a value for every column.
    pub rows: Vec<Vec<Value>>,
}

/// A column: its keys in the rows, and its title.
struct Column {
    /// `key` or `id`, else the title.
    keys: Vec<String>,
    title: String,
}

impl Column {
    fn read(column: &Value) -> Self {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let field = |name: &str| column.get(name).filter(|value| !value.is_null()).map(text);
        let title = ["title", "name", "key", "id"].into_iter().find_map(field).unwrap_or_else(|| text(column));
        let keys = ["key", "id", "name", "title"].into_iter().filter_map(field).chain([title.clone()]).collect();
        Self { keys, title }
    }

    fn value<'a>(&self, row: &'a Map<String, Value>) -> Option<&'a Value> {
        self.keys.iter().find_map(|key| row.get(key))
    }
}

impl Table {
    /// Reads columns, with rows that are lists of values, or objects with the columns' keys, ids or names as fields. `None`
    /// if it is not a table, or if no row has a value for any column.
    pub(super) fn read(content: &Value) -> Option<Self> {
        let columns: Vec<Column> = content.get("columns")?.as_array()?.iter().map(Column::read).collect();
        let rows = content.get("rows")?.as_array()?;
        let is_foreign =
            |row: &Value| row.as_object().is_some_and(|row| columns.iter().all(|c| c.value(row).is_none()));
        if !rows.is_empty() && rows.iter().all(is_foreign) {
            return None;
        }
        let read_row = |row: &Value| {
            let mut values = match row {
                Value::Array(values) => values.clone(),
                Value::Object(row) => columns.iter().map(|c| c.value(row).cloned().unwrap_or_default()).collect(),
                single => vec![single.clone()],
            };
            if values.len() < columns.len() {
                values.resize(columns.len(), Value::Null);
            }
            values
        };
        let rows = rows.iter().map(read_row).collect();
        Some(Self { columns: columns.into_iter().map(|column| column.title).collect(), rows })
    }

    /// Writes the table as CSV (RFC 4180, UTF-8): the column titles, then one line for each row. Strings are written as they
    /// are, `null` as an empty value, lists and objects as JSON.
    ///
    /// # Errors
    ///
    /// The errors of the writer.
    pub fn write_csv(&self, mut to: impl Write) -> io::Result<()> {
        let titles: Vec<Value> = self.columns.iter().map(|title| title.as_str().into()).collect();
        for row in std::iter::once(&titles).chain(&self.rows) {
            for (index, value) in row.iter().enumerate() {
                let mut cell = match value {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                if cell.contains(['"', ',', '\r', '\n']) || cell.trim() != cell {
                    cell = format!("\"{}\"", cell.replace('"', "\"\""));
                }
                write!(to, "{}{cell}", if index == 0 { "" } else { "," })?;
            }
            to.write_all(b"\r\n")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_is_read_in_every_form() {
        let table = |columns: [&str; 2]| Table {
            columns: columns.map(str::to_owned).to_vec(),
            rows: vec![vec![json!(1), Value::Null]],
        };
        for (columns, rows, titles) in [
            (json!(["a", "b"]), json!([[1]]), ["a", "b"]),
            (json!(["a", "b"]), json!([{"a": 1}]), ["a", "b"]),
            (json!([{"name": "a"}, {"title": "b"}]), json!([{"a": 1}]), ["a", "b"]),
            (
                json!([{"key": "a", "title": "Mark"}, {"key": "b", "title": "Width"}]),
                json!([{"a": 1}]),
                ["Mark", "Width"],
            ),
            (json!([{"id": "a", "name": "Mark"}, {"id": 7, "name": "Width"}]), json!([{"a": 1}]), ["Mark", "Width"]),
            (json!([{"id": "x", "name": "Mark"}, {"name": "Width"}]), json!([{"Mark": 1}]), ["Mark", "Width"]),
        ] {
            assert_eq!(Table::read(&json!({"columns": columns, "rows": rows})), Some(table(titles)), "{columns}");
        }
        let numbered = json!({"columns": [{"id": 1, "name": "a"}], "rows": [{"1": "x"}]});
        assert_eq!(Table::read(&numbered).unwrap().rows, [[json!("x")]]);
    }

    #[test]
    fn a_table_is_written_as_csv() {
        let content = json!({"columns": ["mark", "note"], "rows": [["D1", "36\""], ["D2", null], [" x", [1, "a"]]]});
        let mut csv = Vec::new();
        Table::read(&content).unwrap().write_csv(&mut csv).unwrap();
        let expected = "mark,note\r\nD1,\"36\"\"\"\r\nD2,\r\n\" x\",\"[1,\"\"a\"\"]\"\r\n";
        assert_eq!(String::from_utf8(csv).unwrap(), expected);
    }

    #[test]
    fn content_that_is_not_a_table_is_none() {
        for content in [
            json!("text"),
            json!({"columns": 1, "rows": []}),
            json!({"columns": [{"key": "a"}], "rows": [{"b": 1}, {"c": 2}]}),
        ] {
            assert_eq!(Table::read(&content), None, "{content}");
        }
        assert!(Table::read(&json!({"columns": ["a"], "rows": []})).unwrap().rows.is_empty());
    }
}
