//! `cosette function new`: a folder with the code of a template. The templates are in `templates/`, a folder each,
//! and ship inside the binary.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::exit::Failure;

/// A folder to begin with.
struct Preset {
    name: &'static str,
    about: &'static str,
    /// What is printed to go on with.
    settings: &'static str,
    files: &'static [(&'static str, &'static str)],
}

/// The files of one that needs packages, and of one that needs none.
macro_rules! preset {
    ($name:literal, $about:literal, $settings:literal, packages) => {
        Preset {
            name: $name,
            about: $about,
            settings: $settings,
            files: &[
                ("README.md", include_str!(concat!("../templates/", $name, "/README.md"))),
                ("index.py", include_str!(concat!("../templates/", $name, "/index.py"))),
                ("requirements.txt", include_str!(concat!("../templates/", $name, "/requirements.txt"))),
            ],
        }
    };
    ($name:literal, $about:literal, $settings:literal) => {
        Preset {
            name: $name,
            about: $about,
            settings: $settings,
            files: &[
                ("README.md", include_str!(concat!("../templates/", $name, "/README.md"))),
                ("index.py", include_str!(concat!("../templates/", $name, "/index.py"))),
            ],
        }
    };
}

const PRESETS: &[Preset] = &[
    preset!(
        "unzip",
        "unpack an uploaded archive into a prefix",
        "--memory 512 --timeout 900 --trigger BUCKET,created,in/,.zip",
        packages
    ),
    preset!(
        "thumbnail",
        "make a small JPEG of an uploaded image",
        "--memory 256 --timeout 30 --trigger BUCKET,created,in/",
        packages
    ),
    preset!(
        "database",
        "keep a row for each object in SQLite or PostgreSQL",
        "--timeout 30 --env DATABASE_URL=URL --trigger BUCKET,created --trigger BUCKET,removed",
        packages
    ),
    preset!(
        "call-service",
        "tell your own HTTP service of changes",
        "--timeout 15 --env SERVICE_URL=URL --trigger BUCKET,created --trigger BUCKET,removed"
    ),
    preset!(
        "ocr",
        "recognise the text in an uploaded image",
        "--memory 1024 --timeout 60 --trigger BUCKET,created,in/",
        packages
    ),
    preset!(
        "archive-index",
        "list what an uploaded archive holds",
        "--memory 256 --timeout 300 --trigger BUCKET,created,in/",
        packages
    ),
    preset!(
        "replicate",
        "keep a second bucket like the first",
        "--timeout 300 --env TARGET_BUCKET=BUCKET2 --trigger BUCKET,created --trigger BUCKET,removed",
        packages
    ),
    preset!(
        "refresh-cdn",
        "purge what has changed from the CDN",
        "--timeout 30 --env CDN_DOMAINS=DOMAIN --trigger BUCKET,created --trigger BUCKET,removed",
        packages
    ),
    preset!(
        "webhook-relay",
        "post events, signed, to several URLs",
        "--timeout 60 --env WEBHOOK_URLS=URL,URL --trigger BUCKET,created --trigger BUCKET,removed"
    ),
];

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cosette function new --list
  cosette function new --template thumbnail
  cosette function new --template unzip functions/unpack

The folder holds the code, as it runs on SCF too, a README with its variables and settings, and the list
of the packages it needs. Nothing that is there is overwritten.")]
pub(crate) struct New {
    /// Which template; --list shows them
    #[arg(long, value_name = "NAME", required_unless_present = "list")]
    template: Option<String>,

    /// The folder to make [default: the template's name]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,

    /// Show the templates
    #[arg(long, conflicts_with_all = ["template", "folder"])]
    list: bool,
}

impl New {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        let Some(wanted) = self.template else {
            for preset in PRESETS {
                writeln!(out, "{:15} {}", preset.name, preset.about)?;
            }
            return Ok(out.flush()?);
        };
        let preset = PRESETS.iter().find(|preset| preset.name == wanted).ok_or_else(|| {
            let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
            Failure::Usage(format!("there is no template {wanted}; there are {}", names.join(", ")))
        })?;
        let folder = self.folder.unwrap_or_else(|| preset.name.into());
        let failed = |what: &str, error: std::io::Error| {
            Failure::Failed(format!("cannot make {}: {error}", folder.join(what).display()))
        };
        fs::create_dir_all(&folder).map_err(|error| failed("", error))?;
        if let Some((name, _)) = preset.files.iter().find(|(name, _)| folder.join(name).exists()) {
            return Err(Failure::Usage(format!("{} is there already", folder.join(name).display())));
        }
        for (name, text) in preset.files {
            let mut options = fs::OpenOptions::new();
            let file = options.write(true).create_new(true).open(folder.join(name));
            file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| failed(name, error))?;
        }
        writeln!(out, "{}", folder.display())?;
        out.flush()?;
        let needs = preset.files.iter().any(|(name, _)| *name == "requirements.txt");
        eprintln!(
            "made {}; its README says what can be set. To deploy it:\n  cosette function deploy {} --name {} \
             --runtime Python3.9 --handler index.main_handler{} {}",
            folder.display(),
            folder.display(),
            preset.name,
            if needs { " --install" } else { "" },
            preset.settings,
        );
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_of_templates_ships_with_all_its_files() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/templates");
        let mut folders = 0;
        for folder in fs::read_dir(root).unwrap() {
            let folder = folder.unwrap().path();
            let name = folder.file_name().unwrap().to_str().unwrap();
            let preset = PRESETS.iter().find(|preset| preset.name == name).unwrap();
            let mut files: Vec<String> = fs::read_dir(&folder)
                .unwrap()
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            assert_eq!(files, preset.files.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{name}");
            folders += 1;
        }
        assert_eq!(folders, PRESETS.len());
    }

    #[test]
    fn each_readme_names_each_variable_of_its_code() {
        for preset in PRESETS {
            let text = |name: &str| preset.files.iter().find(|(n, _)| *n == name).unwrap().1;
            let (code, readme) = (text("index.py"), text("README.md"));
            for part in code.split("os.environ").skip(1) {
                let name = part.split('"').nth(1).unwrap();
                let is_own = !name.starts_with("TENCENTCLOUD_");
                assert!(!is_own || readme.contains(&format!("`{name}`")), "{}: {name}", preset.name);
            }
        }
    }
}
