//! `docs/select.md` says what is so: each expression of its tables is asked, and each code that it names is one.

use super::*;

#[test]
fn the_page_is_right() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/select.md");
    let page = std::fs::read_to_string(page).unwrap();
    let data = page.split("```csv\n").nth(1).unwrap().split("```").next().unwrap();
    let mut asked = 0;
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let text = |cell: &str| cell.trim_matches('`').trim().replace("\\|", "|");
        match &cells[..] {
            [expression, want] if want.starts_with('`') => {
                let expression = format!("SELECT {} FROM S3Object s LIMIT 1", text(expression));
                let got = answer(&query(&expression, csv(FileHeader::Use), to_csv()), data.as_bytes());
                assert_eq!(got.map(|got| got.trim_end().to_owned()), Ok(text(want)), "{expression}");
                asked += 1;
            }
            [code, _] => {
                let code = text(code);
                assert!(ErrorCode::ALL.iter().any(|known| known.s3() == code), "{code}");
            }
            _ => panic!("{row}"),
        }
    }
    assert!(asked > 30, "{asked}");
}
