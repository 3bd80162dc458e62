//! Files: searching them. For uploads, see `upload.rs`.

use serde_json::json;

use crate::api::{ApiResponse, Call};
use crate::failure::Failure;
use crate::pages::PageRequest;
use crate::state::lock;

pub(crate) fn search(call: &Call) -> Result<ApiResponse, Failure> {
    let query = call.query("query").ok_or_else(|| Failure::issue(["query"], "Required"))?.to_lowercase();
    let page = PageRequest::read(call, 10, Some(50))?;
    let library = lock(&call.world.library);
    let hits = library.search(&query, call.query("integrationId"), page.first());
    let items = hits.map(|(index, file)| {
        let hit = json!({
            "id": file.id,
            "name": file.name,
            "mimeType": file.mime_type,
            "parentId": file.folder,
            "path": library.path(file),
        });
        (index as u64, hit)
    });
    Ok(page.response(call, items, None))
}
