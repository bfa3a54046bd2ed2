//! `cosette function new`: a folder with the code of a template. The templates are in `templates/`, a folder each,
//! and ship inside the binary.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::exit::Failure;

/// What a folder to begin with is made of.
struct Preset {
    name: &'static str,
    about: &'static str,
    /// What is printed to go on with.
    settings: &'static str,
    readme: &'static str,
    python: Code,
    node: Code,
}

/// It in one language.
struct Code {
    index: &'static str,
    /// What is to be installed, if anything is.
    packages: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Language {
    #[default]
    Python,
    Node,
}

impl Language {
    /// The runtime to deploy it with, and its files of code and of packages.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Python => ("Python3.9", "index.py", "requirements.txt"),
            Self::Node => ("Nodejs18.15", "index.js", "package.json"),
        }
    }
}

impl Preset {
    /// Names and texts.
    fn files(&self, language: Language) -> Vec<(&'static str, &'static str)> {
        let (_, index, packages) = language.names();
        let code = match language {
            Language::Python => &self.python,
            Language::Node => &self.node,
        };
        let mut files = vec![("README.md", self.readme), (index, code.index)];
        files.extend(code.packages.map(|text| (packages, text)));
        files
    }
}

macro_rules! text {
    ($name:literal, $file:literal) => {
        include_str!(concat!("../templates/", $name, "/", $file))
    };
}

/// Of one that needs packages, and of one that needs none.
macro_rules! preset {
    ($name:literal, $about:literal, $settings:literal, packages) => {
        preset!(
            $name,
            $about,
            $settings,
            Some(text!($name, "requirements.txt")),
            Some(text!($name, "package.json"))
        )
    };
    ($name:literal, $about:literal, $settings:literal) => {
        preset!($name, $about, $settings, None, None)
    };
    ($name:literal, $about:literal, $settings:literal, $python:expr, $node:expr) => {
        Preset {
            name: $name,
            about: $about,
            settings: $settings,
            readme: text!($name, "README.md"),
            python: Code { index: text!($name, "index.py"), packages: $python },
            node: Code { index: text!($name, "index.js"), packages: $node },
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
        "--memory 512 --timeout 60 --trigger BUCKET,created,in/",
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
  cosette function new --template thumbnail --language node
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

    /// Which language
    #[arg(long, value_name = "LANGUAGE", default_value = "python")]
    language: Language,

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
        let (runtime, _, packages) = self.language.names();
        let files = preset.files(self.language);
        if let Some((name, _)) = files.iter().find(|(name, _)| folder.join(name).exists()) {
            return Err(Failure::Usage(format!("{} is there already", folder.join(name).display())));
        }
        for (name, text) in &files {
            let mut options = fs::OpenOptions::new();
            let file = options.write(true).create_new(true).open(folder.join(name));
            file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| failed(name, error))?;
        }
        writeln!(out, "{}", folder.display())?;
        out.flush()?;
        let needs = files.iter().any(|(name, _)| *name == packages);
        eprintln!(
            "made {}; its README says what can be set. To deploy it:\n  cosette function deploy {} --name {} \
             --runtime {runtime} --handler index.main_handler{} {}",
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
            let mut shipped: Vec<&str> = [Language::Python, Language::Node]
                .into_iter()
                .flat_map(|language| preset.files(language))
                .map(|(name, _)| name)
                .collect();
            shipped.sort_unstable();
            shipped.dedup();
            assert_eq!(files, shipped, "{name}");
            folders += 1;
        }
        assert_eq!(folders, PRESETS.len());
    }

    #[test]
    fn each_readme_names_each_variable_of_its_code() {
        for preset in PRESETS {
            let python =
                preset.python.index.split("os.environ").skip(1).map(|part| part.split('"').nth(1).unwrap());
            let node = preset.node.index.split("process.env.").skip(1);
            for part in python.chain(node) {
                let is_name = |c: &char| c.is_ascii_uppercase() || *c == '_';
                let name: String = part.chars().take_while(is_name).collect();
                let is_own = !name.starts_with("TENCENTCLOUD_");
                assert!(!is_own || preset.readme.contains(&format!("`{name}`")), "{}: {name}", preset.name);
            }
        }
    }
}
