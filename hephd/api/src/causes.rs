//! An error as a sentence, with what caused it.

use std::error::Error;

/// Returns an error and the chain of its causes in one line. What the line says already is not said again.
pub fn with_causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause: &&dyn Error| (*cause).source());
    let mut line = error.to_string();
    for cause in causes.map(ToString::to_string) {
        if !line.ends_with(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}
