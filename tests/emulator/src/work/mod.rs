//! The work of jobs: reads documents, extracts values, and writes reports.

mod document;
mod extract;
mod facts;
mod html;
mod lines;
mod pdf;
mod text;
mod values;
mod write;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub(crate) use document::{Block, Document, Kind};
pub(crate) use extract::extract;
pub(crate) use facts::Source;
pub(crate) use write::{Written, write};

/// Larger files are not read.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Reads a stored file of the type of its name, or else of its MIME type. The error says why it cannot be read.
pub(crate) fn read(path: &Path, file_name: &str, mime_type: &str) -> Result<Document, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    let document = match (read, file_type(file_name, mime_type)) {
        (_, Err(name)) => return Err(format!("unsupported file type {name}")),
        (Err(error), _) => return Err(format!("cannot read the stored file: {error}")),
        _ if bytes.len() as u64 > MAX_BYTES => return Err("the file exceeds 64 MiB".to_owned()),
        (_, Ok("pdf")) => pdf::read(bytes)?,
        (_, Ok("md")) => html::read_markdown(&text::decode(&bytes)?),
        (_, Ok("html")) => html::read(&text::decode(&bytes)?),
        _ => text::read(&text::decode(&bytes)?, false),
    };
    let has_text = document.blocks().any(|(_, block)| block.text.contains(char::is_alphanumeric));
    if has_text { Ok(document) } else { Err("there is no text in it".to_owned()) }
}

/// `txt`, `md`, `html` or `pdf`. The error is the name of another type.
pub(crate) fn file_type(file_name: &str, mime_type: &str) -> Result<&'static str, String> {
    let extension = file_name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let mime = mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match (extension.as_deref(), mime.as_str()) {
        (Some("txt" | "text"), _) => Ok("txt"),
        (Some("md" | "markdown"), _) => Ok("md"),
        (Some("html" | "htm" | "xhtml"), _) => Ok("html"),
        (Some("pdf"), _) | (_, "application/pdf" | "application/x-pdf") => Ok("pdf"),
        (_, "text/plain") => Ok("txt"),
        (_, "text/markdown" | "text/x-markdown") => Ok("md"),
        (_, "text/html" | "application/xhtml+xml") => Ok("html"),
        (_, "") => Err(extension.unwrap_or_else(|| "unknown".to_owned())),
        _ => Err(mime_type.to_owned()),
    }
}

#[cfg(test)]
pub(crate) use html::read_markdown;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A file that is removed again.
    struct Stored(std::path::PathBuf);

    impl Stored {
        fn new(bytes: &[u8]) -> Stored {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let name = format!("nomic-emulator-work-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, bytes).unwrap();
            Stored(path)
        }
    }

    impl Drop for Stored {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn read_bytes(bytes: &[u8], name: &str, mime_type: &str) -> Result<Document, String> {
        read(&Stored::new(bytes).0, name, mime_type)
    }

    fn assert_in_page(document: &Document) {
        for (page, block) in document.blocks() {
            let block = block.rect.json(page);
            let bbox = |key: &str| block[key].as_f64().unwrap();
            assert!(bbox("left") >= 0.0 && bbox("left") + bbox("width") <= 1.0, "{block}");
            assert!(bbox("top") >= 0.0 && bbox("top") + bbox("height") <= 1.0, "{block}");
            assert!(bbox("width") > 0.0 && bbox("height") > 0.0, "{block}");
            assert!((1..=document.pages.len()).contains(&page), "{block}");
        }
    }

    #[test]
    fn the_name_decides_before_the_mime_type() {
        let markdown = b"# Harbor\n\nText.";
        let title =
            |name: &str, mime: &str| read_bytes(markdown, name, mime).map(|found| found.pages[0][0].type_name());
        assert_eq!(title("a.MD", "text/plain"), Ok("Title"));
        assert_eq!(title("a.bin", "text/markdown; charset=utf-8"), Ok("Title"));
        assert_eq!(
            title("no extension", "application/octet-stream"),
            Err("unsupported file type application/octet-stream".into())
        );
        assert_eq!(title("a.docx", ""), Err("unsupported file type docx".into()));
        assert!(title("a.pdf", "text/markdown").unwrap_err().starts_with("the PDF cannot be read"));
    }

    #[test]
    fn a_file_without_text_is_empty_in_every_format() {
        for (name, bytes) in
            [("a.txt", " \n\u{c}\n"), ("a.md", "\n---\n"), ("a.html", "<p> </p><script>let x = 1;</script>")]
        {
            assert_eq!(read_bytes(bytes.as_bytes(), name, ""), Err("there is no text in it".into()), "{name}");
        }
    }

    #[test]
    fn a_stored_file_that_is_gone_is_an_error() {
        let error = read(Path::new("/nowhere/at/all"), "a.txt", "").unwrap_err();
        assert!(error.starts_with("cannot read the stored file"), "{error}");
    }

    #[test]
    fn every_box_lies_in_its_page_in_every_format() {
        let markdown = format!("# Long\n\n{}\n\n| A | B |\n|-|-|\n{}", "word ".repeat(3000), "| x | y |\n".repeat(200));
        let html = format!(
            "<h1>Long</h1><p>{}</p><img alt=plan><table>{}</table>",
            "word ".repeat(3000),
            "<tr><td>x<td>y<td>z".repeat(200)
        );
        let text = format!("{}\n{}\n", "x".repeat(5000), "a    b    c\n".repeat(300));
        for (name, content) in [("a.md", markdown), ("a.html", html), ("a.txt", text)] {
            let document = read_bytes(content.as_bytes(), name, "").unwrap();
            assert!(document.pages.len() > 2, "{name}");
            assert_in_page(&document);
        }
    }
}
