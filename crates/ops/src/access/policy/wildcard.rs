//! Patterns of policies: `*` for any text, `?` for one character, and variables.

use std::borrow::Cow;

use cosette_model::op::Facts;

use super::keys;

/// A pattern as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Char(char),
    Any,
    One,
    /// What a fact of the request says, if it says one thing; else what is given instead.
    Variable {
        fact: String,
        instead: Option<String>,
    },
}

/// Which variables a text may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variables {
    /// `${aws:userid}` and `${aws:userid, 'nobody'}` (IAM, "Variables and tags"), and `${*}` for a star.
    Iam,
    /// `${uin}`, `${owner_uin}`, `${app_id}` (CAM, "Policy variables").
    Cam,
    /// They are plain text (IAM before 2012-10-17).
    None,
}

impl Variables {
    fn read(self, name: &str) -> Result<Piece, String> {
        let unknown = || format!("Policy has an invalid variable - {name}");
        match self {
            Self::Iam => {
                if let "*" | "?" | "$" = name {
                    return Ok(Piece::Char(name.chars().next().unwrap_or_default()));
                }
                let (name, instead) = match name.split_once(',') {
                    None => (name.trim(), None),
                    Some((name, instead)) => {
                        let quoted = instead.trim().strip_prefix('\'').and_then(|i| i.strip_suffix('\''));
                        (name.trim(), Some(quoted.ok_or_else(unknown)?.to_owned()))
                    }
                };
                Ok(Piece::Variable { fact: keys::fact(name).map_err(|_| unknown())?, instead })
            }
            Self::Cam if ["uin", "owner_uin", "app_id"].contains(&name) => {
                Ok(Piece::Variable { fact: name.to_owned(), instead: None })
            }
            Self::Cam | Self::None => Err(unknown()),
        }
    }
}

impl Pattern {
    /// A pattern without variables.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.chars().map(Piece::of).collect())
    }

    /// # Errors
    /// What is wrong with a variable.
    pub(super) fn with(text: &str, variables: Variables) -> Result<Self, String> {
        Self::read(text, variables, Piece::of)
    }

    /// The same without wildcards: a text.
    pub(super) fn text_with(text: &str, variables: Variables) -> Result<Self, String> {
        Self::read(text, variables, Piece::Char)
    }

    fn read(text: &str, variables: Variables, piece: fn(char) -> Piece) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while variables != Variables::None
            && let Some((before, after)) = rest.split_once("${")
        {
            let (name, then) =
                after.split_once('}').ok_or_else(|| format!("Policy has an open variable - {text}"))?;
            pieces.extend(before.chars().map(piece));
            pieces.push(variables.read(name)?);
            rest = then;
        }
        pieces.extend(rest.chars().map(piece));
        Ok(Self(pieces))
    }

    /// As it was written, but for variables, which are left out.
    pub(crate) fn text(&self) -> String {
        self.0
            .iter()
            .filter_map(|piece| match piece {
                Piece::Char(c) => Some(*c),
                Piece::Any => Some('*'),
                Piece::One => Some('?'),
                Piece::Variable { .. } => None,
            })
            .collect()
    }

    pub(super) fn has_variables(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Variable { .. }))
    }

    /// `*`, in the way either form has it here.
    pub(crate) fn is_all(&self) -> bool {
        let text = self.text();
        (text == "*" || text == "qcs:*") && self.0.last() == Some(&Piece::Any)
    }

    /// One of Tencent's six-part names.
    pub(crate) fn is_qcs(&self) -> bool {
        "qcs:".chars().map(Piece::Char).zip(&self.0).filter(|(a, b)| a == *b).count() == 4
    }

    /// With the variables that the facts say; `None` if they do not say one.
    pub(super) fn of(&self, facts: &Facts) -> Option<Cow<'_, Self>> {
        if !self.has_variables() {
            return Some(Cow::Borrowed(self));
        }
        let mut pieces = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Variable { fact, instead } => {
                    let value = match facts.get(fact).map(Vec::as_slice) {
                        Some([one]) => Some(one),
                        _ => instead.as_ref(),
                    };
                    pieces.extend(value?.chars().map(Piece::Char));
                }
                plain => pieces.push(plain.clone()),
            }
        }
        Some(Cow::Owned(Self(pieces)))
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        matches(&self.0, &text.chars().collect::<Vec<_>>(), |a, b| a == b)
    }

    pub(crate) fn matches_ignoring_case(&self, text: &str) -> bool {
        matches(&self.0, &text.chars().collect::<Vec<_>>(), |a, b| a.to_lowercase().eq(b.to_lowercase()))
    }
}

impl Piece {
    fn of(c: char) -> Self {
        match c {
            '*' => Self::Any,
            '?' => Self::One,
            c => Self::Char(c),
        }
    }
}

/// Goes back only to the last star, so it takes at most pattern times text steps.
fn matches(pattern: &[Piece], text: &[char], same: impl Fn(char, char) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(Piece::Any) => {
                star = Some((p, t));
                p += 1;
            }
            Some(Piece::One) => (p, t) = (p + 1, t + 1),
            Some(Piece::Char(c)) if same(*c, text[t]) => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|piece| *piece == Piece::Any)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text, want) in [
            ("", "", true),
            ("*", "", true),
            ("*", "a/b", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*ab", "aab", true),
            ("a", "ab", false),
            ("?", "\u{4e2d}", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), want, "{pattern} {text}");
        }
        assert!(Pattern::new("get*").matches_ignoring_case("GetObject"));
        let many = "*a".repeat(2000);
        assert!(!Pattern::new(&many).matches(&"a".repeat(1999)));
    }

    #[test]
    fn variables() {
        let facts: Facts = [
            ("userid".to_owned(), vec!["a*".to_owned()]),
            ("uin".to_owned(), vec!["1".to_owned()]),
            ("two".to_owned(), vec!["1".to_owned(), "2".to_owned()]),
        ]
        .into();
        let matches = |pattern: &str, variables, text: &str| {
            let pattern = Pattern::with(pattern, variables).unwrap();
            pattern.of(&facts).is_some_and(|pattern| pattern.matches(text))
        };
        use Variables::{Cam, Iam, None};
        assert!(matches("home/${aws:userid}/*", Iam, "home/a*/x"));
        assert!(!matches("home/${aws:userid}/*", Iam, "home/ab/x"), "a value is no pattern");
        assert!(!matches("home/${aws:username}/*", Iam, "home//x"));
        assert!(matches("home/${aws:username, 'all'}/*", Iam, "home/all/x"));
        assert!(matches("${$}${*}${?}", Iam, "$*?") && !matches("${*}", Iam, "x"));
        assert!(matches("u/${uin}", Cam, "u/1"));
        assert!(matches("${aws:userid}", None, "${aws:userid}"));
        for (bad, variables) in [("${aws:colour}", Iam), ("${a", Iam), ("${aws:userid}", Cam), ("${}", Iam)] {
            assert!(Pattern::with(bad, variables).is_err(), "{bad}");
        }
    }
}
