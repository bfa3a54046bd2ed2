//! Decimal numbers of up to 38 digits, the precision the services document. What does not fit is
//! rounded half to even; what is too large for that is an overflow.

use std::cmp::Ordering;
use std::fmt;

/// `mantissa / 10^scale`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal {
    mantissa: i128,
    scale: u32,
}

const DIGITS: u32 = 38;
/// The first number that has more digits.
const LIMIT: i128 = 10_i128.pow(DIGITS);
/// More places than any number of 38 digits needs; a smaller one counts as nothing.
const SCALE_MAX: u32 = 76;

impl Decimal {
    pub(crate) fn new(mantissa: i128, scale: u32) -> Option<Self> {
        Self { mantissa, scale }.fitted()
    }

    /// Digits with an optional sign and point, nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && places.is_empty() {
            return None;
        }
        let mut number = Self { mantissa: 0, scale: 0 };
        for (digit, place) in whole.bytes().map(|b| (b, 0)).chain(places.bytes().map(|b| (b, 1))) {
            if !digit.is_ascii_digit() {
                return None;
            }
            if number.mantissa >= LIMIT / 10 || number.scale >= SCALE_MAX {
                // Digits past the precision are cut off behind the point, and too many before it.
                if place == 0 {
                    return None;
                }
                continue;
            }
            number.mantissa = number.mantissa * 10 + i128::from(digit - b'0');
            number.scale += place;
        }
        if negative {
            number.mantissa = -number.mantissa;
        }
        Some(number)
    }

    pub(crate) fn from_f64(number: f64) -> Option<Self> {
        // The shortest text that reads back as the same number.
        if !number.is_finite() || number.abs() >= 1e38 {
            return None;
        }
        Self::parse(&format!("{number}"))
    }

    pub(crate) fn to_f64(self) -> f64 {
        // Through text, which rounds once.
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The whole part.
    pub(crate) fn to_i64(self) -> Option<i64> {
        i64::try_from(self.mantissa / power(self.scale.min(DIGITS))?).ok()
    }

    pub(crate) fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// Fewer places until the digits fit.
    fn fitted(mut self) -> Option<Self> {
        while self.mantissa.unsigned_abs() >= LIMIT.unsigned_abs() || self.scale > SCALE_MAX {
            if self.mantissa == 0 {
                return Some(Self { mantissa: 0, scale: SCALE_MAX });
            }
            self = self.shortened()?;
        }
        Some(self)
    }

    /// One place fewer; `None` when there is none.
    fn shortened(self) -> Option<Self> {
        let scale = self.scale.checked_sub(1)?;
        Some(Self { mantissa: half_even(self.mantissa, 10), scale })
    }

    /// Both with as many places, fewer than they have if they do not fit.
    fn aligned(mut self, mut other: Self) -> Option<(i128, i128, u32)> {
        while self.scale != other.scale {
            let (low, high) =
                if self.scale < other.scale { (&mut self, &mut other) } else { (&mut other, &mut self) };
            match low.mantissa.checked_mul(10).filter(|m| m.abs() < LIMIT) {
                Some(mantissa) => *low = Self { mantissa, scale: low.scale + 1 },
                None => *high = high.shortened()?,
            }
        }
        Some((self.mantissa, other.mantissa, self.scale))
    }

    pub(crate) fn add(self, other: Self) -> Option<Self> {
        let (a, b, scale) = self.aligned(other)?;
        match a.checked_add(b) {
            Some(mantissa) => Self { mantissa, scale }.fitted(),
            // Two of 38 digits can make more than an i128 holds, which a place fewer never does.
            None => Self { mantissa: a, scale }.shortened()?.add(Self { mantissa: b, scale }.shortened()?),
        }
    }

    pub(crate) fn negated(self) -> Self {
        Self { mantissa: -self.mantissa, ..self }
    }

    pub(crate) fn mul(self, other: Self) -> Option<Self> {
        let mut scale = self.scale + other.scale;
        if let Some(mantissa) = self.mantissa.checked_mul(other.mantissa) {
            return Self { mantissa, scale }.fitted();
        }
        let mut product = Product::of(self.mantissa.unsigned_abs(), other.mantissa.unsigned_abs());
        // The digit that was dropped last, and whether any before it was not 0.
        let (mut last, mut more) = (0, false);
        let whole = loop {
            if let Some(whole) = product.fitting() {
                break whole;
            }
            scale = scale.checked_sub(1)?;
            more |= last != 0;
            last = product.drop_digit();
        };
        let up = last > 5 || last == 5 && (more || whole % 2 != 0);
        let mantissa = (whole + i128::from(up)) * self.mantissa.signum() * other.mantissa.signum();
        Self { mantissa, scale }.fitted()
    }

    /// `None` for a division by zero too.
    pub(crate) fn div(self, other: Self) -> Option<Self> {
        if other.mantissa == 0 {
            return None;
        }
        let (a, mut b) = (self.mantissa, other.mantissa);
        let mut scale = i64::from(self.scale) - i64::from(other.scale);
        // So that ten times what is left always fits.
        while b.abs() >= LIMIT / 10 {
            b = half_even(b, 10);
            scale += 1;
        }
        let (mut quotient, mut rest) = (a / b, a % b);
        // Long division, digit by digit, as far as digits fit.
        while (rest != 0 || scale < 0) && quotient.abs() < LIMIT / 10 && scale < i64::from(SCALE_MAX) {
            let next = rest * 10;
            quotient = quotient * 10 + next / b;
            rest = next % b;
            scale += 1;
        }
        if rest.abs() >= (b.abs() + 1) / 2 {
            quotient += if (a < 0) == (b < 0) { 1 } else { -1 };
        }
        Self { mantissa: quotient, scale: u32::try_from(scale).ok()? }.fitted()
    }

    /// What is left of a division by whole times; has the sign of `self`.
    pub(crate) fn rem(self, other: Self) -> Option<Self> {
        let (a, b, scale) = self.aligned(other)?;
        Some(Self { mantissa: a.checked_rem(b)?, scale })
    }

    pub(crate) fn compare(self, other: Self) -> Ordering {
        match self.aligned(other) {
            // Rounded to fewer places both may look alike.
            Some((a, b, scale)) if a != b || scale >= self.scale.max(other.scale) => a.cmp(&b),
            _ => self.to_f64().total_cmp(&other.to_f64()),
        }
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        Self { mantissa: i128::from(number), scale: 0 }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let digits = self.mantissa.unsigned_abs().to_string();
        let scale = self.scale as usize;
        if scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, places) = digits.split_at(digits.len() - scale);
        write!(f, "{sign}{whole}.{places}")
    }
}

/// A product of two mantissas, in limbs of 19 digits from the lowest.
struct Product([u128; 4]);

impl Product {
    const LIMB: u128 = 10_u128.pow(19);

    fn of(a: u128, b: u128) -> Self {
        let parts = |n: u128| [n % Self::LIMB, n / Self::LIMB];
        let (a, b) = (parts(a), parts(b));
        let mut limbs = [a[0] * b[0], a[0] * b[1] + a[1] * b[0], a[1] * b[1], 0];
        for at in 0..3 {
            limbs[at + 1] += limbs[at] / Self::LIMB;
            limbs[at] %= Self::LIMB;
        }
        Self(limbs)
    }

    /// The number, if it has no more digits than a mantissa.
    fn fitting(&self) -> Option<i128> {
        let [low, high, 0, 0] = self.0 else { return None };
        i128::try_from(high * Self::LIMB + low).ok()
    }

    fn drop_digit(&mut self) -> u128 {
        let mut rest = 0;
        for limb in self.0.iter_mut().rev() {
            let whole = rest * Self::LIMB + *limb;
            (*limb, rest) = (whole / 10, whole % 10);
        }
        rest
    }
}

fn power(of: u32) -> Option<i128> {
    10_i128.checked_pow(of)
}

/// Rounded to the nearest, to the even one in the middle.
fn half_even(number: i128, by: i128) -> i128 {
    let (quotient, rest) = (number / by, number % by);
    let away = match (rest.abs() * 2).cmp(&by) {
        Ordering::Greater => true,
        Ordering::Equal => quotient % 2 != 0,
        Ordering::Less => false,
    };
    if away { quotient + number.signum() } else { quotient }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::Noise;

    fn d(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn text_there_and_back() {
        for text in ["0", "-0.50", "123.456", "99999999999999999999999999999999999999", "0.0001", "-7"] {
            assert_eq!(d(text).to_string(), text);
        }
        assert_eq!(d("+1.").to_string(), "1");
        assert_eq!(d(".5").to_string(), "0.5");
        for text in ["", "-", ".", "1e3", "1_0", " 1", "1.2.3", "999999999999999999999999999999999999999"] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn arithmetic() {
        for (a, op, b, want) in [
            ("1.5", '+', "2.25", "3.75"),
            ("1", '-', "0.1", "0.9"),
            // Together more than an i128 holds.
            (
                "0.88888888888888888888888888888888888888",
                '+',
                "0.86666666666666666666666666666666666666",
                "1.7555555555555555555555555555555555556",
            ),
            ("1.50", '*', "2", "3.00"),
            ("6.0", '/', "3.0", "2"),
            ("1", '/', "4", "0.25"),
            ("1", '/', "3", "0.33333333333333333333333333333333333333"),
            ("2", '/', "3", "0.66666666666666666666666666666666666667"),
            ("-2", '/', "3", "-0.66666666666666666666666666666666666667"),
            ("100", '/', "0.01", "10000"),
            ("-7.5", '%', "2", "-1.5"),
            ("99999999999999999999999999999999999999", '*', "0.1", "9999999999999999999999999999999999999.9"),
        ] {
            let got = match op {
                '+' => d(a).add(d(b)),
                '-' => d(a).add(d(b).negated()),
                '*' => d(a).mul(d(b)),
                '/' => d(a).div(d(b)),
                _ => d(a).rem(d(b)),
            };
            assert_eq!(got.unwrap().to_string(), want, "{a} {op} {b}");
        }
        let third = d("1").div(d("3")).unwrap();
        let near = |got: Option<Decimal>, want: f64| (got.unwrap().to_f64() / want - 1.0).abs() < 1e-15;
        assert!(near(d("7").div(third), 21.0) && near(third.div(third), 1.0));
        assert!(near(d("12345678901234567890").mul(third), 12_345_678_901_234_567_890.0 / 3.0));
        assert!(near(third.mul(d("123456789012345678901234567890123")), 1.234_567_890_123_456_8e32 / 3.0));
        assert!(d("1").div(d("0.0")).is_none());
        assert!(d("99999999999999999999999999999999999999").mul(d("10")).is_none());
        assert!(d("99999999999999999999999999999999999999").add(d("1")).is_none());
        // What a file may say of itself.
        assert!(Decimal::new(i128::MIN, 0).is_none());
        assert!(Decimal::new(i128::MAX, u32::MAX).unwrap().is_zero());
    }

    /// Whatever is reckoned is near to what floats make of it, and overflows only where it is too large.
    #[test]
    fn noise() {
        let mut noise = Noise(0xdec);
        for _ in 0..20_000 {
            let mut number = d("1");
            let mut float = 1.0_f64;
            for _ in 0..noise.below(12) {
                let by = Decimal::from(1 + i64::try_from(noise.below(999)).unwrap());
                let (next, near) = match noise.below(4) {
                    3 => (number.add(number.div(by).unwrap()), float + float / by.to_f64()),
                    0 => (number.mul(by), float * by.to_f64()),
                    1 => (number.div(by), float / by.to_f64()),
                    _ => (by.div(number), by.to_f64() / float),
                };
                number = next.unwrap_or_else(|| panic!("{number} {by} {near}"));
                float = near;
                // Very small numbers lose their last places.
                if float.abs() < 1e-9 || float.abs() > 1e24 {
                    break;
                }
                assert!((number.to_f64() / float - 1.0).abs() < 1e-9, "{number} {float}");
            }
        }
    }

    #[test]
    fn order() {
        for (a, b, want) in [
            ("1", "1.000", Ordering::Equal),
            ("1.1", "1.09", Ordering::Greater),
            ("-1", "0.5", Ordering::Less),
            ("99999999999999999999999999999999999999", "0.00000000000000000001", Ordering::Greater),
        ] {
            assert_eq!(d(a).compare(d(b)), want, "{a} {b}");
        }
        assert_eq!(d("12.9").to_i64(), Some(12));
        assert_eq!(d("-12.9").to_i64(), Some(-12));
        assert!((d("0.1").to_f64() - 0.1).abs() < f64::EPSILON);
    }
}
