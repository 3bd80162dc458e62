//! The values that the contract lists.

/// The values that the contract lists for a field, by the end of the field's path.
pub(crate) const KNOWN_VALUES: &[(&str, &[&str])] = &[
    (
        "status",
        &[
            "waiting",
            "running",
            "awaiting_tool",
            "finished",
            "stopped",
            "failed",
            "WAITING",
            "BUILDING",
            "COMPLETED",
            "FAILED",
        ],
    ),
    ("artifacts[].type", ARTIFACT_TYPES),
    ("data[].type", ARTIFACT_TYPES),
    ("data.type", ARTIFACT_TYPES),
    ("fileType", &["DOCUMENT"]),
    ("role", &["admin"]),
    ("spendStatus", &["within_limit"]),
    ("actor.type", &["user"]),
    ("blocks[].type", &["Title", "Section Header", "Text", "List Item", "Key Value", "Table", "Figure"]),
    ("messages[].type", &["user_message", "assistant_message"]),
];

const ARTIFACT_TYPES: &[&str] = &["markdown", "table"];
