//! The engine's tables are sorted and name nothing twice.

use headwater_tidy::tables::read;

#[test]
fn tables_are_sorted() {
    let tables = read();
    assert!(tables.iter().any(|table| table.name == "CODES"), "the table reader finds no CODES");
    let mut wrong = Vec::new();
    for table in &tables {
        for pair in table.keys.windows(2) {
            let sorted = match (pair[0].parse::<i64>(), pair[1].parse::<i64>()) {
                (Ok(one), Ok(two)) => one < two,
                _ => pair[0] < pair[1],
            };
            if !sorted {
                wrong.push(format!(
                    "{} in {}: {} before {}",
                    table.name, table.file, pair[0], pair[1]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "rows out of order:\n{}", wrong.join("\n"));
}
