//! Launching agents: a prompt with images, or a workflow with files.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ids::{FileId, ProjectId, WorkflowId};
use crate::image;
use crate::operations::LAUNCH_AGENT;

/// The instructions for an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Prompt {
    /// The text, e.g. `List the doors as a table.`
    pub text: String,
    /// Images that belong to the text (inferred).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
}

impl Prompt {
    /// A prompt, e.g. `List the doors as a table.`
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), images: Vec::new() }
    }

    /// Adds an image that belongs to the text (inferred).
    #[must_use]
    pub fn image(mut self, image: Image) -> Self {
        self.images.push(image);
        self
    }
}

impl<T: Into<String>> From<T> for Prompt {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// An image in a prompt, in base64, with its size (inferred).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Image {
    /// The bytes of the image file, in base64.
    pub data: String,
    /// The size, in pixels.
    pub dimension: Dimension,
}

/// The size of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Dimension {
    /// The width in pixels, e.g. 640.
    pub width: u32,
    /// The height in pixels, e.g. 480.
    pub height: u32,
}

impl Image {
    /// An image from a PNG, JPEG, GIF, WebP or BMP file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Document`](crate::ErrorKind::Document) if the file cannot be read, or has another format.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| Error::document(LAUNCH_AGENT.name, &*name, error))?;
        Self::read(&bytes, &name)
    }

    /// An image from the bytes of a PNG, JPEG, GIF, WebP or BMP file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Document`](crate::ErrorKind::Document) if the bytes have another format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes, "the image")
    }

    /// An image of any format with a known size.
    #[must_use]
    pub fn from_bytes_with_size(bytes: &[u8], dimension: Dimension) -> Self {
        Self { data: STANDARD.encode(bytes), dimension }
    }

    fn read(bytes: &[u8], name: &str) -> Result<Self> {
        let Some((width, height)) = image::dimensions(bytes) else {
            let error = io::Error::new(io::ErrorKind::InvalidData, "not a PNG, JPEG, GIF, WebP or BMP image");
            return Err(Error::document(LAUNCH_AGENT.name, name, error));
        };
        Ok(Self::from_bytes_with_size(bytes, Dimension { width, height }))
    }
}

/// The request to launch an agent, with a prompt or a workflow.
///
/// ```
/// use nomic_client::agents::Launch;
///
/// let summary = Launch::prompt("Summarize the report.").files(["019a"]);
/// let review = Launch::workflow("019b").input("submittal", ["019c"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "a launch does nothing until it is given to `Nomic::launch_agent`"]
#[non_exhaustive]
pub struct Launch {
    /// What the agent should do. Cannot be combined with `inputs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Prompt>,
    /// The workflow to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<WorkflowId>,
    /// The project to work in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// The files and folders to work on. Cannot be combined with a workflow.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub file_ids: Vec<FileId>,
    /// The files for each input of the workflow, e.g. for `submittal`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Vec<FileId>>,
}

impl Launch {
    /// Creates a launch with a prompt.
    pub fn prompt(prompt: impl Into<Prompt>) -> Self {
        Self { prompt: Some(prompt.into()), ..Self::default() }
    }

    /// Creates a launch with a workflow.
    pub fn workflow(workflow_id: impl Into<WorkflowId>) -> Self {
        Self { workflow_id: Some(workflow_id.into()), ..Self::default() }
    }

    /// Adds a prompt to a workflow. Cannot be combined with [`input`](Self::input).
    pub fn with_prompt(self, prompt: impl Into<Prompt>) -> Self {
        Self { prompt: Some(prompt.into()), ..self }
    }

    /// Adds files and folders to work on. Cannot be combined with a workflow.
    pub fn files<I: Into<FileId>>(mut self, files: impl IntoIterator<Item = I>) -> Self {
        self.file_ids.extend(files.into_iter().map(Into::into));
        self
    }

    /// Sets the project to work in.
    pub fn project(mut self, project_id: impl Into<ProjectId>) -> Self {
        self.project_id = Some(project_id.into());
        self
    }

    /// Sets the files for one input of the workflow; its [`inputs`](crate::workflows::Workflow::inputs) have the names.
    pub fn input<I: Into<FileId>>(mut self, name: impl Into<String>, files: impl IntoIterator<Item = I>) -> Self {
        self.inputs.insert(name.into(), files.into_iter().map(Into::into).collect());
        self
    }

    /// Why the API would reject the launch, and what to do instead.
    pub(super) fn error(&self) -> Option<&'static str> {
        match (&self.prompt, &self.workflow_id) {
            (None, None) => Some("a launch needs a prompt or a workflow"),
            (_, None) if !self.inputs.is_empty() => {
                Some("inputs need a workflow; begin with Launch::workflow, or pass the files to Launch::files")
            }
            (_, Some(_)) if !self.file_ids.is_empty() => {
                Some("files are only for a prompt; give a workflow its files with Launch::input")
            }
            (Some(_), Some(_)) if !self.inputs.is_empty() => {
                Some("a workflow with inputs takes no prompt; leave one of them out")
            }
            (Some(prompt), _) if prompt.text.trim().is_empty() => Some("the prompt is empty"),
            (Some(_), _) | (None, Some(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn combinations_that_the_contract_forbids_are_refused_with_what_to_do() {
        let invalid = |launch: Launch| launch.error().unwrap_or_default();
        assert!(invalid(Launch::default()).contains("needs a prompt"));
        assert!(invalid(Launch::prompt(" ")).contains("is empty"));
        assert!(invalid(Launch::prompt("go").input("a", ["f"])).contains("Launch::workflow"));
        assert!(invalid(Launch::workflow("w").files(["f"])).contains("Launch::input"));
        let both = Launch::workflow("w").with_prompt("go");
        assert!(invalid(both.clone().input("a", ["f"])).contains("no prompt"));
        for allowed in [both, Launch::prompt("go"), Launch::workflow("w"), Launch::workflow("w").input("a", ["f"])] {
            assert_eq!(allowed.error(), None, "{allowed:?}");
        }
    }

    #[test]
    fn a_launch_is_encoded_as_the_contract_says() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03";
        let prompt = Prompt::new("go").image(Image::from_bytes(png).unwrap());
        let launch = Launch::prompt(prompt).files(["f"]).project("p");
        let data = STANDARD.encode(png);
        assert_eq!(
            serde_json::to_value(&launch).unwrap(),
            json!({"prompt": {"text": "go", "images": [{"data": data, "dimension": {"width": 2, "height": 3}}]},
                   "projectId": "p", "fileIds": ["f"]})
        );
    }

    #[test]
    fn bytes_that_are_not_an_image_are_an_error() {
        let error = Image::from_bytes(b"%PDF").unwrap_err().to_string();
        assert_eq!(error, "launch_agent: the image: not a PNG, JPEG, GIF, WebP or BMP image");
    }
}
