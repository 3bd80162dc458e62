//! The temporary folder for uploads, and the removal of those that killed processes have left behind.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder that is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn create() -> io::Result<Folder> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        static CLEANED: Once = Once::new();
        let all = std::env::temp_dir();
        let namespace = namespace();
        if let Some(namespace) = namespace {
            CLEANED.call_once(|| clean_up(&all, namespace));
        }
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = all.join(format!("{PREFIX}{}-{}-{number}", namespace.unwrap_or(0), process::id()));
            match fs::create_dir(&path) {
                // Left behind by an earlier process with the same id.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created.map(|()| Folder(path)),
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

/// Followed by the PID namespace, the process id, and a counter.
const PREFIX: &str = "nomic-emulator-";

/// The PID namespace: containers may share a folder for temporary files, but not process ids. None if there is no procfs.
fn namespace() -> Option<u64> {
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

/// Removes the folders of emulators that were killed, but not those of running processes or of other namespaces.
fn clean_up(all: &Path, namespace: u64) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let numbers = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).unwrap_or_default().split('-');
        let Ok(numbers) = numbers.map(str::parse).collect::<Result<Vec<u64>, _>>() else { continue };
        let [owner, process, _] = numbers[..] else { continue };
        if owner == namespace && !Path::new("/proc").join(process.to_string()).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_killed_processes_are_removed() {
        let namespace = namespace().unwrap();
        let all = Folder::create().unwrap();
        let me = process::id();
        // No process has such a high id.
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
        clean_up(all.path(), namespace);
        let entries = fs::read_dir(all.path()).unwrap();
        let mut remaining: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let mut expected = stay.to_vec();
        remaining.sort();
        expected.sort();
        assert_eq!(remaining, expected);
    }
}
