//! The option `--path OPERATION=PATH`.

use nomic_client::{Builder, ErrorKind, Nomic};

/// Parses an operation and its path, which a client accepts.
pub(crate) fn operation_path(text: &str) -> Result<(String, String), String> {
    let (operation, path) = text.split_once('=').ok_or("expected OPERATION=PATH, e.g. get_parse=/tasks/{taskId}")?;
    let built = Nomic::builder("http://127.0.0.1", "npk_unused").operation_path(operation, path).build();
    match built.as_ref().map_err(nomic_client::Error::kind) {
        Ok(_) => Ok((operation.to_owned(), path.to_owned())),
        Err(ErrorKind::Config(reason)) => Err(reason.clone()),
        Err(kind) => Err(kind.to_string()),
    }
}

/// The builder with these operations at these paths.
pub(crate) fn with_paths(builder: Builder, paths: &[(String, String)]) -> Builder {
    paths.iter().fold(builder, |builder, (operation, path)| builder.operation_path(operation, path))
}
