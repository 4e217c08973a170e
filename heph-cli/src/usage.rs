//! What was typed makes no command: said as clap says it, or with `--json` as the one object that every error is.

use std::{ffi::OsString, process::ExitCode};

use clap::error::ErrorKind;
use heph_api::ApiError;

use crate::failure;

/// Says what is wrong and returns the exit code: 2, or 0 for help that was asked for.
pub fn report(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || !wants_json(std::env::args_os()) {
        error.exit();
    }
    failure::say(&to_api_error(error.kind(), &error.render().to_string()), true);
    ExitCode::from(2)
}

/// Returns whether `--json` is among the words, as far as that can be told of words that make no sense.
fn wants_json(words: impl Iterator<Item = OsString>) -> bool {
    words.skip(1).take_while(|word| word != "--").any(|word| word == "--json")
}

/// Returns what clap says as message and hint: its first paragraph is what is wrong, the others are what to type.
fn to_api_error(kind: ErrorKind, text: &str) -> ApiError {
    let mut paragraphs = text.trim().split("\n\n").map(one_line).filter(|text| !text.starts_with("For more info"));
    if kind == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let usage = paragraphs.find(|text| text.starts_with("Usage: "));
        return with_hint(ApiError::new("usage", "a command is missing"), usage.into_iter());
    }
    let message = paragraphs.next().unwrap_or_default();
    with_hint(ApiError::new("usage", message.strip_prefix("error: ").unwrap_or(&message)), paragraphs)
}

fn with_hint(error: ApiError, paragraphs: impl Iterator<Item = String>) -> ApiError {
    let hint: Vec<_> = paragraphs.map(|text| text.strip_prefix("tip: ").unwrap_or(&text).to_owned()).collect();
    error.with_hint(if hint.is_empty() { "heph --help".to_owned() } else { hint.join("; ") })
}

fn one_line(paragraph: &str) -> String {
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Args;

    fn told(words: &[&str]) -> (String, String) {
        let error = Args::try_parse_from(words).unwrap_err();
        let told = to_api_error(error.kind(), &error.render().to_string());
        assert_eq!(told.code, "usage");
        (told.message, told.hint.unwrap())
    }

    #[test]
    fn what_is_wrong_is_the_message_and_what_to_type_is_the_hint() {
        let (message, hint) = told(&["heph", "lisst"]);
        assert_eq!(message, "unrecognized subcommand 'lisst'");
        assert!(hint.contains("'list'") && hint.contains("Usage: heph"), "{hint}");
        let (message, hint) = told(&["heph", "task"]);
        assert_eq!(message, "the following required arguments were not provided: <TITLE>...");
        assert!(hint.starts_with("Usage: heph task"), "{hint}");
        let (message, hint) = told(&["heph", "task", "x", "--do", "soon"]);
        assert!(message.starts_with("invalid value 'soon' for '--do <DATE>': expected YYYY-MM-DD"), "{message}");
        assert_eq!(hint, "heph --help");
        let (message, hint) = told(&["heph", "doc"]);
        assert_eq!((message.as_str(), hint.starts_with("Usage: heph doc")), ("a command is missing", true), "{hint}");
    }

    #[test]
    fn json_is_wanted_where_it_is_typed_as_an_option() {
        let wants = |words: &[&str]| wants_json(words.iter().map(OsString::from));
        assert!(wants(&["heph", "--json", "lisst"]) && wants(&["heph", "list", "--state", "odd", "--json"]));
        assert!(!wants(&["heph", "task", "--do", "soon", "--", "--json"]) && !wants(&["--json"]));
    }
}
