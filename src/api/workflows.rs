//! Workflows: what an agent can be launched with instead of a prompt.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::Call;
use crate::ids::WorkflowId;
use crate::listing::Listing;
use crate::nomic::Nomic;
use crate::operations::LIST_WORKFLOWS;
use crate::words::null_is_default;

/// A workflow (inferred: only its existence is documented).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Workflow {
    /// Its id.
    pub id: WorkflowId,
    /// Its name, as `Submittal review`.
    #[serde(default)]
    pub name: Option<String>,
    /// What it does.
    #[serde(default)]
    pub description: Option<String>,
    /// The files that it takes; a launch names them in its `inputs`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub inputs: Vec<Input>,
    /// What else the service said.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A slot for files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Input {
    /// Its name, as `submittal`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    /// What else the service said.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Nomic {
    /// Lists the workflows that can be launched.
    ///
    /// `GET /workflows` · scope `developer:agent` · standard tier · inferred
    ///
    /// ```no_run
    /// # let nomic = nomic_client::Nomic::from_env()?;
    /// for workflow in nomic.workflows() {
    ///     let workflow = workflow?;
    ///     println!("{} {}", workflow.id, workflow.name.unwrap_or_default());
    /// }
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    #[doc(alias = "list_workflows")]
    pub fn workflows(&self) -> Listing<Workflow> {
        Listing::new(self, Call::to(&LIST_WORKFLOWS, &[]), None)
    }
}
