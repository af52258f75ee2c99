//! Tells the program which commit it is built from: reads `.git` itself, so that no git is needed, and says "unknown"
//! outside of a checkout. `HUIZHEN_COMMIT` in the environment of the build wins: for builds from an archive.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Hexadecimal digits that are shown, as git does for a history of this size.
const SHOWN: usize = 12;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=HUIZHEN_COMMIT");
    let given = env::var("HUIZHEN_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty());
    let commit = given.or_else(|| {
        let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
        here.ancestors().find_map(checked_out)
    });
    println!(
        "cargo::rustc-env=HUIZHEN_COMMIT={}",
        commit.as_deref().unwrap_or("unknown")
    );
}

/// The commit that is checked out in a folder; none when it is not the root of a checkout, or has no commit yet.
fn checked_out(root: &Path) -> Option<String> {
    let dot_git = root.join(".git");
    // A worktree has a file there that names the real folder, and shares branches with the checkout that it is of.
    let folder = if dot_git.is_dir() {
        dot_git
    } else {
        let text = fs::read_to_string(&dot_git).ok()?;
        root.join(text.trim().strip_prefix("gitdir: ")?)
    };
    let shared = match fs::read_to_string(folder.join("commondir")) {
        Ok(path) => folder.join(path.trim()),
        Err(_) => folder.clone(),
    };
    let head = read(&folder.join("HEAD"))?;
    // Grows with every move of HEAD; the branch itself may still lie among the packed ones.
    let _ = read(&folder.join("logs/HEAD"));
    let commit = match head.strip_prefix("ref: ") {
        None => head,
        Some(branch) => read(&shared.join(branch)).or_else(|| packed(&shared, branch))?,
    };
    let is_commit = commit.len() >= SHOWN && commit.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_commit.then(|| commit[..SHOWN].to_owned())
}

/// A branch that is not a file of its own.
fn packed(shared: &Path, branch: &str) -> Option<String> {
    let all = read(&shared.join("packed-refs"))?;
    all.lines().find_map(|line| {
        let (commit, name) = line.split_once(' ')?;
        (name == branch).then(|| commit.to_owned())
    })
}

/// Reads a file, and builds anew when it changes. One that is not there is not watched: cargo would build each time.
fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    println!("cargo::rerun-if-changed={}", path.display());
    Some(text.trim().to_owned())
}
