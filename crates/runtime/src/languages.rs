//! Which languages functions can be written in on this machine.

use crate::interpreter::{Family, Interpreter, Interpreters};

/// A language of SCF's, and what stands in for its runtimes here.
#[derive(Clone, Debug)]
pub struct Language {
    pub name: &'static str,
    /// The names of its runtimes.
    pub runtimes: &'static str,
    /// What runs them, if that is installed; without a program where the function brings its own.
    pub found: Option<Interpreter>,
    /// How to get it.
    pub get: &'static str,
}

/// Name, one of its runtimes, all of them, how to get what runs it.
const LANGUAGES: [(&str, &str, &str, &str); 6] = [
    ("Python", "Python3.9", "Python3.<n>", "apt-get install python3"),
    ("Node.js", "Nodejs18.15", "Nodejs<n>.<n>", "apt-get install nodejs"),
    ("PHP", "Php8.0", "Php5, Php5.6, Php7, Php7.2, Php7.4, Php8.0", "apt-get install php-cli"),
    ("Java", "Java17", "Java8, Java11, Java17, Java21", "apt-get install default-jdk-headless"),
    ("Go", "Go1", "Go1", "build the program with the library for Go"),
    ("any", "CustomRuntime", "CustomRuntime", "put an executable bootstrap into the package"),
];

/// Looks for all of them in `PATH`, as the server does.
pub async fn languages() -> Vec<Language> {
    let interpreters = Interpreters::default();
    let mut all = Vec::new();
    for (name, one, runtimes, get) in LANGUAGES {
        let found = match Family::of(one) {
            Some(family) => interpreters.get(family).await,
            None => None,
        };
        all.push(Language { name, runtimes, found, get });
    }
    all
}
