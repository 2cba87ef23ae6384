//! The parameter tree as a directory of files, for the set on one machine.

use std::path::{Path, PathBuf};
use std::{fs, io};

use koala_destination::settings::{Parameter, ParameterSource, SourceError};

/// A directory whose files are the parameters: `public-api-key`, `mappings/checkout.json`, …
///
/// A file's name without `.json` or `.txt` is the parameter's; one line break at the end of a value does not count.
/// Hidden files are ignored.
#[derive(Debug, Clone)]
pub struct ParameterDirectory {
    root: PathBuf,
    /// Whether there may be no such directory, which is a tree without parameters.
    is_optional: bool,
}

/// The longest value, in bytes.
const LONGEST_VALUE: u64 = 64 * 1024;

/// The folder in a directory that is a tree of its own, as the collector's is in Parameter Store.
pub const COLLECTOR_FOLDER: &str = "collector";

impl ParameterDirectory {
    /// The tree below `root`, without the collector's.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), is_optional: false }
    }

    /// The collector's tree in the directory `root`.
    #[must_use]
    pub fn of_collector(root: &Path) -> Self {
        Self { root: root.join(COLLECTOR_FOLDER), is_optional: true }
    }

    fn read_now(&self) -> io::Result<Vec<Parameter>> {
        let mut parameters = Vec::new();
        if self.is_optional && !self.root.exists() {
            return Ok(parameters);
        }
        collect(&self.root, "", &mut parameters)?;
        parameters.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(parameters)
    }
}

impl ParameterSource for ParameterDirectory {
    async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
        let here = self.clone();
        // A folder of a network that hangs must not hold up who answers requests.
        let read = tokio::task::spawn_blocking(move || here.read_now()).await.unwrap_or_else(|end| Err(end.into()));
        read.map_err(|error| SourceError { place: self.root.display().to_string(), reason: error.to_string() })
    }
}

fn collect(directory: &Path, prefix: &str, parameters: &mut Vec<Parameter>) -> io::Result<()> {
    let named = |error: io::Error, path: &Path| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    for entry in fs::read_dir(directory).map_err(|error| named(error, directory))? {
        let path = entry?.path();
        let Some(file) = path.file_name().and_then(|name| name.to_str()).filter(|name| !name.starts_with('.')) else {
            continue;
        };
        if path.is_dir() {
            if prefix.is_empty() && file == COLLECTOR_FOLDER {
                continue;
            }
            collect(&path, &format!("{prefix}{file}/"), parameters)?;
            continue;
        }
        let name = file.strip_suffix(".json").or_else(|| file.strip_suffix(".txt")).unwrap_or(file);
        let mut value = read_value(&path).map_err(|error| named(error, &path))?;
        // Shortened where it is: a copy would not be wiped.
        let line_break = if value.ends_with("\r\n") { 2 } else { usize::from(value.ends_with('\n')) };
        value.truncate(value.len() - line_break);
        parameters.push(Parameter::new(format!("{prefix}{name}"), value));
    }
    Ok(())
}

/// The text of a file. A pipe or a device would be read for ever.
fn read_value(path: &Path) -> io::Result<String> {
    let refused = |reason: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    let about = fs::metadata(path)?;
    if !about.is_file() {
        return refused("is not a regular file");
    }
    if about.len() > LONGEST_VALUE {
        return refused("is longer than 64 KiB, and a parameter in Parameter Store has at most 8");
    }
    fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_parameters_and_folders_are_paths() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("mappings")).expect("a folder");
        fs::write(folder.path().join("public-api-key"), "pk_1\n").expect("a file");
        fs::write(folder.path().join(".hidden"), "x").expect("a file");
        fs::write(folder.path().join("mappings/checkout.json"), "{}").expect("a file");
        let read = ParameterDirectory::new(folder.path()).read_now().expect("parameters");
        let read: Vec<_> = read.iter().map(|p| (p.name.as_str(), p.value())).collect();
        assert_eq!(read, [("mappings/checkout", "{}"), ("public-api-key", "pk_1")]);
    }

    #[test]
    fn what_is_no_file_or_far_too_long_is_named_and_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bearer-token");
        let refused = || ParameterDirectory::new(folder.path()).read_now().expect_err("refused").to_string();
        fs::write(&path, vec![b'x'; 100_000]).expect("a file");
        assert!(refused().contains("bearer-token: is longer than 64 KiB"), "{}", refused());
        fs::remove_file(&path).expect("removed");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        assert!(refused().ends_with("bearer-token: is not a regular file"), "{}", refused());
    }

    #[test]
    fn the_collector_s_folder_is_a_tree_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = |directory: &ParameterDirectory| {
            directory.read_now().expect("parameters").into_iter().map(|parameter| parameter.name).collect::<Vec<_>>()
        };
        let (of_destination, of_collector) =
            (ParameterDirectory::new(folder.path()), ParameterDirectory::of_collector(folder.path()));
        assert_eq!(names(&of_collector), [""; 0]);
        fs::create_dir_all(folder.path().join("collector/intent")).expect("a folder");
        fs::write(folder.path().join("collector/intent/docs.json"), [0xff]).expect("a file");
        fs::write(folder.path().join("public-api-key"), "pk_1\n").expect("a file");
        // What cannot be read there stops nothing here.
        assert_eq!(names(&of_destination), ["public-api-key"]);
        fs::write(folder.path().join("collector/intent/docs.json"), "{}").expect("a file");
        assert_eq!(names(&of_collector), ["intent/docs"]);
    }
}
