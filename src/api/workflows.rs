//! Workflows, which agents can run instead of a prompt.
//!
//! A workflow has [`inputs`](Workflow::inputs), which are slots for files. Fill them with
//! [`Launch::input`](crate::agents::Launch::input):
//!
//! ```no_run
//! use nomic_client::{Nomic, agents::Launch};
//!
//! let nomic = Nomic::from_env()?;
//! let file = nomic.upload_file("submittal.pdf")?;
//! for workflow in nomic.workflows() {
//!     let workflow = workflow?;
//!     if workflow.name.as_deref() == Some("Submittal review") {
//!         let mut launch = Launch::workflow(&workflow.id);
//!         for slot in &workflow.inputs {
//!             launch = launch.input(&slot.name, [&file.id]); // the files for this slot
//!         }
//!         let agent = nomic.wait(&nomic.launch_agent(&launch)?)?;
//!         println!("{}", agent.status);
//!         break;
//!     }
//! }
//! # Ok::<(), nomic_client::Error>(())
//! ```

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::Call;
use crate::ids::WorkflowId;
use crate::lenient;
use crate::listing::Listing;
use crate::nomic::Nomic;
use crate::operations::LIST_WORKFLOWS;

/// A workflow (inferred: only its existence is documented).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Workflow {
    /// Its id.
    pub id: WorkflowId,
    /// Its name, e.g. `Submittal review`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: Option<String>,
    /// Its description, e.g. `Checks a submittal against the spec.`
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub description: Option<String>,
    /// Its slots for files; fill them with [`Launch::input`](crate::agents::Launch::input).
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub inputs: Vec<Input>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A slot for files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Input {
    /// Its name, e.g. `submittal`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub name: String,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Nomic {
    /// Lists the workflows that can be launched.
    ///
    /// `GET /workflows` · scope `developer:agent` · standard tier · inferred
    #[doc(alias = "list_workflows")]
    pub fn workflows(&self) -> Listing<Workflow> {
        Listing::new(self, Call::to(&LIST_WORKFLOWS, &[]), None)
    }
}
