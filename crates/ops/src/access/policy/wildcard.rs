//! Patterns of policies: `*` for any text, `?` for one character.

/// A pattern as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<char>);

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.chars().collect())
    }

    pub(crate) fn text(&self) -> String {
        self.0.iter().collect()
    }

    /// `*`, in the way either form has it here.
    pub(crate) fn is_all(&self) -> bool {
        matches!(self.0[..], ['*'] | ['q', 'c', 's', ':', '*'])
    }

    /// One of Tencent's six-part names.
    pub(crate) fn is_qcs(&self) -> bool {
        self.0.starts_with(&['q', 'c', 's', ':'])
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        matches(&self.0, &text.chars().collect::<Vec<_>>(), |a, b| a == b)
    }

    pub(crate) fn matches_ignoring_case(&self, text: &str) -> bool {
        matches(&self.0, &text.chars().collect::<Vec<_>>(), |a, b| a.eq_ignore_ascii_case(&b))
    }
}

/// Goes back only to the last star, so it takes at most pattern times text steps.
fn matches(pattern: &[char], text: &[char], same: impl Fn(char, char) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some('?') => (p, t) = (p + 1, t + 1),
            Some(c) if same(*c, text[t]) => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
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
}
