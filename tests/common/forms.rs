//! The forms that the contract leaves open to the service: each alone, and all of them together.

use std::time::Duration;

use nomic_client::Nomic;
use nomic_emulator::{ApiVersion, Emulator, LimitModel, Limits, Variation};

/// A form of the service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    pub(crate) name: String,
    version: ApiVersion,
    variations: Vec<Variation>,
    moved: bool,
    /// Without rate-limit headers.
    quiet: bool,
}

/// Other paths of operations whose path is inferred, and of some others.
const MOVED: [(&str, &str); 8] = [
    ("get_parse", "/tasks/{taskId}"),
    ("get_extract", "/tasks/{taskId}"),
    ("list_agents", "/agents/all"),
    ("get_agent", "/agents/{id}/state"),
    ("follow_up_agent", "/agents/{id}/messages"),
    ("list_artifacts", "/artifacts/of/{id}"),
    ("get_artifact", "/artifacts/{artifactId}/of/{id}"),
    ("list_workflows", "/agents/workflows"),
];

/// One switch each, and all switches together in each version of the API.
pub(crate) fn forms() -> Vec<Form> {
    let mut forms: Vec<Form> = Variation::ALL
        .iter()
        .map(|one| Form { name: one.name().to_owned(), variations: vec![*one], ..Form::default() })
        .collect();
    forms.push(Form { name: "moved".to_owned(), moved: true, ..Form::default() });
    forms.push(Form { name: "quiet".to_owned(), quiet: true, ..Form::default() });
    for version in [ApiVersion::Old, ApiVersion::Current, ApiVersion::Future] {
        let (name, variations) = (format!("{version:?} with all"), Variation::ALL.to_vec());
        forms.push(Form { name, version, variations, moved: true, quiet: true });
    }
    forms
}

impl Form {
    /// An emulator of this form.
    pub(crate) fn emulator(&self) -> Emulator {
        let quiet = Limits::documented(LimitModel::FullBurst).headers_on_429_only();
        let limits = if self.quiet { quiet } else { Limits::high() };
        let builder = Emulator::builder().limits(limits).job_time(Duration::ZERO).api_version(self.version);
        let builder = self.variations.iter().fold(builder, |builder, one| builder.variation(*one));
        let builder = self.paths().fold(builder, |builder, (name, path)| builder.move_operation(name, path));
        builder.start().unwrap()
    }

    /// A client of such an emulator.
    pub(crate) fn nomic(&self, emulator: &Emulator) -> Nomic {
        let builder = super::builder(emulator);
        self.paths().fold(builder, |builder, (name, path)| builder.operation_path(name, path)).build().unwrap()
    }

    /// The arguments of the CLI for such an emulator.
    pub(crate) fn arguments(&self) -> Vec<String> {
        self.paths().flat_map(|(name, path)| ["--path".to_owned(), format!("{name}={path}")]).collect()
    }

    fn paths(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        MOVED.into_iter().filter(|_| self.moved)
    }
}
