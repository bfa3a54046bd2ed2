//! What a package says of its function: a server, a program that speaks the runtime's protocol, or a handler that an
//! interpreter loads.

use std::io::Cursor;

use zip::ZipArchive;

/// How a package is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `scf_bootstrap` starts a server: a web function.
    Web,
    /// `bootstrap` asks for events: a custom runtime.
    Program,
    Handler,
}

impl Kind {
    /// Of a zip archive; what is none is left to the service to refuse.
    pub(crate) fn of(package: &[u8]) -> Self {
        let Ok(archive) = ZipArchive::new(Cursor::new(package)) else { return Self::Handler };
        let has = |name| archive.index_for_name(name).is_some();
        match (has("scf_bootstrap"), has("bootstrap")) {
            (true, _) => Self::Web,
            (false, true) => Self::Program,
            (false, false) => Self::Handler,
        }
    }

    /// Why it is taken for that, for people.
    pub(crate) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Web => Some("scf_bootstrap in its root makes it a web function (Type HTTP)"),
            Self::Program => Some("bootstrap in its root makes it a CustomRuntime function"),
            Self::Handler => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    #[test]
    fn the_files_in_the_root_say_what_it_is() {
        for (names, kind) in [
            (vec!["scf_bootstrap", "app.py"], Kind::Web),
            (vec!["bootstrap", "scf_bootstrap"], Kind::Web),
            (vec!["bootstrap"], Kind::Program),
            (vec!["index.py", "site/scf_bootstrap"], Kind::Handler),
        ] {
            let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
            for name in &names {
                zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            }
            assert_eq!(Kind::of(zip.finish().unwrap().get_ref()), kind, "{names:?}");
        }
        assert_eq!(Kind::of(b"no archive"), Kind::Handler);
    }
}
