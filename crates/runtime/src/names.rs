//! Names, for an instance that has a network of its own: each gets an address that stands for it (RFC 2544 has these
//! for no network), and whoever answers connections to that address asks here for the name. Nothing is resolved.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use tokio::net::UdpSocket;

/// The first of 198.18.0.0/15 is nobody's.
const FIRST: u32 = u32::from_be_bytes([198, 18, 0, 1]);
/// How many names an instance may ask for.
const NAMES_MAX: usize = 65_536;
/// A message without extensions (RFC 1035, 4.2.1) has 512 bytes; of one with some we read no more than its question.
const MESSAGE_BYTES_MAX: usize = 4096;
/// Seconds for which an answer holds.
const TTL: u32 = 3600;

const ADDRESS: u16 = 1;
const INTERNET: u16 = 1;
const NO_ERROR: u8 = 0;
const FORMAT_ERROR: u8 = 1;
const NO_SUCH_NAME: u8 = 3;
const NOT_IMPLEMENTED: u8 = 4;
const REFUSED: u8 = 5;

/// The names that an instance has asked for.
#[derive(Default)]
pub(crate) struct Names(Mutex<Known>);

#[derive(Default)]
struct Known {
    addresses: HashMap<String, Ipv4Addr>,
    names: HashMap<Ipv4Addr, String>,
}

impl Names {
    /// Answers what comes by the socket, for ever.
    pub(crate) async fn serve(&self, socket: UdpSocket) {
        let mut message = [0; MESSAGE_BYTES_MAX];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut message).await else { return };
            if let Some(answer) = self.answer(&message[..length]) {
                // Whoever asked may be gone.
                let _ = socket.send_to(&answer, from).await;
            }
        }
    }

    /// The name that an address stands for.
    pub(crate) fn of(&self, address: Ipv4Addr) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).names.get(&address).cloned()
    }

    fn address(&self, name: &str) -> Option<Ipv4Addr> {
        if name == "localhost" {
            return Some(Ipv4Addr::LOCALHOST);
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = known.addresses.get(name) {
            return Some(*address);
        }
        let number = known.addresses.len();
        let address = Ipv4Addr::from(FIRST + u32::try_from(number).ok().filter(|_| number < NAMES_MAX)?);
        known.addresses.insert(name.to_owned(), address);
        known.names.insert(address, name.to_owned());
        Some(address)
    }

    /// What is answered to a message; nothing to what is no question.
    pub(crate) fn answer(&self, message: &[u8]) -> Option<Vec<u8>> {
        let head = message.get(..12)?;
        if head[2] & 0x80 != 0 {
            return None;
        }
        let refuse = |code| Some(with_head(head, code, &[], None));
        if head[2] & 0x78 != 0 {
            return refuse(NOT_IMPLEMENTED);
        }
        let Some((name, kind, class, end)) = question(message) else { return refuse(FORMAT_ERROR) };
        let asked = &message[12..end];
        if class != INTERNET || name.is_empty() {
            return Some(with_head(head, REFUSED, asked, None));
        }
        if name.ends_with(".in-addr.arpa") || name.ends_with(".ip6.arpa") {
            return Some(with_head(head, NO_SUCH_NAME, asked, None));
        }
        // There is nothing of any other kind.
        let Some(address) = self.address(&name) else { return Some(with_head(head, REFUSED, asked, None)) };
        Some(with_head(head, NO_ERROR, asked, (kind == ADDRESS).then_some(address)))
    }
}

/// The name that is asked for, in small letters, the kind and class, and where the question ends.
fn question(message: &[u8]) -> Option<(String, u16, u16, usize)> {
    if message.get(4..6)? != [0, 1] {
        return None;
    }
    let mut name = String::new();
    let mut at = 12;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        // A question has nothing before it that it could point to.
        let label = std::str::from_utf8(message.get(at..at + length).filter(|_| length < 64)?).ok()?;
        if !label.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.') {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(label);
        at += length;
    }
    let word = |at: usize| Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?));
    name.make_ascii_lowercase();
    (name.len() <= 253).then_some((name, word(at)?, word(at + 2)?, at + 4))
}

fn with_head(head: &[u8], code: u8, question: &[u8], address: Option<Ipv4Addr>) -> Vec<u8> {
    // An answer, from one who may be asked for what it does not know itself; the client's own wish is kept.
    let mut all = vec![head[0], head[1], 0x80 | head[2] & 1, 0x80 | code];
    let counts = [u16::from(!question.is_empty()), u16::from(address.is_some()), 0, 0];
    all.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    all.extend(question);
    if let Some(address) = address {
        // The name is the question's.
        all.extend([0xc0, 12, 0, 1, 0, 1]);
        all.extend(TTL.to_be_bytes());
        all.extend([0, 4]);
        all.extend(address.octets());
    }
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn asking(name: &str, kind: u16) -> Vec<u8> {
        let mut all = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            all.push(label.len().try_into().unwrap());
            all.extend(label.bytes());
        }
        all.push(0);
        all.extend(kind.to_be_bytes());
        all.extend([0, 1]);
        all
    }

    #[test]
    fn a_name_keeps_its_address() {
        let names = Names::default();
        let answer = names.answer(&asking("Db.Example.com", 1)).unwrap();
        assert_eq!(answer[..8], [7, 9, 0x81, 0x80, 0, 1, 0, 1]);
        assert_eq!(answer[answer.len() - 4..], [198, 18, 0, 1]);
        assert_eq!(names.answer(&asking("b", 1)).unwrap().pop(), Some(2));
        assert_eq!(names.answer(&asking("db.example.com", 1)).unwrap().pop(), Some(1));
        assert_eq!(names.of(Ipv4Addr::new(198, 18, 0, 1)).as_deref(), Some("db.example.com"));
        assert_eq!(names.of(Ipv4Addr::new(198, 18, 0, 9)), None);
        // There is the name, but no such address of it.
        assert_eq!(names.answer(&asking("b", 28)).unwrap()[3..8], [0x80, 0, 1, 0, 0]);
        assert_eq!(names.answer(&asking("1.0.18.198.in-addr.arpa", 12)).unwrap()[3], 0x83);
        assert!(names.answer(&asking("localhost", 1)).unwrap().ends_with(&[127, 0, 0, 1]));
    }

    #[test]
    fn what_is_no_question_does_no_harm() {
        let names = Names::default();
        let good = asking("a.example.com", 1);
        for end in 0..good.len() {
            let answer = names.answer(&good[..end]);
            assert!(answer.is_none_or(|answer| answer[3] & 15 == FORMAT_ERROR), "{end}");
        }
        let mut pointed = good.clone();
        pointed[12] = 0xc0;
        assert_eq!(names.answer(&pointed).unwrap()[3] & 15, FORMAT_ERROR);
        assert_eq!(names.answer(&asking("a b", 1)).unwrap()[3] & 15, FORMAT_ERROR);
        assert_eq!(names.answer(&asking(&["x"; 130].join("."), 1)).unwrap()[3] & 15, FORMAT_ERROR);
        let mut answer = good;
        answer[2] |= 0x80;
        assert!(names.answer(&answer).is_none());
    }

    #[test]
    fn names_are_bounded() {
        let names = Names::default();
        for number in 0..NAMES_MAX {
            assert!(names.address(&number.to_string()).is_some());
        }
        assert_eq!(names.answer(&asking("one.more", 1)).unwrap()[3] & 15, REFUSED);
        assert!(names.address("7").is_some());
    }
}
