//! The folder for uploads: made at the start, removed at the end, and swept up by others if nobody was left to do so.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder that goes away when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn create() -> io::Result<Folder> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        static SWEPT: Once = Once::new();
        let all = std::env::temp_dir();
        let namespace = namespace();
        if let Some(namespace) = namespace {
            SWEPT.call_once(|| sweep(&all, namespace));
        }
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = all.join(format!("{PREFIX}{}-{}-{number}", namespace.unwrap_or(0), process::id()));
            match fs::create_dir(&path) {
                // Left behind by an earlier process of the same number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| Folder(path)),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Before the namespace, the process, and a number within it.
const PREFIX: &str = "nomic-emulator-";

/// Tells apart the systems and containers that number their processes each for itself and may share a folder for
/// temporary files. None where processes cannot be looked up.
fn namespace() -> Option<u64> {
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

/// Removes the folders of emulators that were killed. Those of the living stay, and those of which it cannot be told.
fn sweep(all: &Path, namespace: u64) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let numbers = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).unwrap_or_default().split('-');
        let Ok(numbers) = numbers.map(str::parse).collect::<Result<Vec<u64>, _>>() else { continue };
        let [place, process, _] = numbers[..] else { continue };
        if place == namespace && !Path::new("/proc").join(process.to_string()).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_the_folders_of_the_dead_are_swept_up() {
        let namespace = namespace().unwrap();
        let all = Folder::create().unwrap();
        let me = process::id();
        // No process has so high a number.
        let dead = u32::MAX;
        let gone = format!("{PREFIX}{namespace}-{dead}-0");
        let stay = [
            format!("{PREFIX}{namespace}-{me}-0"),
            format!("{PREFIX}{}-{dead}-0", namespace + 1),
            format!("{PREFIX}{dead}-0"),
            format!("{PREFIX}{namespace}-{dead}-0-1"),
            format!("{PREFIX}work-{dead}-0"),
        ];
        for name in stay.iter().chain([&gone]) {
            fs::create_dir(all.path().join(name)).unwrap();
        }
        fs::write(all.path().join(&gone).join("upload"), "x").unwrap();
        sweep(all.path(), namespace);
        let entries = fs::read_dir(all.path()).unwrap();
        let mut left: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let mut expected = stay.to_vec();
        left.sort();
        expected.sort();
        assert_eq!(left, expected);
    }
}
