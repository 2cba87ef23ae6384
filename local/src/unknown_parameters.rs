//! Parameters that nobody reads: a name that is mistyped, or one that stands in the other tree.

use koala_collector::settings::CollectorSettings;
use koala_destination::settings::{Parameter, Problem, unknown_parameters};

/// What means nothing in the destination's tree; `of_collector` is what stands before the names of the collector's.
pub fn of_destination(parameters: &[Parameter], of_collector: &str) -> Vec<Problem> {
    let unknown = |name: &str| {
        let message = if CollectorSettings::knows(name) {
            format!("unknown parameter; it is read at {of_collector}{name} now: move it there")
        } else {
            "unknown parameter".to_owned()
        };
        Problem { parameter: name.to_owned(), message }
    };
    unknown_parameters(parameters).into_iter().map(unknown).collect()
}

/// What means nothing in the collector's tree.
pub fn of_collector(parameters: &[Parameter], of_collector: &str) -> Vec<Problem> {
    let unknown = parameters.iter().filter(|parameter| !CollectorSettings::knows(&parameter.name));
    let problem = |Parameter { name, .. }: &Parameter| Problem {
        parameter: format!("{of_collector}{name}"),
        message: "unknown parameter".to_owned(),
    };
    unknown.map(problem).collect()
}
