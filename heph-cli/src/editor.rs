//! A person's editor on a text, in a file that is removed only when its text is safe elsewhere.
//!
//! The file lies in heph's state directory, not in a temporary one: a crash or a reboot in mid-edit leaves it
//! there.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use heph_api::socket::state_dir;
use tempfile::{Builder, NamedTempFile, TempPath};

use crate::{failure::Failure, surface::text_or_stdin};

/// A text on its way to the daemon, that must not be lost if it does not get there.
pub struct Draft {
    text: String,
    kept: Kept,
}

/// Where the text is, besides in this process.
enum Kept {
    /// In the caller's shell, who can repeat it.
    Typed,
    /// Nowhere: a pipe is read once.
    Piped,
    /// In a file, since the editor wrote it.
    File(TempPath),
}

impl Draft {
    /// Returns the text that was typed, or all of standard input where `-` was typed.
    pub fn from_words(words: &str) -> Result<Self, Failure> {
        let kept = if words == "-" { Kept::Piped } else { Kept::Typed };
        Ok(Self { text: text_or_stdin(words)?, kept })
    }

    /// Lets the person edit a text; `None` if it is the same afterwards.
    pub fn from_editor(before: &str) -> Result<Option<Self>, Failure> {
        let mut file = write(before)?;
        let ended = run_editor(&file);
        let after = fs::read(&file).map_err(Failure::file("read", &file))?;
        let changed = after != before.as_bytes();
        file.disable_cleanup(changed);
        ended.map_err(|how| given_up(&how, changed.then_some(&file)))?;
        let text = String::from_utf8(after).map_err(|_| not_utf8(&file))?;
        Ok(changed.then_some(Self { text, kept: Kept::File(file) }))
    }

    /// Sends the text and removes its file; where sending fails, the text is kept in a file that the failure
    /// names, with the command that saves it.
    pub fn send<T>(
        self,
        how_to_save: impl FnOnce(&Path) -> String,
        send: impl FnOnce(String) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match (send(self.text.clone()), self.kept) {
            (Ok(answer), Kept::File(file)) => file.close().map(|()| answer).map_err(not_removed),
            (Ok(answer), Kept::Typed | Kept::Piped) => Ok(answer),
            (Err(failure), Kept::Typed) => Err(failure),
            (Err(failure), Kept::Piped) => Err(keeping(failure, &write(&self.text)?, how_to_save)),
            (Err(failure), Kept::File(file)) => Err(keeping(failure, &file, how_to_save)),
        }
    }
}

fn keeping(failure: Failure, file: &Path, how_to_save: impl FnOnce(&Path) -> String) -> Failure {
    failure.keeping(file, &how_to_save(file))
}

fn write(text: &str) -> Result<TempPath, Failure> {
    let dir = edits_dir()?;
    let write = || -> std::io::Result<NamedTempFile> {
        let mut file = Builder::new().prefix("text-").suffix(".md").tempfile_in(&dir)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    let mut file = write().map_err(Failure::file("write a file in", &dir))?.into_temp_path();
    // Whatever happens to this process or to the editor, the file stays until somebody decides otherwise.
    file.disable_cleanup(true);
    Ok(file)
}

/// Returns the directory for texts in the making; like the socket's, only its owner can look into it.
fn edits_dir() -> Result<PathBuf, Failure> {
    let dir = state_dir()?.join("edits");
    let create = || -> std::io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))
    };
    create().map_err(Failure::file("make", &dir))?;
    Ok(dir)
}

/// Runs the editor as git does, through the shell, so that `EDITOR="code --wait"` works; or returns how it
/// failed.
fn run_editor(file: &Path) -> Result<(), String> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".into());
    let mut command = editor.clone();
    command.push(" \"$@\"");
    let status = Command::new("sh").arg("-c").arg(command).arg("sh").arg(file).status();
    let how = match status {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    Err(format!("the editor `{}` ended with {how}", editor.display()))
}

fn given_up(how: &str, kept: Option<&TempPath>) -> Failure {
    let kept = kept.map(|file| format!("; what was edited is in {}", file.display()));
    let hint = format!("set VISUAL or EDITOR{}", kept.unwrap_or_default());
    Failure::here_with_hint("editor", format!("{how}; nothing was saved"), hint)
}

fn not_removed(error: std::io::Error) -> Failure {
    Failure::here("file_error", format!("the text is saved; its file cannot be removed: {error}"))
}

fn not_utf8(file: &Path) -> Failure {
    Failure::here_with_hint(
        "bad_request",
        "the edited text is not UTF-8; nothing was saved",
        format!("save it as UTF-8; it is kept in {}", file.display()),
    )
}
