//! Projects, which agents can be launched in.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::Call;
use crate::ids::ProjectId;
use crate::lenient;
use crate::listing::Listing;
use crate::nomic::Nomic;
use crate::operations::LIST_PROJECTS;

/// A project (inferred: only its existence is documented).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name, e.g. `Project Alpha`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Nomic {
    /// Lists the projects.
    ///
    /// `GET /projects` · scope `developer:agent` · standard tier · inferred
    ///
    /// ```no_run
    /// # let nomic = nomic_client::Nomic::from_env()?;
    /// for project in nomic.projects() {
    ///     println!("{}", project?.id);
    /// }
    /// # Ok::<(), nomic_client::Error>(())
    /// ```
    #[doc(alias = "list_projects")]
    pub fn projects(&self) -> Listing<Project> {
        Listing::new(self, Call::to(&LIST_PROJECTS, &[]), None)
    }
}
