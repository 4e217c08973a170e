//! Lists the files of `demo-vault/`, so that `heph demo` carries them inside the program.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=demo-vault");
    let vault = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("demo-vault");
    let mut entries = Vec::new();
    if vault.is_dir() {
        list(&vault, "", &mut entries)?;
    }
    entries.sort();
    let list = format!("&[\n{}]\n", entries.concat());
    fs::write(Path::new(&env::var("OUT_DIR")?).join("demo_vault.rs"), list)?;
    Ok(())
}

fn list(dir: &Path, prefix: &str, entries: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| format!("not UTF-8: {}", name.display()))?;
        let inside = format!("{prefix}{name}");
        match entry.file_type()?.is_dir() {
            true => list(&entry.path(), &format!("{inside}/"), entries)?,
            false => entries.push(format!("    ({inside:?}, include_bytes!({:?})),\n", entry.path())),
        }
    }
    Ok(())
}
