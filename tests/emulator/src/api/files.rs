//! Files: searching them. Uploading stands in `upload.rs`, since it reads from the socket.

use serde_json::json;

use crate::api::{Answer, Call};
use crate::failure::Failure;
use crate::pages::{Items, Window};
use crate::state::lock;

pub(crate) fn search(call: &Call) -> Result<Answer, Failure> {
    let query = call.query("query").ok_or_else(|| Failure::issue(["query"], "Required"))?.to_lowercase();
    let window = Window::read(call, 10, Some(50))?;
    let library = lock(&call.world.library);
    let hits = library.search(&query, call.query("integrationId"), window.first());
    let items: Items = hits
        .take(window.limit + 1)
        .map(|(place, file)| {
            let hit = json!({
                "id": file.id,
                "name": file.name,
                "mimeType": file.mime_type,
                "parentId": file.folder,
                "path": library.path(file),
            });
            (place as u64, hit)
        })
        .collect();
    Ok(window.page(call, items, None))
}
